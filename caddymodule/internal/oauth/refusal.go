package oauth

import (
	"net/http"
	"time"
)

// refuse is a bad token: invalid_token, and a reason for the log.
func refuse(reason string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInvalidToken,
		Description: "The access token is invalid",
		Reason:      reason,
	}
}

// unavailable is a token that could not be judged.
func unavailable(reason string, after time.Duration, err error) *Error {
	return &Error{
		Status:      http.StatusServiceUnavailable,
		Code:        CodeTemporarilyUnavailable,
		Description: "The authorization server is out of reach",
		RetryAfter:  max(after, time.Second),
		Reason:      reason,
		err:         err,
	}
}
