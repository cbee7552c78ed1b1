package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const testResource = "https://snapshots.example.com/mcp"

// Keys are made once: RSA ones take long.
var (
	rsaKey      = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	weakRSAKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	ecKey       = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384Key    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	edKey       = sync.OnceValue(func() ed25519.PrivateKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// jwk writes a public key as a JWK; more members override or, if nil, remove.
func jwk(kid string, private crypto.Signer, more map[string]any) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	key := map[string]any{"kid": kid, "use": "sig"}
	switch public := private.Public().(type) {
	case *rsa.PublicKey:
		key["kty"], key["n"], key["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(public.Bytes())[1:]
		key["kty"], key["crv"] = "EC", public.Curve.Params().Name
		key["x"], key["y"] = b64(point[:len(point)/2]), b64(point[len(point)/2:])
	case ed25519.PublicKey:
		key["kty"], key["crv"], key["x"] = "OKP", "Ed25519", b64(public)
	}
	for name, value := range more {
		if key[name] = value; value == nil {
			delete(key, name)
		}
	}
	return key
}

// clock is a clock that a test sets.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// issuer is an authorization server on loopback: metadata and keys, both of
// which a test may change or break while it runs.
type issuer struct {
	*httptest.Server
	clock *clock

	mu       sync.Mutex
	keys     []map[string]any
	metadata map[string]any
	breakage http.HandlerFunc // answers for the keys, if not nil

	keyFetches      atomic.Int64
	metadataFetches atomic.Int64
}

func newIssuer(t testing.TB, keys ...map[string]any) *issuer {
	t.Helper()
	i := &issuer{clock: newClock(), keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-authorization-server", i.serveMetadata)
	mux.HandleFunc("/keys", i.serveKeys)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	i.metadata = map[string]any{
		"issuer":                           i.URL,
		"jwks_uri":                         i.URL + "/keys",
		"code_challenge_methods_supported": []string{"S256"},
	}
	return i
}

func (i *issuer) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	i.metadataFetches.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	json.NewEncoder(w).Encode(i.metadata)
}

func (i *issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	i.keyFetches.Add(1)
	i.mu.Lock()
	breakage, keys := i.breakage, i.keys
	i.mu.Unlock()
	if breakage != nil {
		breakage(w, r)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}

func (i *issuer) setKeys(keys ...map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// breakKeys makes the key set answer otherwise; nil mends it.
func (i *issuer) breakKeys(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.breakage = h
}

func (i *issuer) describe(name string, value any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadata[name] = value
}

// config accepts the issuer's tokens, at the test's time.
func (i *issuer) config() Config {
	return Config{
		Issuers:  []string{i.URL},
		Resource: testResource,
		Logger:   slog.New(slog.DiscardHandler),
		Now:      i.clock.now,
	}
}

// claims are those of a good token; more override or, if nil, remove.
func (i *issuer) claims(more map[string]any) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss":       i.URL,
		"sub":       "alice",
		"aud":       testResource,
		"client_id": "inspector",
		"scope":     "snapshot:read snapshot:write",
		"iat":       i.clock.now().Unix(),
		"exp":       i.clock.now().Add(10 * time.Minute).Unix(),
		"jti":       rand.Text(),
	}
	for name, value := range more {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// mint signs claims; header members override or, if nil, remove.
func mint(method jwt.SigningMethod, key any, kid string, claims jwt.Claims, header map[string]any) string {
	token := jwt.NewWithClaims(method, claims)
	token.Header["typ"] = "at+jwt"
	token.Header["kid"] = kid
	for name, value := range header {
		if token.Header[name] = value; value == nil {
			delete(token.Header, name)
		}
	}
	return must(token.SignedString(key))
}

func newVerifier(t testing.TB, cfg Config) *Verifier {
	t.Helper()
	v, err := NewVerifier(cfg)
	if err != nil {
		t.Fatalf("NewVerifier: %v", err)
	}
	t.Cleanup(v.Close)
	return v
}

// refusalOf fails the test unless the token is refused with a status and a
// reason that starts as given, and nothing of the token stands in the error.
func refusalOf(t *testing.T, v *Verifier, token string, status int, reason string) *Error {
	t.Helper()
	p, err := v.Verify(t.Context(), token)
	if err == nil {
		t.Fatalf("accepted for %q; want status %d, reason %q", p.Subject, status, reason)
	}
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("error is a %T, want *Error", err)
	}
	if e.Status != status || !strings.HasPrefix(e.Reason, reason) {
		t.Fatalf("refused with %d %q (%v), want %d %q", e.Status, e.Reason, err, status, reason)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(e.Error()+e.Description, part) {
			t.Fatalf("error has bytes of the token: %v", e)
		}
	}
	return e
}

func accepted(t *testing.T, v *Verifier, token string) *Principal {
	t.Helper()
	p, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return p
}
