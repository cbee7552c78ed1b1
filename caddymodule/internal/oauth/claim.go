package oauth

import "strings"

// Claim is the part of the token that was wrong with it, such as "aud" or "exp", for the
// log; "" if the error is about no token. Reasons begin with it, up to a colon.
func (e *Error) Claim() string {
	if e.Code != CodeInvalidToken {
		return ""
	}
	name, _, ok := strings.Cut(e.Reason, ":")
	if !ok || strings.ContainsAny(name, " \t\"") {
		return ""
	}
	return name
}
