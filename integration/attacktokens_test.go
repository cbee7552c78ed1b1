package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// tokenAttack is a token that must not be taken, or a good one in the wrong place.
type tokenAttack struct {
	holds  string // the section that is held
	name   string
	token  string              // in the Authorization header; "" for none
	change func(*http.Request) // further to that
	status int                 // default 401
	error  string              // in the challenge, or ""
	reason string              // in the log
}

// tokenAttacks are tried on the running gateway by the tests of
// unauthenticated_test.go. A row a token.
func tokenAttacks(t *testing.T, g *gateway) []tokenAttack {
	base := g.url[:strings.LastIndexByte(g.url, '/')]
	bad := func(holds, name, reason string, options devauth.MintOptions) tokenAttack {
		return tokenAttack{holds: holds, name: name, token: g.mint(t, options), error: "invalid_token", reason: reason}
	}
	claim := func(holds, name, reason string, claims object) tokenAttack {
		return bad(holds, name, reason, devauth.MintOptions{Claims: claims})
	}
	head := func(holds, name, reason string, header object) tokenAttack {
		return bad(holds, name, reason, devauth.MintOptions{Header: header})
	}
	good := g.token(t, "alice")
	elsewhere := func(holds, name string, change func(*http.Request)) tokenAttack {
		return tokenAttack{holds: holds, name: name, token: good, change: change, status: http.StatusBadRequest, error: "invalid_request"}
	}
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	return []tokenAttack{
		{holds: "RFC 6750 section 3.1", name: "none", reason: "no Authorization header"},
		{holds: "RFC 6750 section 2.1", name: "another scheme", change: set("Authorization", "Basic "+good), reason: "scheme"},
		{holds: "RFC 7519 section 7.2", name: "no JWT", token: "abc", error: "invalid_token", reason: "token"},
		{holds: "RFC 7516 section 9", name: "five parts", token: good + ".a.b", error: "invalid_token", reason: "token"},
		elsewhere("RFC 6750 section 2.3", "in the query as well", func(r *http.Request) { r.URL.RawQuery = "access_token=" + good }),
		elsewhere("RFC 6750 section 2.3", "in the query alone", func(r *http.Request) {
			r.URL.RawQuery = "%61ccess_token=" + good
			r.Header.Del("Authorization")
		}),
		elsewhere("RFC 6750 section 2", "twice", add("Authorization", "Bearer "+good)),
		elsewhere("RFC 6750 section 2.1", "two in one field", set("Authorization", "Bearer "+good+", Bearer "+good)),
		{holds: "RFC 6750 section 2.2", name: "in a form", change: func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}, reason: "no Authorization header"},
		{holds: "RFC 6265 section 5.4", name: "in a cookie", change: set("Cookie", "access_token="+good), reason: "no Authorization header"},

		bad("RFC 8707 section 2", "of another resource", "aud", devauth.MintOptions{Audience: []string{base + "/other"}}),
		bad("RFC 8707 section 2", "of all of the origin", "aud", devauth.MintOptions{Audience: []string{base}}),
		bad("RFC 3986 section 6.2.2.1", "of the path in other case", "aud", devauth.MintOptions{Audience: []string{base + "/MCP"}}),
		bad("RFC 9068 section 4", "of the issuer itself", "aud", devauth.MintOptions{Audience: []string{issuer.Issuer()}}),
		claim("RFC 9068 section 2.2", "no audience", "aud", object{"aud": nil}),
		claim("RFC 7519 section 4.1.3", "audience in an object", "aud", object{"aud": object{"resource": g.url}}),
		bad("RFC 9068 section 4", "another issuer", "iss", devauth.MintOptions{Issuer: "https://evil.example"}),
		bad("RFC 8414 section 2", "issuer with a slash more", "iss", devauth.MintOptions{Issuer: issuer.Issuer() + "/"}),
		claim("RFC 7519 section 4.1.1", "issuers in a list", "iss", object{"iss": []string{issuer.Issuer()}}),

		bad("RFC 7519 section 4.1.4", "expired", "exp", devauth.MintOptions{TTL: -time.Hour}),
		claim("RFC 9068 section 2.2", "no end", "exp", object{"exp": nil}),
		claim("RFC 7519 section 2", "end in a string", "exp", object{"exp": "9999999999"}),
		claim("RFC 7519 section 4.1.5", "not valid yet", "nbf", object{"nbf": time.Now().Add(time.Hour).Unix()}),
		claim("RFC 7519 section 4.1.6", "issued in the future", "iat", object{"iat": time.Now().Add(time.Hour).Unix()}),
		claim("RFC 9068 section 2.2", "no subject", "sub", object{"sub": nil}),
		claim("RFC 7519 section 4.1.2", "subject of two lines", "sub", object{"sub": "alice\nroot"}),

		bad("RFC 8725 section 3.2", "alg none", "alg", devauth.MintOptions{Sign: devauth.SignNone}),
		bad("RFC 8725 section 3.1", "HMAC with the public key", "alg", devauth.MintOptions{Sign: devauth.SignHMAC}),
		bad("RFC 7515 section 4.1.4", "unknown key", "kid", devauth.MintOptions{Sign: devauth.SignUnknownKey}),
		bad("RFC 7515 section 5.2", "key of the same name", "signature", devauth.MintOptions{Sign: devauth.SignForgedKey}),
		bad("RFC 7515 section 5.2", "corrupt signature", "signature", devauth.MintOptions{Sign: devauth.SignCorrupt}),
		{holds: "RFC 7515 section 5.2", name: "signature of another token", token: header + "." + payload + "." + lastPart(g.token(t, "bob")), error: "invalid_token", reason: "signature"},
		{holds: "RFC 7515 section 2", name: "padded base64", token: header + "." + payload + "." + signature + "==", error: "invalid_token", reason: "signature"},
		head("RFC 8725 section 3.5", "key in the header", "jwk", object{"jwk": object{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}),
		head("RFC 8725 section 3.10", "key set in the header", "jku", object{"jku": "https://evil.example/keys"}),
		head("RFC 8725 section 3.10", "certificate in the header", "x5u", object{"x5u": "https://evil.example/certificate"}),
		head("RFC 7515 section 4.1.11", "extension that is critical", "crit", object{"crit": []string{"exp"}}),
		head("RFC 8725 section 3.11", "typ of a proof", "typ", object{"typ": "dpop+jwt"}),
		head("RFC 8725 section 3.11", "typ of a logout token", "typ", object{"typ": "logout+jwt"}),

		bad("RFC 9068 section 5", "id token", "aud", devauth.MintOptions{IDToken: true, Audience: []string{"the-client"}}),
		bad("RFC 9068 section 5", "id token made for us", "at_hash", devauth.MintOptions{IDToken: true, Audience: []string{g.url}, Claims: object{"at_hash": "x"}}),
		claim("RFC 9068 section 5", "id token by c_hash", "c_hash", object{"c_hash": "x"}),
		claim("RFC 9068 section 5", "id token of Cognito", "token_use", object{"token_use": "id"}),
		claim("RFC 9068 section 5", "id token of Keycloak", "typ", object{"typ": "ID"}),
		claim("RFC 9449 section 7.1", "bound token as a bearer token", "cnf", object{"cnf": object{"jkt": "x"}}),
	}
}

func lastPart(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
