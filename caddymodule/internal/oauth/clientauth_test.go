package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestClientSecretIsSentAsConfigured(t *testing.T) {
	const id = "gate:1 ä"
	for _, method := range []string{"", AuthBasic, AuthPost} {
		change := func(c *Config) { c.Introspection.Client = ClientAuth{ID: id, Secret: clientSecret, Method: method} }
		atDesk(t, change, func(t *testing.T, d *desk, v *Verifier) {
			accepted(t, v, opaqueToken)
			q := d.asked()[0]
			if method == AuthPost {
				if q.form.Get("client_id") != id || q.form.Get("client_secret") != clientSecret || q.header.Get("Authorization") != "" {
					t.Errorf("post: %v %v", q.header, q.form)
				}
				return
			}
			// RFC 6749 section 2.3.1 and appendix B: encoded as in a form, then as Basic.
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(q.header.Get("Authorization"), "Basic "))
			if err != nil || string(raw) != "gate%3A1+%C3%A4:s3cret%3Awith%2Bodd+chars" {
				t.Errorf("basic: %q, %v", raw, err)
			}
			if q.form.Has("client_id") || q.form.Has("client_secret") {
				t.Errorf("the secret is in the form as well: %v", q.form)
			}
		})
	}
}

func TestClientAssertion(t *testing.T) {
	for alg, key := range map[string]crypto.Signer{
		"RS256": rsaKey(), "ES256": ecKey(), "ES384": ec384Key(), "EdDSA": edKey(),
		"ES512": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
	} {
		change := func(c *Config) {
			c.Introspection.Client = ClientAuth{ID: "gate", Key: key, KeyID: "key-1"}
		}
		atDesk(t, change, func(t *testing.T, d *desk, v *Verifier) {
			seen := map[any]bool{}
			for _, token := range []string{"one", "two"} {
				accepted(t, v, token)
				q := d.asked()[len(seen)]
				if q.form.Get("client_assertion_type") != assertionType || q.form.Get("client_id") != "gate" || q.form.Has("client_secret") || q.header.Get("Authorization") != "" {
					t.Errorf("%s: %v %v", alg, q.header, q.form)
				}
				claims := jwt.MapClaims{}
				parsed, err := jwt.ParseWithClaims(q.form.Get("client_assertion"), claims, func(*jwt.Token) (any, error) { return key.Public(), nil },
					jwt.WithValidMethods([]string{alg}), jwt.WithAudience(bubbleIssuer), jwt.WithIssuer("gate"), jwt.WithSubject("gate"),
					jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(time.Now))
				if err != nil {
					t.Fatalf("%s: %v", alg, err)
				}
				if life := claims["exp"].(float64) - claims["iat"].(float64); life != 60 || parsed.Header["kid"] != "key-1" || seen[claims["jti"]] {
					t.Errorf("%s: life %v, header %v, seen before: %v", alg, life, parsed.Header, seen[claims["jti"]])
				}
				seen[claims["jti"]] = true
			}
		})
	}
}

func TestParsePrivateKey(t *testing.T) {
	file := func(kind string, der []byte, err error) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: must(der, err)})
	}
	pkcs8 := func(key crypto.Signer) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return file("PRIVATE KEY", der, err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey())
	certificate := file("CERTIFICATE", []byte{1}, nil)
	for name, good := range map[string][]byte{
		"PKCS #8 RSA": pkcs8(rsaKey()), "PKCS #8 EC": pkcs8(ecKey()), "PKCS #8 Ed25519": pkcs8(edKey()),
		"PKCS #1": file("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()), nil), "SEC 1": file("EC PRIVATE KEY", sec1, err),
		"after others": slices.Concat([]byte("a comment\n"), certificate, file("EC PARAMETERS", []byte{1}, nil), pkcs8(edKey())),
	} {
		if key, err := ParsePrivateKey(good); err != nil || key == nil {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
	for name, tc := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":     {nil, "no private key in PEM form"},
		"a secret":    {[]byte("s3cret"), "no private key in PEM form"},
		"public":      {certificate, "no private key in PEM form"},
		"encrypted":   {file("ENCRYPTED PRIVATE KEY", []byte("s3cret"), nil), "decrypt it"},
		"OpenSSH":     {file("OPENSSH PRIVATE KEY", []byte("s3cret"), nil), "convert it to PKCS #8"},
		"broken":      {file("PRIVATE KEY", []byte("s3cret"), nil), "cannot be read"},
		"another one": {file("EC PRIVATE KEY", []byte("s3cret"), nil), "cannot be read"},
	} {
		key, err := ParsePrivateKey(tc.file)
		if err == nil || key != nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, %v; want %q", name, key, err, tc.want)
		}
	}
}

// What is sent must be of the characters of a form, whatever the id and the secret are.
func FuzzBasicCredentials(f *testing.F) {
	f.Add("gate", "s3cret")
	f.Add("a:b", "ä\r\nX: y")
	f.Fuzz(func(t *testing.T, id, secret string) {
		header, form := map[string][]string{}, url.Values{}
		if err := (ClientAuth{ID: id, Secret: secret, Method: AuthBasic}).authenticate(header, form, bubbleIssuer, time.Now()); err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header["Authorization"][0], "Basic "))
		if err != nil {
			t.Fatal(err)
		}
		encodedID, encodedSecret, _ := strings.Cut(string(raw), ":")
		gotID, err1 := url.QueryUnescape(encodedID)
		gotSecret, err2 := url.QueryUnescape(encodedSecret)
		if gotID != id || gotSecret != secret || err1 != nil || err2 != nil || len(form) != 0 {
			t.Fatalf("%q and %q are sent as %q", id, secret, raw)
		}
	})
}
