package oauth

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// prover is a client with a key that its tokens are bound to.
type prover struct {
	method jwt.SigningMethod
	key    crypto.Signer
}

func edProver() prover { return prover{jwt.SigningMethodEdDSA, edKey()} }

// confirmation is the cnf claim of the client's tokens.
func (p prover) confirmation() map[string]any {
	return map[string]any{"jkt": thumbprint(p.key.Public())}
}

// proof is one for a POST to the test's resource, now; claims and header members
// override or, if nil, remove.
func (p prover) proof(c *clock, token string, claims, header map[string]any) string {
	public := jwk("", p.key, map[string]any{"kid": nil, "use": nil})
	sum := sha256.Sum256([]byte(token))
	all := jwt.MapClaims{
		"jti": rand.Text(),
		"htm": "POST",
		"htu": testResource,
		"iat": c.now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	members := map[string]any{"typ": "dpop+jwt", "jwk": public, "kid": nil}
	for name, value := range header {
		members[name] = value
	}
	return mint(p.method, p.key, "", all, members)
}

// border is an authenticator with an issuer behind it.
type border struct {
	*Authenticator
	issuer *issuer
	clock  *clock
}

func newBorder(t testing.TB, p Presentation, change ...func(*Config)) *border {
	t.Helper()
	iss := newIssuer(t, jwk("ed", edKey(), nil), jwk("ec", ecKey(), nil))
	cfg := iss.config()
	for _, f := range change {
		f(&cfg)
	}
	return &border{must(NewAuthenticator(newVerifier(t, cfg), p)), iss, iss.clock}
}

// token is a good one with these claims more.
func (b *border) token(claims map[string]any) string {
	return mint(jwt.SigningMethodEdDSA, edKey(), "ed", b.issuer.claims(claims), nil)
}

// bound is a token of the client.
func (b *border) bound(p prover) string {
	return b.token(map[string]any{"cnf": p.confirmation()})
}

// request is a POST under a scheme, with a proof if there is one.
func request(scheme, token, proof string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://another.name:8080/inside", nil)
	r.Header.Set("Authorization", scheme+" "+token)
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	return r
}

// withCertificate makes it a request over TLS with a certificate of the client.
func withCertificate(r *http.Request, state *tls.ConnectionState) *http.Request {
	r.TLS = state
	return r
}

// ask sends a request and returns the refusal, nil if it was let in, and the header of
// the answer.
func (b *border) ask(t testing.TB, r *http.Request) (*Error, http.Header) {
	t.Helper()
	h := http.Header{}
	p, err := b.Authenticate(r, h)
	if err == nil {
		if p == nil || p.Subject != "alice" {
			t.Fatalf("let in as %+v", p)
		}
		return nil, h
	}
	refusal, ok := err.(*Error)
	if !ok || p != nil {
		t.Fatalf("%v, error is a %T", p, err)
	}
	return refusal, h
}

// letIn and keptOut hold what becomes of a request.
func (b *border) letIn(t testing.TB, r *http.Request) http.Header {
	t.Helper()
	refusal, h := b.ask(t, r)
	if refusal != nil {
		t.Fatalf("refused: %d %s, %v", refusal.Status, refusal.Code, refusal)
	}
	return h
}

func (b *border) keptOut(t testing.TB, r *http.Request, code string) *Error {
	t.Helper()
	refusal, _ := b.ask(t, r)
	if refusal == nil || refusal.Code != code {
		t.Fatalf("refusal is %#v, want %s", refusal, code)
	}
	return refusal
}
