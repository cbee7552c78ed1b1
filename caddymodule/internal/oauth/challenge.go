package oauth

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error codes of RFC 6750 section 3.1, and the one that goes with a 503.
const (
	CodeInvalidRequest         = "invalid_request"
	CodeInvalidToken           = "invalid_token"
	CodeInsufficientScope      = "insufficient_scope"
	CodeTemporarilyUnavailable = "temporarily_unavailable"
)

// Error is why a request is refused, in the words of RFC 6750.
type Error struct {
	// Status is the HTTP status: 400, 401, 403 or 503.
	Status int
	// Code is the error code; "" where the request had no token, for then nothing
	// was wrong with it, and where a good token's user is not admitted.
	Code string
	// Description is for the client's developer. It says no more than the code does
	// and when the token ended or that it is for another resource.
	Description string
	// Scope are the scopes that the request needs, for insufficient_scope.
	Scope []string
	// RetryAfter goes with 503: when it is worth trying again.
	RetryAfter time.Duration
	// Reason is for the log only: it names the claim or rule that failed. It has no
	// bytes of the token in it.
	Reason string

	err error
}

// Error returns the reason and its cause. It is for the log, not for the client.
func (e *Error) Error() string {
	text := e.Reason
	if text == "" {
		text = e.Description
	}
	if text == "" {
		text = e.Code
	}
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.err }

// WriteChallenge sets WWW-Authenticate to a Bearer challenge (RFC 6750 section 3,
// RFC 9728 section 5.1), or Retry-After where the fault is not the client's. A 403
// without a code has neither. The challenge asks for e.Scope, or else for scopes. Whatever the values are, the
// header stays one line and its quoted strings stay closed.
func (e *Error) WriteChallenge(h http.Header, metadataURL string, scopes []string) {
	if e.Status == http.StatusServiceUnavailable {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(max(int64(seconds), 1), 10))
		return
	}
	if e.Status == http.StatusForbidden && e.Code == "" {
		return // another token would be refused as well, so none is asked for
	}
	if len(e.Scope) > 0 {
		scopes = e.Scope
	}
	var b strings.Builder
	b.WriteString("Bearer")
	param := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > len("Bearer") {
			b.WriteByte(',')
		}
		b.WriteString(" " + name + `="` + value + `"`)
	}
	if e.Code != "" {
		param("error", quotable(e.Code))
		param("error_description", quotable(e.Description))
	}
	param("scope", joinScopes(scopes))
	param("resource_metadata", quotableURL(metadataURL))
	h.Set("WWW-Authenticate", b.String())
}

// quotable keeps the characters that RFC 6750 section 3 allows in error and
// error_description, which need no escaping, and puts ? for any other.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}

// quotableURL percent-encodes what may not stand in a URI.
func quotableURL(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= 0x20 || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// joinScopes leaves out what is no scope token.
func joinScopes(scopes []string) string {
	var b strings.Builder
	for _, scope := range scopes {
		if !isScopeToken(scope) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(scope)
	}
	return b.String()
}

// isScopeToken says whether s is a scope-token (RFC 6749 section 3.3).
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
