package oauth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/snapgate/snapgate/identity"
)

// signRaw signs a header and a payload that are given as text, as an issuer
// would that writes JSON by hand.
func signRaw(header, payload string) string {
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc([]byte(header)) + "." + enc([]byte(payload))
	return signed + "." + enc(must(jwt.SigningMethodEdDSA.Sign(signed, edKey())))
}

func TestGoodTokensAreAccepted(t *testing.T) {
	iss := newIssuer(t, jwk("rsa", rsaKey(), nil), jwk("ec", ecKey(), nil), jwk("ec384", ec384Key(), nil), jwk("ed", edKey(), nil))
	v := newVerifier(t, iss.config())
	good := func(claims, header map[string]any) string {
		return mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(claims), header)
	}
	tests := map[string]string{
		"RS256":                     mint(jwt.SigningMethodRS256, rsaKey(), "rsa", iss.claims(nil), nil),
		"RS384":                     mint(jwt.SigningMethodRS384, rsaKey(), "rsa", iss.claims(nil), nil),
		"RS512":                     mint(jwt.SigningMethodRS512, rsaKey(), "rsa", iss.claims(nil), nil),
		"PS256":                     mint(jwt.SigningMethodPS256, rsaKey(), "rsa", iss.claims(nil), nil),
		"PS512":                     mint(jwt.SigningMethodPS512, rsaKey(), "rsa", iss.claims(nil), nil),
		"ES256":                     mint(jwt.SigningMethodES256, ecKey(), "ec", iss.claims(nil), nil),
		"ES384":                     mint(jwt.SigningMethodES384, ec384Key(), "ec384", iss.claims(nil), nil),
		"EdDSA":                     good(nil, nil),
		"no kid":                    good(nil, map[string]any{"kid": nil}),
		"no kid, RSA":               mint(jwt.SigningMethodRS256, rsaKey(), "", iss.claims(nil), map[string]any{"kid": nil}),
		"typ absent":                good(nil, map[string]any{"typ": nil}),
		"typ JWT":                   good(nil, map[string]any{"typ": "JWT"}),
		"typ full media type":       good(nil, map[string]any{"typ": "Application/AT+JWT"}),
		"x5t is only a digest":      good(nil, map[string]any{"x5t": "abc"}),
		"audience in a list":        good(map[string]any{"aud": []string{"https://other.example.com", testResource}}, nil),
		"audience host in capitals": good(map[string]any{"aud": "HTTPS://Snapshots.Example.COM/mcp"}, nil),
		"nonce alone":               good(map[string]any{"nonce": "n"}, nil),
		"Cognito access token":      good(map[string]any{"token_use": "access"}, nil),
		"Keycloak access token":     good(map[string]any{"typ": "Bearer"}, nil),
		"expired within the skew":   good(map[string]any{"exp": iss.clock.now().Add(-29 * time.Second).Unix()}, nil),
		"begins within the skew":    good(map[string]any{"nbf": iss.clock.now().Add(30 * time.Second).Unix()}, nil),
		"exp with a fraction":       good(map[string]any{"exp": float64(iss.clock.now().Unix()) + 60.5}, nil),
		"client_id null":            signRaw(`{"alg":"EdDSA"}`, fmt.Sprintf(`{"iss":%q,"sub":"alice","aud":%q,"client_id":null,"exp":%d}`, iss.URL, testResource, iss.clock.now().Unix()+60)),
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			if p := accepted(t, v, token); p.Subject != "alice" || p.Issuer != iss.URL {
				t.Errorf("principal is %q of %q", p.Subject, p.Issuer)
			}
		})
	}
	if n := iss.keyFetches.Load(); n != 1 {
		t.Errorf("keys were fetched %d times, want once", n)
	}
}

// Each row is an attack, or a mistake that would open the same door.
func TestBadTokensAreRefused(t *testing.T) {
	iss := newIssuer(t,
		jwk("rsa", rsaKey(), nil), jwk("ec", ecKey(), nil), jwk("ed", edKey(), nil),
		jwk("weak", weakRSAKey(), nil), jwk("enc", otherRSAKey(), map[string]any{"use": "enc"}),
		jwk("ops", otherRSAKey(), map[string]any{"use": nil, "key_ops": []string{"encrypt"}}),
		jwk("rs512only", rsaKey(), map[string]any{"alg": "RS512"}),
		map[string]any{"kid": "oct", "kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
	)
	var log bytes.Buffer
	cfg := iss.config()
	cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := newVerifier(t, cfg)
	ed := func(claims, header map[string]any) string {
		return mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(claims), header)
	}
	good := ed(nil, nil)
	parts := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	body := fmt.Sprintf(`"iss":%q,"sub":"alice","aud":%q,"exp":%d`, iss.URL, testResource, iss.clock.now().Unix()+60)
	publicPEM := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))

	tests := []struct{ rule, name, token, reason string }{
		{"RFC 8725 3.2", "alg none", mint(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "ed", iss.claims(nil), nil), "alg"},
		{"RFC 8725 3.2", "alg nOnE", enc([]byte(`{"alg":"nOnE"}`)) + "." + parts[1] + ".AAAA", "alg"},
		{"RFC 8725 3.1", "HS256 with the public key as secret", mint(jwt.SigningMethodHS256, publicPEM, "rsa", iss.claims(nil), nil), "alg"},
		{"RFC 8725 3.1", "HS256 with the modulus as secret", mint(jwt.SigningMethodHS256, rsaKey().N.Bytes(), "rsa", iss.claims(nil), nil), "alg"},
		{"RFC 8725 3.1", "HS256 with a symmetric key of the set", mint(jwt.SigningMethodHS256, []byte("secret"), "oct", iss.claims(nil), nil), "alg"},
		{"RFC 8725 3.1", "alg not a string", enc([]byte(`{"alg":["EdDSA"]}`)) + "." + parts[1] + "." + parts[2], "alg"},
		{"RFC 8725 3.1", "alg missing", enc([]byte(`{}`)) + "." + parts[1] + "." + parts[2], "alg"},
		{"RFC 8725 3.1", "key of another type", mint(jwt.SigningMethodRS256, rsaKey(), "ec", iss.claims(nil), nil), "alg: the key named"},
		{"RFC 7517 4.4", "key is for another algorithm", mint(jwt.SigningMethodRS256, rsaKey(), "rs512only", iss.claims(nil), nil), "alg: the key named"},
		{"RFC 7518 3.3", "RSA key of 1024 bits", mint(jwt.SigningMethodRS256, weakRSAKey(), "weak", iss.claims(nil), nil), "kid"},
		{"RFC 7517 4.2", "key for encryption", mint(jwt.SigningMethodRS256, otherRSAKey(), "enc", iss.claims(nil), nil), "kid"},
		{"RFC 7517 4.3", "key not for verifying", mint(jwt.SigningMethodRS256, otherRSAKey(), "ops", iss.claims(nil), nil), "kid"},
		{"RFC 7515 4.1.4", "unknown key", mint(jwt.SigningMethodRS256, otherRSAKey(), "mallory", iss.claims(nil), nil), "kid"},
		{"RFC 7515 4.1.4", "kid not a string", ed(nil, map[string]any{"kid": 7}), "kid"},
		{"RFC 7515 4.1.4", "kid endless", ed(nil, map[string]any{"kid": strings.Repeat("k", 2000)}), "kid"},
		{"RFC 7515 4.1.4", "kid with a path", ed(nil, map[string]any{"kid": "../../dev/null"}), "kid"},
		{"RFC 7515 5.2", "signed by someone else", mint(jwt.SigningMethodRS256, otherRSAKey(), "rsa", iss.claims(nil), nil), "signature"},
		{"RFC 7515 5.2", "signed by someone else, no kid", mint(jwt.SigningMethodRS256, otherRSAKey(), "", iss.claims(nil), map[string]any{"kid": nil}), "signature"},
		{"RFC 7515 5.2", "payload changed", parts[0] + "." + enc([]byte("{"+body+"}")) + "." + parts[2], "signature"},
		{"RFC 7515 5.2", "signature cut off", parts[0] + "." + parts[1] + ".", "signature"},
		{"RFC 7515 5.2", "signature in ASN.1 form", asn1ES256(iss), "signature"},
		{"RFC 7518 3.5", "PSS with another salt length", shortSaltPS256(iss), "signature"},
		{"RFC 8725 3.5", "key in the header", ed(nil, map[string]any{"jwk": jwk("x", edKey(), nil)}), "jwk"},
		{"RFC 8725 3.10", "key set in the header", ed(nil, map[string]any{"jku": "https://evil.example.com/keys"}), "jku"},
		{"RFC 8725 3.10", "certificate address in the header", ed(nil, map[string]any{"x5u": "https://evil.example.com/cert"}), "x5u"},
		{"RFC 8725 3.10", "certificate in the header", ed(nil, map[string]any{"x5c": []string{"MII"}}), "x5c"},
		{"RFC 7515 4.1.11", "critical extension", ed(nil, map[string]any{"crit": []string{"b64"}, "b64": false}), "crit"},
		{"RFC 9068 4", "typ of another kind", ed(nil, map[string]any{"typ": "dpop+jwt"}), "typ"},
		{"RFC 9068 4", "typ of a logout token", ed(nil, map[string]any{"typ": "logout+jwt"}), "typ"},
		{"RFC 9068 4", "typ not a string", ed(nil, map[string]any{"typ": 1}), "typ"},
		{"RFC 9068 4", "issuer missing", ed(map[string]any{"iss": nil}, nil), "iss"},
		{"RFC 9068 4", "another issuer", ed(map[string]any{"iss": "https://evil.example.com"}, nil), "iss"},
		{"RFC 9068 4", "issuer with a slash more", ed(map[string]any{"iss": iss.URL + "/"}, nil), "iss"},
		{"RFC 9068 4", "issuer not a string", ed(map[string]any{"iss": []string{iss.URL}}, nil), "iss"},
		{"RFC 9068 4", "issuer with a line feed", ed(map[string]any{"iss": iss.URL + "\nx"}, nil), "iss"},
		{"RFC 9068 4", "audience missing", ed(map[string]any{"aud": nil}, nil), "aud"},
		{"RFC 9068 4", "another audience", ed(map[string]any{"aud": "https://other.example.com/mcp"}, nil), "aud"},
		{"RFC 9068 4", "audience is the issuer", ed(map[string]any{"aud": iss.URL}, nil), "aud"},
		{"RFC 9068 4", "audience path in capitals", ed(map[string]any{"aud": "https://snapshots.example.com/MCP"}, nil), "aud"},
		{"RFC 9068 4", "audience with a slash more", ed(map[string]any{"aud": testResource + "/"}, nil), "aud"},
		{"RFC 9068 4", "audience is a prefix", ed(map[string]any{"aud": "https://snapshots.example.com"}, nil), "aud"},
		{"RFC 9068 4", "audience list empty", ed(map[string]any{"aud": []string{}}, nil), "aud"},
		{"RFC 9068 4", "audience list of mixed types", ed(map[string]any{"aud": []any{testResource, 1}}, nil), "aud"},
		{"RFC 9068 2.2", "exp missing", ed(map[string]any{"exp": nil}, nil), "exp"},
		{"RFC 7519 4.1.4", "expired beyond the skew", ed(map[string]any{"exp": iss.clock.now().Add(-30 * time.Second).Unix()}, nil), "exp: the token has expired"},
		{"RFC 7519 4.1.4", "exp a string", ed(map[string]any{"exp": "9999999999"}, nil), "exp"},
		{"RFC 7519 4.1.4", "exp past all calendars", ed(map[string]any{"exp": 1e300}, nil), "exp"},
		{"RFC 7519 4.1.4", "exp of 64 bits", signRaw(`{"alg":"EdDSA"}`, strings.ReplaceAll("{"+body+"}", fmt.Sprint(iss.clock.now().Unix()+60), "18446744073709551615")), "exp"},
		{"RFC 7519 4.1.4", "exp negative", ed(map[string]any{"exp": -1}, nil), "exp"},
		{"RFC 7519 4.1.5", "not yet valid", ed(map[string]any{"nbf": iss.clock.now().Add(31 * time.Second).Unix()}, nil), "nbf"},
		{"RFC 7519 4.1.6", "issued in the future", ed(map[string]any{"iat": iss.clock.now().Add(31 * time.Second).Unix()}, nil), "iat"},
		{"RFC 7519 4.1.6", "iat a string", ed(map[string]any{"iat": "now"}, nil), "iat"},
		{"RFC 9068 2.2", "subject missing", ed(map[string]any{"sub": nil}, nil), "sub"},
		{"RFC 9068 2.2", "subject empty", ed(map[string]any{"sub": ""}, nil), "sub"},
		{"RFC 9068 2.2", "subject a number", ed(map[string]any{"sub": 7}, nil), "sub"},
		{"user key", "subject with a line feed", ed(map[string]any{"sub": "alice\nbob"}, nil), "sub"},
		{"user key", "subject with NUL", ed(map[string]any{"sub": "alice\x00"}, nil), "sub"},
		{"user key", "subject with a line separator", ed(map[string]any{"sub": "alice\u2028"}, nil), "sub"},
		{"user key", "subject endless", ed(map[string]any{"sub": strings.Repeat("a", 2000)}, nil), "sub"},
		{"user key", "client with a line feed", ed(map[string]any{"client_id": "a\nb"}, nil), "client_id"},
		{"user key", "cid with a line feed", ed(map[string]any{"client_id": nil, "cid": "a\nb"}, nil), "cid"},
		{"RFC 9068 5", "id token by at_hash", ed(map[string]any{"at_hash": "x"}, nil), "at_hash"},
		{"RFC 9068 5", "id token by c_hash", ed(map[string]any{"c_hash": "x"}, nil), "c_hash"},
		{"RFC 9068 5", "id token by nonce", ed(map[string]any{"nonce": "x", "client_id": nil, "scope": nil, "jti": nil}, nil), "nonce"},
		{"RFC 9068 5", "id token of Cognito", ed(map[string]any{"token_use": "id"}, nil), "token_use"},
		{"RFC 9068 5", "id token of Keycloak", ed(map[string]any{"typ": "ID"}, nil), "typ"},
		{"RFC 9068 5", "id token by s_hash", ed(map[string]any{"s_hash": "x"}, nil), "s_hash"},
		{"RFC 9068 5", "id token by all its marks", ed(map[string]any{"token_use": "ID", "nonce": "x", "auth_time": 1}, nil), "token_use"},
		{"RFC 9068 5", "refresh token of Hydra", ed(map[string]any{"token_use": "refresh_token"}, nil), "token_use"},
		{"RFC 9068 5", "offline token of Keycloak", ed(map[string]any{"typ": "Offline"}, nil), "typ"},
		{"RFC 9068 5", "refresh token of Keycloak", ed(map[string]any{"typ": "Refresh"}, nil), "typ"},
		{"RFC 9449 7.1", "bound token as a bearer token", ed(map[string]any{"cnf": map[string]any{"jkt": "x"}}, nil), "cnf"},
		{"RFC 9068 2.2.3", "scope a number", ed(map[string]any{"scope": 7}, nil), "scope"},
		{"RFC 9068 2.2.3", "scope list of mixed types", ed(map[string]any{"scope": []any{"a", 1}}, nil), "scope"},
		{"RFC 7519 4", "claim twice", signRaw(`{"alg":"EdDSA"}`, "{"+body+`,"sub":"bob"}`), "payload"},
		{"RFC 7519 4", "claim twice, once escaped", signRaw(`{"alg":"EdDSA"}`, "{"+body+`,"\u0073ub":"bob"}`), "payload"},
		{"RFC 7515 4", "header member twice", signRaw(`{"alg":"EdDSA","alg":"none"}`, "{"+body+"}"), "header"},
		{"RFC 7519 7.2", "something after the payload", signRaw(`{"alg":"EdDSA"}`, "{"+body+"} {}"), "payload"},
		{"RFC 7519 7.2", "payload a list", signRaw(`{"alg":"EdDSA"}`, "[]"), "payload"},
		{"RFC 7519 7.2", "payload empty", signRaw(`{"alg":"EdDSA"}`, ""), "payload"},
		{"RFC 7519 7.2", "payload not UTF-8", signRaw(`{"alg":"EdDSA"}`, "{"+body+",\"x\":\"\xff\"}"), "payload"},
		{"RFC 7519 7.2", "payload nested deeply", signRaw(`{"alg":"EdDSA"}`, "{"+body+`,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}"), "payload"},
		{"RFC 7515 2", "line break in base64", parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2], "payload"},
		{"RFC 7515 2", "padded base64", parts[0] + "." + parts[1] + "." + parts[2] + "==", "signature"},
		{"RFC 7515 2", "second form of base64", parts[0] + "." + parts[1] + "." + secondForm(parts[2]), "signature"},
		{"RFC 7516", "encrypted token", good + ".a.b", "token"},
		{"RFC 6750", "opaque token", "2YotnFZFEjr1zCsicMWpAA", "token"},
		{"RFC 6750", "empty token", "", "token"},
		{"bounds", "token over 16 KiB", ed(map[string]any{"x": strings.Repeat("x", 13_000)}, nil), "token: longer"},
	}
	for _, test := range tests {
		t.Run(test.rule+" "+test.name, func(t *testing.T) {
			e := refusalOf(t, v, test.token, 401, test.reason)
			if e.Code != "invalid_token" {
				t.Errorf("code is %q", e.Code)
			}
		})
	}
	if n := iss.keyFetches.Load(); n > 2 {
		t.Errorf("keys were fetched %d times in one interval, want the first time and once more", n)
	}
	accepted(t, v, good)

	v.Close() // so that nothing writes the log any more
	for _, test := range tests {
		for part := range strings.SplitSeq(test.token, ".") {
			if len(part) > 8 && strings.Contains(log.String(), part) {
				t.Errorf("%s: a part of the token is in the log", test.name)
			}
		}
	}
}

// asn1ES256 has a good ECDSA signature in the form of X.509 (RFC 7518 section 3.4
// wants the plain pair).
func asn1ES256(iss *issuer) string {
	signed := withoutSignature(mint(jwt.SigningMethodES256, ecKey(), "ec", iss.claims(nil), nil))
	digest := sha256.Sum256([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(must(ecKey().Sign(rand.Reader, digest[:], crypto.SHA256)))
}

func shortSaltPS256(iss *issuer) string {
	signed := withoutSignature(mint(jwt.SigningMethodPS256, rsaKey(), "rsa", iss.claims(nil), nil))
	digest := sha256.Sum256([]byte(signed))
	signature := must(rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 8}))
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func withoutSignature(token string) string {
	return token[:strings.LastIndexByte(token, '.')]
}

// secondForm changes the unused bits of the last letter: lax decoders see the
// same bytes.
func secondForm(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last^1])
}

func TestRefusalSaysLittleToTheClient(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	v := newVerifier(t, iss.config())
	tests := []struct {
		claims      map[string]any
		description string
	}{
		{map[string]any{"exp": 1}, "The access token expired"},
		{map[string]any{"aud": "https://other.example.com"}, "The access token is for another resource"},
		{map[string]any{"sub": ""}, "The access token is invalid"},
		{map[string]any{"iss": "https://evil.example.com"}, "The access token is invalid"},
	}
	for _, test := range tests {
		e := refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(test.claims), nil), 401, "")
		if e.Description != test.description {
			t.Errorf("description is %q, want %q", e.Description, test.description)
		}
	}
}

func TestPrincipalHoldsWhatTheTokenSays(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	v := newVerifier(t, iss.config())
	claims := iss.claims(map[string]any{
		"client_id": nil, "azp": "vscode",
		"scope": "a b  a \"bad\"", "scp": []string{"c", "b", "not a token"},
		"uid": int64(9007199254740993), "groups": []string{"x", "y"}, "ratio": 0.5,
	})
	p := accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", claims, nil))

	if want := identity.UserKey(iss.URL, "alice"); p.User != want {
		t.Errorf("user is %q, want %q", p.User, want)
	}
	if p.ClientID != "vscode" {
		t.Errorf("client is %q, want azp", p.ClientID)
	}
	if want := []string{"a", "b", "c"}; !slices.Equal(p.Scopes, want) {
		t.Errorf("scopes are %q, want %q", p.Scopes, want)
	}
	if want := iss.clock.now().Add(10 * time.Minute); !p.Expires.Equal(want) {
		t.Errorf("expires at %v, want %v", p.Expires, want)
	}

	id := p.Identity([]string{"uid", "groups", "absent"})
	if err := id.Validate(); err != nil {
		t.Errorf("identity: %v", err)
	}
	if want := map[string]any{"uid": int64(9007199254740993), "groups": []any{"x", "y"}}; !reflect.DeepEqual(id.Claims, want) {
		t.Errorf("claims are %v, want %v", id.Claims, want)
	}
	raw := must(json.Marshal(p.Identity(nil)))
	if !strings.Contains(string(raw), `"claims":{}`) || !strings.Contains(string(raw), `"scopes":["a","b","c"]`) {
		t.Errorf("identity without claims is %s", raw)
	}
}

func TestClientIsNamedByTheFirstClaimThatThereIs(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	v := newVerifier(t, iss.config())
	for _, test := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"client_id": "one", "azp": "two", "cid": "three"}, "one"},
		{map[string]any{"client_id": nil, "azp": "two", "cid": "three"}, "two"},
		{map[string]any{"client_id": nil, "azp": "", "cid": "three"}, "three"},
		{map[string]any{"client_id": nil, "cid": 7}, ""},
		{map[string]any{"client_id": nil}, ""},
	} {
		p := accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(test.claims), nil))
		if p.ClientID != test.want {
			t.Errorf("%v: the client is %q, want %q", test.claims, p.ClientID, test.want)
		}
	}
}

func TestTokenWithoutScopesHasNone(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	p := accepted(t, newVerifier(t, iss.config()), mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(map[string]any{"scope": nil}), nil))
	if p.Scopes == nil || len(p.Scopes) != 0 {
		t.Errorf("scopes are %#v, want an empty list", p.Scopes)
	}
}

func TestSettingsDecide(t *testing.T) {
	iss := newIssuer(t, jwk("rsa", rsaKey(), nil), jwk("ed", edKey(), nil))
	claims := iss.claims(map[string]any{
		"aud": "api://snapshots", "email": "alice@example.com", "roles": []string{"reader"},
		"exp": iss.clock.now().Add(-2 * time.Minute).Unix(), "iat": nil,
	})
	cfg := iss.config()
	cfg.Audience = []string{"api://snapshots", "https://root.example.com/"}
	cfg.Subject = "email"
	cfg.ScopeClaims = []string{"roles"}
	cfg.ClockSkew = 3 * time.Minute
	cfg.Algorithms = []string{"EdDSA"}
	v := newVerifier(t, cfg)

	p := accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", claims, nil))
	if p.Subject != "alice@example.com" || !slices.Equal(p.Scopes, []string{"reader"}) {
		t.Errorf("subject %q with scopes %q", p.Subject, p.Scopes)
	}
	refusalOf(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "rsa", claims, nil), 401, "alg")
	claims["aud"] = testResource
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", claims, nil), 401, "aud")
	claims["aud"] = "https://ROOT.example.com"
	accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", claims, nil))
	claims["aud"] = "API://snapshots"
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", claims, nil), 401, "aud")

	cfg = iss.config()
	cfg.ClockSkew = -1
	expired := iss.claims(map[string]any{"exp": iss.clock.now().Unix()})
	refusalOf(t, newVerifier(t, cfg), mint(jwt.SigningMethodEdDSA, edKey(), "ed", expired, nil), 401, "exp")
}

// A key of one issuer must not make tokens of another, even under the same kid.
func TestKeysOfOneIssuerAreNoneOfAnother(t *testing.T) {
	one, two := newIssuer(t, jwk("k", edKey(), nil)), newIssuer(t, jwk("k", rsaKey(), nil))
	cfg := one.config()
	cfg.Issuers = []string{one.URL, two.URL}
	v := newVerifier(t, cfg)

	if p := accepted(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "k", two.claims(nil), nil)); p.Issuer != two.URL {
		t.Errorf("issuer is %q", p.Issuer)
	}
	if one.keyFetches.Load() != 0 {
		t.Error("the other issuer was asked as well")
	}
	accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", one.claims(nil), nil))
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", two.claims(nil), nil), 401, "alg")
	refusalOf(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "k", one.claims(nil), nil), 401, "alg")
}

// A token without kid is tried with the keys for its algorithm, no others.
func TestKeyServesItsOwnAlgorithmWithoutKeyIDToo(t *testing.T) {
	iss := newIssuer(t, jwk("k", rsaKey(), map[string]any{"alg": "RS512"}))
	v := newVerifier(t, iss.config())
	noKeyID := map[string]any{"kid": nil}
	accepted(t, v, mint(jwt.SigningMethodRS512, rsaKey(), "", iss.claims(nil), noKeyID))
	refusalOf(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "", iss.claims(nil), noKeyID), 401, "signature")
	refusalOf(t, v, mint(jwt.SigningMethodPS512, rsaKey(), "", iss.claims(nil), noKeyID), 401, "signature")
}

// Two keys may share a kid if their types differ (RFC 7517 section 4.5).
func TestKeysOfTwoTypesMayShareAKeyID(t *testing.T) {
	iss := newIssuer(t, jwk("k", edKey(), nil), jwk("k", rsaKey(), nil))
	v := newVerifier(t, iss.config())
	accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(nil), nil))
	accepted(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "k", iss.claims(nil), nil))
}
