package devauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

func mint(t *testing.T, srv *Server, options MintOptions) string {
	t.Helper()
	token, err := srv.Mint(options)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestMintedTokenIsLikeAnIssuedOne(t *testing.T) {
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		srv := startServer(t, func(c *Config) { c.Algorithm = algorithm })
		token := mint(t, srv, MintOptions{})
		verifySignature(t, srv, token)
		_, tokens := obtainTokens(t, srv, "alice")
		issuedHeader, issued := decodeToken(t, tokens.text(t, "access_token"))
		header, claims := decodeToken(t, token)
		for name, value := range issuedHeader {
			if header[name] != value {
				t.Errorf("%s: header %s is %v, issued %v", algorithm, name, header[name], value)
			}
		}
		for name := range issued {
			if claims[name] == nil {
				t.Errorf("%s: claim %s is missing", algorithm, name)
			}
		}
		if header["alg"] != algorithm || claims["sub"] != "alice" || claims["aud"] != testResource || claims["scope"] != "snapshot:read snapshot:write snapshot:delete snapshot:export" {
			t.Errorf("%s: header %v, claims %v", algorithm, header, claims)
		}
	}
}

func TestMintOptions(t *testing.T) {
	clock := newClock()
	srv := startServer(t, func(c *Config) { c.Now = clock.Now })
	now := float64(clock.Now().Unix())
	header, claims := decodeToken(t, mint(t, srv, MintOptions{
		Subject: "mallory", Audience: []string{"a", "b"}, Scopes: []string{}, ClientID: "c", Issuer: "https://other.example", TTL: -time.Hour,
		Claims: map[string]any{"roles": []string{"x"}, "jti": nil}, Header: map[string]any{"typ": "JWT", "kid": nil, "x": 1},
	}))
	if header["typ"] != "JWT" || header["kid"] != nil || header["x"] != 1.0 || header["alg"] != "ES256" {
		t.Errorf("header %v", header)
	}
	if claims["sub"] != "mallory" || claims["client_id"] != "c" || claims["iss"] != "https://other.example" || claims["jti"] != nil || claims["scope"] != nil || claims["roles"] == nil {
		t.Errorf("claims %v", claims)
	}
	if audience, ok := claims["aud"].([]any); !ok || len(audience) != 2 {
		t.Errorf("aud %v", claims["aud"])
	}
	if claims["exp"] != now-3600 || claims["iat"] != now-7200 {
		t.Errorf("exp %v, iat %v at %v", claims["exp"], claims["iat"], now)
	}
	if header, _ := decodeToken(t, mint(t, srv, MintOptions{Header: map[string]any{"kid": "../../x", "alg": "RS256"}})); header["kid"] != "../../x" || header["alg"] != "RS256" {
		t.Errorf("header %v", header)
	}
}

// The thumbprint is that of the example key in RFC 9449 section 6.1.
func TestMintBindsTokens(t *testing.T) {
	srv := startServer(t, nil)
	var key jose.JSONWebKey
	unmarshal(t, `{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`, &key)
	_, claims := decodeToken(t, mint(t, srv, MintOptions{Key: key.Key, Certificate: &x509.Certificate{Raw: []byte("abc")}}))
	bound, _ := claims["cnf"].(map[string]any)
	if len(bound) != 2 || bound["jkt"] != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || bound["x5t#S256"] != "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" {
		t.Errorf("cnf %v", claims["cnf"])
	}
	if _, claims := decodeToken(t, mint(t, srv, MintOptions{})); claims["cnf"] != nil {
		t.Errorf("a bearer token is bound: %v", claims["cnf"])
	}
	if _, err := srv.Mint(MintOptions{Key: "no key"}); err == nil {
		t.Error("a key that is none is taken")
	}
}

func TestMintedAttacksDoNotVerify(t *testing.T) {
	srv := startServer(t, nil)
	for name, signing := range map[string]Signing{
		"unknown key": SignUnknownKey, "forged key": SignForgedKey, "none": SignNone, "HMAC": SignHMAC, "corrupt": SignCorrupt,
	} {
		token := mint(t, srv, MintOptions{Sign: signing})
		if err := signatureError(t, srv, token); err == nil {
			t.Errorf("%s verifies", name)
		}
		header, claims := decodeToken(t, token)
		if claims["sub"] != "alice" || claims["aud"] != testResource {
			t.Errorf("%s: claims %v", name, claims)
		}
		ownKey := header["kid"] == srv.KeyID()
		switch signing {
		case SignUnknownKey:
			if ownKey || header["alg"] != "ES256" {
				t.Errorf("%s: header %v", name, header)
			}
		case SignNone:
			if header["alg"] != "none" || !strings.HasSuffix(token, ".") {
				t.Errorf("%s: header %v", name, header)
			}
		case SignHMAC:
			if header["alg"] != "HS256" || !ownKey {
				t.Errorf("%s: header %v", name, header)
			}
		default:
			if header["alg"] != "ES256" || !ownKey {
				t.Errorf("%s: header %v", name, header)
			}
		}
	}
	if _, err := srv.Mint(MintOptions{Sign: Signing(99)}); err == nil {
		t.Error("an unknown signing is taken")
	}
}

// The HS256 token has to be right for a verifier that falls for it: otherwise a
// test that it is refused would show nothing.
func TestHMACTokenVerifiesWithThePublicKeyAsSecret(t *testing.T) {
	srv := startServer(t, func(c *Config) { c.Algorithm = "RS256" })
	token := mint(t, srv, MintOptions{Sign: SignHMAC})
	var set jose.JSONWebKeySet
	unmarshal(t, get(t, srv.Issuer()+"/jwks.json").body, &set)
	der, err := x509.MarshalPKIXPublicKey(set.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	signed := token[:strings.LastIndexByte(token, '.')]
	mac.Write([]byte(signed))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); token[len(signed)+1:] != want {
		t.Error("the signature is not HMAC under the PEM of the public key")
	}
}

func TestMintedIDTokenLookAlike(t *testing.T) {
	srv := startServer(t, nil)
	token := mint(t, srv, MintOptions{IDToken: true, Audience: []string{testResource}})
	verifySignature(t, srv, token)
	header, claims := decodeToken(t, token)
	if header["typ"] != "JWT" || claims["aud"] != testResource || claims["nonce"] == nil || claims["auth_time"] == nil || claims["scope"] != nil || claims["client_id"] != nil {
		t.Errorf("header %v, claims %v", header, claims)
	}
	if _, claims = decodeToken(t, mint(t, srv, MintOptions{IDToken: true, ClientID: "c"})); claims["aud"] != "c" {
		t.Errorf("aud %v", claims["aud"])
	}
}

func TestMintNeedsIssuerAndAudience(t *testing.T) {
	srv, err := New(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Mint(MintOptions{Audience: []string{"a"}}); err == nil {
		t.Error("minted without issuer")
	}
	if _, err := srv.Mint(MintOptions{Issuer: "http://localhost:1"}); err == nil {
		t.Error("minted without audience")
	}
}

func TestKeyRotation(t *testing.T) {
	srv := startServer(t, nil)
	old := mint(t, srv, MintOptions{})
	before := srv.KeyID()
	after, err := srv.RotateKey()
	if err != nil || after == before || after != srv.KeyID() {
		t.Fatalf("rotated %s to %s, %v", before, after, err)
	}
	header, _ := decodeToken(t, mint(t, srv, MintOptions{}))
	if header["kid"] != after {
		t.Errorf("kid %v", header["kid"])
	}
	verifySignature(t, srv, old)
	srv.RetireKeys()
	if err := signatureError(t, srv, old); err == nil {
		t.Error("a token of a retired key verifies")
	}
	verifySignature(t, srv, mint(t, srv, MintOptions{}))
}
