package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// clientCertificate is a self-signed one, and the cnf claim that binds a token to it.
func clientCertificate(t testing.TB, name int64) (*tls.ConnectionState, map[string]any) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(name), NotAfter: time.Now().Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, ecKey().Public(), ecKey()))
	sum := sha256.Sum256(der)
	state := &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{must(x509.ParseCertificate(der))}}
	return state, map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// A binding that a token has is checked whether or not one is demanded. The columns are
// what "bound" says.
func TestBindingOfTheToken(t *testing.T) {
	p := edProver()
	mine, certificate := clientCertificate(t, 1)
	others, _ := clientCertificate(t, 2)
	both := map[string]any{"jkt": p.confirmation()["jkt"], "x5t#S256": certificate["x5t#S256"]}
	issuedBy := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{others.PeerCertificates[0], mine.PeerCertificates[0]}}
	const no = "invalid_token"
	tests := []struct {
		rule, name string
		cnf        any
		scheme     string
		proof      bool
		state      *tls.ConnectionState
		want       map[Bound]string // "" where it is let in
	}{
		{"RFC 6750 2.1", "unbound token", nil, "Bearer", false, nil, map[Bound]string{BoundNot: "", BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 6750 2.1", "unbound token with a proof and a certificate", nil, "Bearer", true, mine, map[Bound]string{BoundNot: "", BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 9449 7.1", "unbound token under the DPoP scheme", nil, "DPoP", true, mine, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 9449 7.1", "bound token with its proof", p.confirmation(), "DPoP", true, nil, map[Bound]string{BoundNot: "", BoundDPoP: "", BoundMTLS: no, BoundAny: ""}},
		{"RFC 9449 7.2", "bound token as a bearer token", p.confirmation(), "Bearer", false, nil, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 9449 7.2", "bound token as a bearer token, its proof beside it", p.confirmation(), "Bearer", true, mine, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 9449 7.1", "bound token under the DPoP scheme without a proof", p.confirmation(), "DPoP", false, nil, map[Bound]string{BoundNot: CodeInvalidProof, BoundDPoP: CodeInvalidProof, BoundMTLS: CodeInvalidProof, BoundAny: CodeInvalidProof}},
		{"RFC 8705 3", "token with its certificate", certificate, "Bearer", false, mine, map[Bound]string{BoundNot: "", BoundDPoP: no, BoundMTLS: "", BoundAny: ""}},
		{"RFC 8705 3", "token without its certificate", certificate, "Bearer", false, nil, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 8705 3", "token on a connection without certificate", certificate, "Bearer", false, &tls.ConnectionState{}, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 8705 3", "token with another certificate of the same key", certificate, "Bearer", false, others, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 8705 3", "its certificate is further up the chain", certificate, "Bearer", false, issuedBy, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 8705 3", "token under the DPoP scheme", certificate, "DPoP", true, mine, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 7800 3.1", "bound to both, both there", both, "DPoP", true, mine, map[Bound]string{BoundNot: "", BoundDPoP: "", BoundMTLS: "", BoundAny: ""}},
		{"RFC 7800 3.1", "bound to both, no certificate", both, "DPoP", true, nil, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
		{"RFC 7800 3.1", "bound to both, no proof", both, "Bearer", false, mine, map[Bound]string{BoundNot: no, BoundDPoP: no, BoundMTLS: no, BoundAny: no}},
	}
	for _, test := range tests {
		t.Run(test.rule+" "+test.name, func(t *testing.T) {
			for demand, code := range test.want {
				b := newBorder(t, Presentation{Bound: demand})
				token := b.token(map[string]any{"cnf": test.cnf})
				proof := ""
				if test.proof {
					proof = p.proof(b.clock, token, nil, nil)
				}
				r := withCertificate(request(test.scheme, token, proof), test.state)
				if code == "" {
					b.letIn(t, r)
				} else if e := b.keptOut(t, r, code); e.Status != 401 || e.Scheme != test.scheme {
					t.Errorf("bound %q: refused with %d under %s", demand, e.Status, e.Scheme)
				}
			}
		})
	}
}

func TestConfirmationsThatCannotBeChecked(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	v := newVerifier(t, iss.config())
	_, certificate := clientCertificate(t, 1)
	jkt := edProver().confirmation()["jkt"].(string)
	for name, cnf := range map[string]any{
		"RFC 7800 3.1: no object":                "x",
		"RFC 7800 3.1: a list":                   []any{map[string]any{"jkt": jkt}},
		"RFC 7800 3.1: empty":                    map[string]any{},
		"RFC 7800 3.2: a key alone":              map[string]any{"jwk": jwk("x", edKey(), nil)},
		"RFC 7800 3.4: a key id alone":           map[string]any{"kid": "x"},
		"RFC 9449 6.1: thumbprint too short":     map[string]any{"jkt": jkt[:40]},
		"RFC 9449 6.1: thumbprint padded":        map[string]any{"jkt": jkt + "="},
		"RFC 9449 6.1: thumbprint a number":      map[string]any{"jkt": 7},
		"RFC 9449 6.1: name in capitals":         map[string]any{"JKT": jkt},
		"RFC 8705 3.1: digest in hexadecimal":    map[string]any{"x5t#S256": strings.Repeat("ab", 32)},
		"RFC 8705 3.1: digest empty":             map[string]any{"x5t#S256": ""},
		"RFC 8705 3.1: SHA-1":                    map[string]any{"x5t": "x"},
		"one that is good, one that is not":      map[string]any{"jkt": jkt, "x5t#S256": "x"},
		"one that is not, though the other were": map[string]any{"jkt": nil, "x5t#S256": certificate["x5t#S256"]},
	} {
		t.Run(name, func(t *testing.T) {
			token := mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(map[string]any{"cnf": cnf}), nil)
			refusalOf(t, v, token, 401, "cnf: ")
		})
	}
	known := map[string]any{"jkt": jkt, "x5t#S256": certificate["x5t#S256"], "kid": "passed over, as RFC 7800 section 3.1 says"}
	p := accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(map[string]any{"cnf": known}), nil))
	if want := (Confirmation{JKT: jkt, X5T: certificate["x5t#S256"].(string)}); p.Confirmation != want {
		t.Errorf("confirmation is %+v, want %+v", p.Confirmation, want)
	}
}

// Nothing is remembered of a token that could let its next bearer in.
func TestBindingIsCheckedOnCachedTokens(t *testing.T) {
	b := newBorder(t, Presentation{})
	mine, certificate := clientCertificate(t, 1)
	token := b.token(map[string]any{"cnf": certificate})
	for range 2 {
		b.letIn(t, withCertificate(request("Bearer", token, ""), mine))
		b.keptOut(t, request("Bearer", token, ""), "invalid_token")
	}
}

func TestPlatformAssertions(t *testing.T) {
	b := newBorder(t, Presentation{TokenHeader: "x-goog-iap-jwt-assertion"}, func(c *Config) {
		c.Audience = []string{"/projects/123/global/backendServices/456", "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"}
	})
	if b.TokenHeader() != "X-Goog-Iap-Jwt-Assertion" || b.Schemes() != nil {
		t.Fatalf("header %q, schemes %v", b.TokenHeader(), b.Schemes())
	}
	base := map[string]any{"client_id": nil, "scope": nil, "jti": nil}
	with := func(more map[string]any) string {
		for name, value := range base {
			if _, ok := more[name]; !ok {
				more[name] = value
			}
		}
		return mint(jwt.SigningMethodES256, ecKey(), "ec", b.issuer.claims(more), map[string]any{"typ": "JWT"})
	}
	ask := func(token string) *http.Request {
		r := request("Bearer", "what-the-platform-was-sent", "")
		r.Header.Set("X-Goog-IAP-JWT-Assertion", token)
		return r
	}
	now := b.clock.now().Unix()
	google := map[string]any{
		"aud": "/projects/123/global/backendServices/456", "azp": "/projects/123/global/backendServices/456",
		"email": "alice@example.com", "hd": "example.com", "google": map[string]any{"access_levels": []string{"x"}}, "identity_source": "GOOGLE",
	}
	cloudflare := map[string]any{
		"aud": []string{"32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"}, "type": "app", "identity_nonce": "6ei69kawdKzMIAPF",
		"email": "alice@example.com", "country": "US", "nbf": now, "policy_id": "x", "custom": map[string]any{},
	}
	b.letIn(t, ask(with(google)))
	b.letIn(t, ask(with(cloudflare)))

	// What is not accepted is no client's fault, and there is nowhere to send it.
	for name, r := range map[string]*http.Request{
		"none":         request("Bearer", with(google), ""),
		"expired":      ask(with(map[string]any{"aud": google["aud"], "exp": now - 600})),
		"id token":     ask(with(map[string]any{"aud": google["aud"], "at_hash": "x"})),
		"for another":  ask(with(map[string]any{"aud": "/projects/123/global/backendServices/457"})),
		"bound to DPo": ask(with(map[string]any{"aud": google["aud"], "cnf": edProver().confirmation()})),
	} {
		e, h := b.ask(t, r)
		if e == nil || e.Status != 403 {
			t.Errorf("%s: %#v", name, e)
			continue
		}
		e.WriteChallenge(h, "https://example.com", []string{"x"}, b.Schemes())
		if len(h) != 0 {
			t.Errorf("%s: challenge %v", name, h)
		}
	}
	twice := ask(with(google))
	twice.Header.Add("X-Goog-IAP-JWT-Assertion", with(google))
	if e := b.keptOut(t, twice, "invalid_request"); e.Status != 400 {
		t.Errorf("refusal is %#v", e)
	}
}

func TestPresentationsThatMakeNoSense(t *testing.T) {
	v := newVerifier(t, newIssuer(t).config())
	for name, test := range map[string]struct {
		p    Presentation
		want string
	}{
		"unknown binding":              {Presentation{Bound: "tls"}, "use one of dpop, mtls, any"},
		"symmetric proof":              {Presentation{ProofAlgorithms: []string{"HS256"}}, "dpop algorithms"},
		"unsigned proof":               {Presentation{ProofAlgorithms: []string{"none"}}, "dpop algorithms"},
		"no header name":               {Presentation{TokenHeader: "X Assertion"}, "not the name of a header"},
		"header name beyond ASCII":     {Presentation{TokenHeader: "Ü"}, "not the name of a header"},
		"header of its own meaning":    {Presentation{TokenHeader: "authorization"}, "Authorization: this header means something else"},
		"header of the proof":          {Presentation{TokenHeader: "DPoP"}, "means something else"},
		"header of the connection":     {Presentation{TokenHeader: "transfer-encoding"}, "means something else"},
		"header of the protocol":       {Presentation{TokenHeader: "mcp-name"}, "means something else"},
		"header of the body":           {Presentation{TokenHeader: "content-type"}, "means something else"},
		"assertion that must be bound": {Presentation{TokenHeader: "X-Assertion", Bound: BoundMTLS}, "not bound to a key"},
		"assertion with proofs":        {Presentation{TokenHeader: "X-Assertion", RequireNonce: true}, "not bound to a key"},
	} {
		if _, err := NewAuthenticator(v, test.p); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want it to say %s", name, err, test.want)
		}
	}
}

// A stream may outlast its token before the first byte of it came. Whoever sent the token
// under DPoP is told so under DPoP (RFC 9449 section 7.1), and where a platform sends it there
// is no 401, which would need a challenge (RFC 9110 section 15.5.2).
func TestTokenThatEndsBeforeTheAnswerIsRefusedAsItWasSent(t *testing.T) {
	bearer, bound := &Principal{}, &Principal{Confirmation: Confirmation{JKT: "x"}}
	for name, test := range map[string]struct {
		presentation Presentation
		user         *Principal
		status       int
		challenges   []string // how they begin
	}{
		"bearer token":       {Presentation{}, bearer, 401, []string{`Bearer error="invalid_token", error_description="The access token expired"`, `DPoP algs=`}},
		"bound token":        {Presentation{}, bound, 401, []string{`Bearer resource_metadata=`, `DPoP error="invalid_token", error_description="The access token expired"`}},
		"platform's header":  {Presentation{TokenHeader: "X-Assertion"}, bearer, 403, nil},
		"bound tokens alone": {Presentation{Bound: BoundDPoP}, bound, 401, []string{`DPoP error="invalid_token"`}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBorder(t, test.presentation)
			refusal, h := b.Expired(test.user), http.Header{}
			refusal.WriteChallenge(h, testResource, nil, b.Schemes())
			got := h.Values("WWW-Authenticate")
			ok := slices.EqualFunc(got, test.challenges, strings.HasPrefix)
			if refusal.Status != test.status || !ok || refusal.Claim() != "exp" {
				t.Errorf("%d %q of %q: %q", refusal.Status, got, refusal.Claim(), refusal.Reason)
			}
		})
	}
}
