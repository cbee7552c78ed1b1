package oauth

import (
	"net/http"
	"net/url"
	"strings"
)

// TokenFromRequest returns the bearer token of a request's Authorization header
// (RFC 6750 section 2.1). The error is always an [*Error]: 401 without a code
// where there is no bearer token, 400 invalid_request where there are two, one
// that is malformed, or one in the query. A token in the query has been seen by
// logs and histories, so it is refused even beside a good header (OAuth 2.1
// section 5.2, and the MCP specification).
func TokenFromRequest(r *http.Request) (string, error) {
	if queryHasToken(r.URL) {
		return "", malformed("The access token must be sent in the Authorization header, not in the query", "token in the query")
	}
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", noToken("no Authorization header")
	case len(values) > 1:
		return "", malformed("More than one Authorization header", "more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", noToken("Authorization scheme is not Bearer")
	}
	token = strings.TrimLeft(token, " ")
	if !isToken68(token) {
		return "", malformed("The Authorization header is malformed", "malformed bearer token")
	}
	return token, nil
}

// queryHasToken looks for access_token among the query's names. It does not use
// url.ParseQuery, which passes over pairs it dislikes.
func queryHasToken(u *url.URL) bool {
	if u == nil || u.RawQuery == "" {
		return false
	}
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if strings.EqualFold(name, "access_token") {
			return true
		}
	}
	return false
}

// isToken68 says whether s is a b64token (RFC 6750 section 2.1).
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return true
}

func noToken(reason string) *Error {
	return &Error{Status: http.StatusUnauthorized, Reason: reason}
}

func malformed(description, reason string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Description: description, Reason: reason}
}
