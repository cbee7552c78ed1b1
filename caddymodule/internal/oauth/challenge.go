package oauth

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error codes of RFC 6750 section 3.1, and the one that goes with 429 and 503.
const (
	CodeInvalidRequest         = "invalid_request"
	CodeInvalidToken           = "invalid_token"
	CodeInsufficientScope      = "insufficient_scope"
	CodeTemporarilyUnavailable = "temporarily_unavailable"
)

// Error is why a request is refused, in the words of RFC 6750.
type Error struct {
	// Status is the HTTP status: 400, 401, 403, 429 or 503.
	Status int
	// Code is the error code; "" where the request had no token, for then nothing
	// was wrong with it, and where a good token's user is not admitted.
	Code string
	// Description is for the client's developer. It says no more than the code does,
	// or that the token has ended, is for another resource or is not bound.
	Description string
	// Scope are the scopes that the request needs, for insufficient_scope.
	Scope []string
	// RetryAfter goes with 429 and 503: when it is worth trying again.
	RetryAfter time.Duration
	// Scheme is the one under which the token came; "" counts as [SchemeBearer].
	Scheme string
	// Reason is for the log only: it names the claim or rule that failed. It has no
	// bytes of the token in it, nor of a proof's signature.
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

// Scheme is a way to present a token that a challenge offers.
type Scheme struct {
	// Name is [SchemeBearer] or [SchemeDPoP].
	Name string
	// Algorithms are those that a DPoP proof may be signed by.
	Algorithms []string
}

// WriteChallenge sets WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1,
// RFC 9728 section 5.1), or Retry-After where another token would not help; a 403
// without a code has neither. There is a field for each scheme that is accepted with
// a 401, and one for the scheme that the client used otherwise; the error stands in
// the latter. Without schemes there is nothing that the client could do, and so no
// challenge. What is asked for is e.Scope, or else scopes. Whatever the values are,
// each field stays one line and its quoted strings stay closed.
func (e *Error) WriteChallenge(h http.Header, metadataURL string, scopes []string, schemes []Scheme) {
	if e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests {
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
	h.Del("WWW-Authenticate")
	used := e.usedScheme(schemes)
	for i, scheme := range schemes {
		if i != used && e.Status != http.StatusUnauthorized {
			continue
		}
		c := challenge{scheme: scheme.Name}
		if i == used && e.Code != "" {
			c.add("error", quotable(e.Code))
			c.add("error_description", quotable(e.Description))
		}
		c.add("scope", joinScopes(scopes))
		c.add("algs", quotable(strings.Join(scheme.Algorithms, " ")))
		c.add("resource_metadata", quotableURL(metadataURL))
		h.Add("WWW-Authenticate", c.String())
	}
}

// usedScheme is the position of the scheme that an error is about: the one that the
// client used, or else the first, since that is what it should have used.
func (e *Error) usedScheme(schemes []Scheme) int {
	name := cmp.Or(e.Scheme, SchemeBearer)
	return max(0, slices.IndexFunc(schemes, func(s Scheme) bool { return s.Name == name }))
}

// challenge is one challenge in the making (RFC 9110 section 11.6.1).
type challenge struct {
	strings.Builder
	scheme string
}

// add adds a parameter, whose value must need no escaping, unless it is empty.
func (c *challenge) add(name, value string) {
	switch {
	case value == "":
		return
	case c.Len() > 0:
		c.WriteByte(',')
	}
	c.WriteString(" " + name + `="` + value + `"`)
}

func (c *challenge) String() string { return c.scheme + c.Builder.String() }

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
