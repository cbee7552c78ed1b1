package oauth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

const (
	// maxTokenBytes bounds a token; those of real issuers have one to four KiB.
	maxTokenBytes = 16 << 10
	// maxKeyIDBytes bounds the kid of a token, which is remembered when unknown.
	maxKeyIDBytes = 1024
)

var errNotBase64 = errors.New("is not base64url without padding")

// unverifiedToken is a JWT in compact form, taken apart and not yet believed.
type unverifiedToken struct {
	header    map[string]any
	claims    map[string]any
	alg       *algorithm
	kid       string // "" if the token names no key
	signed    string // what the signature is over (RFC 7515 section 5.2)
	signature []byte
}

// parseToken takes a token apart and refuses what no access token may have,
// whoever signed it.
func parseToken(raw string, allowed []string) (*unverifiedToken, *Error) {
	if len(raw) > maxTokenBytes {
		return nil, refuse("token: longer than 16 KiB")
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return nil, refuse("token: not a signed JWT of three parts")
	}
	t := &unverifiedToken{signed: raw[:len(header)+1+len(payload)]}

	var err error
	if t.header, err = decodeSegment(header); err != nil {
		return nil, refuse("header: " + err.Error())
	}
	if refusal := t.checkHeader(allowed); refusal != nil {
		return nil, refusal
	}
	if t.signature, err = decodeBase64(signature); err != nil || len(t.signature) == 0 {
		return nil, refuse("signature: missing or not base64url")
	}
	if t.claims, err = decodeSegment(payload); err != nil {
		return nil, refuse("payload: " + err.Error())
	}
	return t, nil
}

func decodeSegment(segment string) (map[string]any, error) {
	raw, err := decodeBase64(segment)
	if err != nil {
		return nil, err
	}
	return decodeObject(raw)
}

// decodeBase64 is base64url without padding and in its one form (RFC 7515
// section 2). The standard decoder skips line breaks.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errNotBase64
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errNotBase64
	}
	return raw, nil
}

// checkHeader holds the rules of RFC 8725 section 3 and RFC 9068 section 4 on the
// JOSE header.
func (t *unverifiedToken) checkHeader(allowed []string) *Error {
	name, ok := t.header["alg"].(string)
	if !ok {
		return refuse("alg: missing")
	}
	if t.alg = findAlgorithm(name); t.alg == nil || !slices.Contains(allowed, name) {
		return refuse("alg: not an accepted algorithm")
	}
	// RFC 7515 section 4.1.11: an extension that must be understood and is not.
	if _, ok := t.header["crit"]; ok {
		return refuse("crit: critical header extensions are not accepted")
	}
	// A key that comes with the token proves nothing (RFC 8725 section 3.5, 3.10).
	// Some issuers add a certificate's digest (x5t), which is no key.
	for _, name := range []string{"jwk", "jku", "x5u", "x5c"} {
		if _, ok := t.header[name]; ok {
			return refuse(name + ": keys brought by the token are not accepted")
		}
	}
	if typ, ok := t.header["typ"]; ok && !isAccessTokenType(typ) {
		return refuse("typ: not the type of an access token")
	}
	kid, ok := t.header["kid"]
	if !ok {
		return nil
	}
	if t.kid, ok = kid.(string); !ok || t.kid == "" || len(t.kid) > maxKeyIDBytes {
		return refuse("kid: not a string of 1 to 1024 bytes")
	}
	return nil
}

// isAccessTokenType accepts the types of RFC 9068 section 2.1 and the plain JWT
// that many issuers write. They compare without regard to case, as media types.
func isAccessTokenType(typ any) bool {
	s, _ := typ.(string)
	switch lowerASCII(s) {
	case "jwt", "at+jwt", "application/at+jwt":
		return true
	}
	return false
}
