package oauth

import (
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// The schemes under which a token comes in the Authorization header.
const (
	SchemeBearer = "Bearer" // RFC 6750 section 2.1
	SchemeDPoP   = "DPoP"   // RFC 9449 section 7.1
)

// credentials are what a request brought to say who sends it.
type credentials struct {
	scheme string // SchemeBearer, SchemeDPoP, or "" for the assertion of a platform
	token  string
	proof  string // what stands in the DPoP header, for that scheme only
}

// requestCredentials takes the token from a request: from Authorization, or from
// the header that a platform in front writes, if assertion names one. There is one
// place for it, so that nobody before or behind could take another token for the
// one that counts. A token in the query has been seen by logs and histories, so it
// is refused even beside a good header (OAuth 2.1 section 5.2, and the MCP
// specification).
//
// The error is 401 without a code where there is no token, 400 invalid_request
// where there are two, one that is malformed, or one in the query.
func requestCredentials(r *http.Request, assertion string) (credentials, *Error) {
	if queryHasToken(r.URL) {
		return credentials{}, malformed("The access token must be sent in the Authorization header, not in the query", "token in the query")
	}
	if assertion != "" {
		return platformAssertion(r, assertion)
	}
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return credentials{}, noToken("no Authorization header")
	case len(values) > 1:
		return credentials{}, malformed("More than one Authorization header", "more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case strings.EqualFold(scheme, SchemeBearer):
		scheme = SchemeBearer
	case strings.EqualFold(scheme, SchemeDPoP):
		scheme = SchemeDPoP
	default:
		return credentials{}, noToken("Authorization scheme is neither Bearer nor DPoP")
	}
	if !isToken68(token) {
		refusal := malformed("The Authorization header is malformed", "malformed token in the Authorization header")
		refusal.Scheme = scheme
		return credentials{}, refusal
	}
	c := credentials{scheme: scheme, token: token}
	if scheme == SchemeBearer {
		return c, nil // whatever a DPoP header beside it says: a bound token is refused later
	}
	// RFC 9449 section 4.3, the first check.
	proofs := r.Header.Values("DPoP")
	switch {
	case len(proofs) == 0:
		return credentials{}, badProof("the DPoP header is missing")
	case len(proofs) > 1:
		return credentials{}, badProof("more than one DPoP header")
	}
	c.proof = proofs[0]
	return c, nil
}

// platformAssertion takes the token from the header that a platform writes after it
// has logged the user in. What stands in Authorization was for the platform, which
// may leave it there.
func platformAssertion(r *http.Request, name string) (credentials, *Error) {
	values := r.Header.Values(name)
	switch {
	case len(values) == 0:
		return credentials{}, noToken("no " + name + " header: the request has not come through the platform that writes it")
	case len(values) > 1:
		return credentials{}, malformed("More than one "+name+" header", "more than one "+name+" header")
	}
	token := strings.Trim(values[0], " \t")
	if !isToken68(token) {
		return credentials{}, malformed("The header "+name+" is malformed", "malformed token in "+name)
	}
	return credentials{token: token}, nil
}

// queryHasToken looks for access_token among the query's names.
func queryHasToken(u *url.URL) bool {
	if u == nil {
		return false
	}
	for pair := range pairs(u.RawQuery) {
		if isToken(pair) {
			return true
		}
	}
	return false
}

// pairs are the names and values of a query, without what separates them.
func pairs(query string) iter.Seq[string] {
	return strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' })
}

// isToken says whether a pair of a query has the name access_token. It does not use
// url.ParseQuery, which passes over pairs it dislikes.
func isToken(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	return strings.EqualFold(unescaped(name), "access_token")
}

// unescaped reads a name or a value as lenient servers do, for which a % that begins no escape
// stands for itself.
func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		if s[i] == '%' && !(i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])) {
			b.WriteString("25")
		}
	}
	plain, _ := url.QueryUnescape(b.String()) // all that could be wrong is mended
	return plain
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

// leadsToToken says whether in a name or a value stands an address that has a token itself, as that
// of the page to come back to may. Addresses within addresses are not followed further than depth.
func leadsToToken(text string, depth int) bool {
	text = unescaped(text)
	i := strings.IndexAny(text, "?#")
	if i < 0 || depth == 0 {
		return i >= 0 && strings.ContainsAny(text[i:], "=%") // or there is no value to a name
	}
	for pair := range pairs(text[i+1:]) {
		if isToken(pair) || leadsToToken(pair, depth-1) {
			return true
		}
	}
	return false
}

// RedactQuery puts mark in place of each access token in the query or the fragment of a URL,
// and of each address there that has one itself, for logs. The second return value says whether
// there is one.
func RedactQuery(query, mark string) (string, bool) {
	const depth = 3
	var b strings.Builder
	found := false
	for rest := query; rest != ""; {
		pair, separator := rest, ""
		if i := strings.IndexAny(rest, "&;"); i >= 0 {
			pair, separator = rest[:i], rest[i:i+1]
		}
		rest = rest[len(pair)+len(separator):]
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case isToken(pair), leadsToToken(value, depth):
			found, pair = true, name+"="+mark
		case leadsToToken(pair, depth): // it is an address, and not the value of a name
			found, pair = true, mark
		}
		b.WriteString(pair + separator)
	}
	return b.String(), found
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
