package integration_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// asksForCertificates is what the documents say about client certificates of any kind.
var asksForCertificates = []string{"client_auth {", "	mode request", "}"}

// works holds that a peer of either era can do what clients do: calls that are answered
// in JSON and on a stream, and streams that stay open.
func works(t *testing.T, legacy, modern *peer) {
	t.Helper()
	legacy = legacy.initialized()
	for _, p := range []*peer{legacy, modern} {
		if got := p.call(1, "echo", object{"text": "x"}); got != "x" {
			t.Errorf("echo: %q", got)
		}
		s := p.listen(http.MethodPost, p.message(2, "tools/call", object{"name": "progress", "arguments": object{"count": 2}, "_meta": object{"progressToken": 1}}))
		sseHeaders(t, s)
		s.ended()
	}
	sseHeaders(t, legacy.listen(http.MethodGet, ""))
	sseHeaders(t, modern.listen(http.MethodPost, modern.message(3, "subscriptions/listen", object{"notifications": object{"toolsListChanged": true}})))
	if a := legacy.do(http.MethodDelete, ""); a.status != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
}

// presented is a request with a token that is refused.
type presented struct {
	holds, name string   // the section that is held
	via         *gateway // default without a certificate
	token       string
	change      func(*http.Request)

	status    int
	challenge []string // how each begins
}

func (c presented) refused(t *testing.T, g *gateway) {
	t.Helper()
	via := c.via
	if via == nil {
		via = g
	}
	for _, p := range []*peer{via.anyone(t, c.token), via.modern(t, c.token)} {
		body := initializeMessage(legacyVersion)
		if p.version == modernVersion {
			body = p.toolCall(1, "echo", object{"text": "x"})
		}
		p.prove = c.change
		a := p.post(body)
		got := a.header.Values("WWW-Authenticate")
		good := a.status == c.status && len(got) == len(c.challenge)
		for i := range min(len(got), len(c.challenge)) {
			good = good && strings.HasPrefix(got[i], c.challenge[i]) && strings.Contains(got[i], `resource_metadata="https://`)
		}
		if !good {
			t.Errorf("%d %q, want %d %q", a.status, got, c.status, c.challenge)
		}
	}
}

const (
	noError      = "Bearer scope="
	dpopOffered  = `DPoP scope="tools:use", algs="RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"`
	invalidToken = `Bearer error="invalid_token", error_description=`
	invalidDPoP  = `DPoP error="invalid_token", error_description=`
	invalidProof = `DPoP error="invalid_dpop_proof", error_description=`
)

// A token that is bound is of no use without the key, though the configuration demands no
// binding. The rows name the section that each holds.
func TestBoundTokensAreOfUseToTheirSenderOnly(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := scoped()
	s.tls = asksForCertificates
	g := start(t, s)
	alice, mallory := newProver(t), newProver(t)
	mine, others := certificate(t, nil), certificate(t, nil)
	token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
	certified := g.mint(t, devauth.MintOptions{Certificate: mine.Leaf})
	both := g.mint(t, devauth.MintOptions{Key: alice.key.Public(), Certificate: mine.Leaf})
	plain := g.token(t, "alice")
	proven := func(by *prover, token string, claims object) func(*http.Request) {
		return func(r *http.Request) { by.present(r, token, claims) }
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	failed := func(challenge string) []string { return []string{noError, challenge} }
	withBearer, withDPoP := []string{invalidToken, dpopOffered}, failed(invalidDPoP)

	for _, c := range []presented{
		{"RFC 9449 section 7.2", "bound token as a bearer token", nil, token, bearer, 401, withBearer},
		{"RFC 9449 section 7.2", "bound token as a bearer token, its proof beside it", nil, token, func(r *http.Request) { alice.present(r, token, nil); bearer(r) }, 401, withBearer},
		{"RFC 9449 section 7.1", "unbound token under the DPoP scheme", nil, plain, proven(alice, plain, nil), 401, withDPoP},
		{"RFC 9449 section 7.1", "proof by another key", nil, token, proven(mallory, token, nil), 401, withDPoP},
		{"RFC 9449 section 4.3, check 1", "no proof", nil, token, func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token) }, 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 1", "two proofs", nil, token, func(r *http.Request) {
			alice.present(r, token, nil)
			r.Header.Add("DPoP", alice.proof(r, token, nil))
		}, 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 2", "no JWT", nil, token, func(r *http.Request) { alice.present(r, token, nil); r.Header.Set("DPoP", "x") }, 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 8", "for another method", nil, token, proven(alice, token, object{"htm": "GET"}), 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 9", "for another server", nil, token, proven(alice, token, object{"htu": "https://evil.example/mcp"}), 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 11", "too old", nil, token, proven(alice, token, object{"iat": time.Now().Add(-2 * time.Minute).Unix()}), 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 11", "from the future", nil, token, proven(alice, token, object{"iat": time.Now().Add(time.Hour).Unix()}), 401, failed(invalidProof)},
		{"RFC 9449 section 4.3, check 12", "for another token", nil, token, func(r *http.Request) {
			alice.present(r, token, nil)
			r.Header.Set("DPoP", alice.proof(r, plain, nil))
		}, 401, failed(invalidProof)},
		{"RFC 6750 section 2", "token in two places", nil, token, func(r *http.Request) { alice.present(r, token, nil); r.Header.Add("Authorization", "Bearer "+plain) }, 400,
			[]string{`Bearer error="invalid_request"`}},
		{"RFC 8705 section 3", "token without its certificate", nil, certified, nil, 401, withBearer},
		{"RFC 8705 section 3", "token with another certificate", g.with(t, others), certified, nil, 401, withBearer},
		{"RFC 7800 section 3.1", "bound to both, no certificate", nil, both, proven(alice, both, nil), 401, withDPoP},
		{"RFC 7800 section 3.1", "bound to both, no proof", g.with(t, mine), both, nil, 401, withBearer},
		{"RFC 7800 section 3.1", "bound in a way that is not known", nil, g.mint(t, devauth.MintOptions{Claims: object{"cnf": object{"kid": "x"}}}), nil, 401, withBearer},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) { c.refused(t, g) })
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for requests that were refused", n)
	}
	works(t, alice.presents(g.anyone(t, token)), alice.presents(g.modern(t, token)))
	certain := g.with(t, mine)
	works(t, certain.anyone(t, certified), certain.modern(t, certified))
	works(t, alice.presents(certain.anyone(t, both)), alice.presents(certain.modern(t, both)))
	works(t, g.anyone(t, plain), g.modern(t, plain))
}

// RFC 9449 section 7.1: a missing scope is told under the scheme that the client uses.
func TestMissingScopeIsToldUnderTheSchemeOfTheToken(t *testing.T) {
	t.Parallel()
	g := start(t, scoped())
	alice := newProver(t)
	for scheme, p := range map[string]*peer{
		"DPoP":   alice.presents(g.modern(t, g.mint(t, devauth.MintOptions{Key: alice.key.Public(), Scopes: []string{"tools:use"}}))),
		"Bearer": g.modern(t, g.token(t, "alice", "tools:use")),
	} {
		a := p.post(p.toolCall(1, "hold", nil))
		got := a.header.Values("WWW-Authenticate")
		if a.status != 403 || len(got) != 1 || !strings.HasPrefix(got[0], scheme+` error="insufficient_scope"`) || !strings.Contains(got[0], `scope="tools:use tools:more"`) {
			t.Errorf("%s: %d %q", scheme, a.status, got)
		}
	}
}

// resourceMetadata is the document that tells clients how to come by a token.
func (g *gateway) resourceMetadata(t *testing.T) (status int, document object) {
	t.Helper()
	response, err := g.client.Get(strings.TrimSuffix(g.url, "/mcp") + "/.well-known/oauth-protected-resource/mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, document
}

// The nonce is asked for, then told anew only when it changes (RFC 9449 section 9), and
// unbound tokens are refused.
func TestOnlyProvenTokensWithANonceWhereThatIsDemanded(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := standin()
	s.oauth = []string{"bound dpop", "dpop {", "	algorithms ES256", "	nonce", "}"}
	g := start(t, s)
	alice := newProver(t)
	token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
	for _, c := range []presented{
		{"RFC 9449 section 7.1", "no token", nil, "", nil, 401, []string{`DPoP algs="ES256", resource_metadata=`}},
		{"RFC 9449 section 5.1", "unbound token", nil, g.token(t, "alice"), nil, 401, []string{invalidDPoP}},
		{"RFC 8705 section 3", "token bound to a certificate", nil, g.mint(t, devauth.MintOptions{Certificate: certificate(t, nil).Leaf}), nil, 401, []string{invalidDPoP}},
		{"RFC 9449 section 9", "no nonce", nil, token, func(r *http.Request) { alice.present(r, token, nil) }, 401, []string{`DPoP error="use_dpop_nonce"`}},
		{"RFC 9449 section 9", "nonce of another server", nil, token, func(r *http.Request) { alice.present(r, token, object{"nonce": "x"}) }, 401, []string{`DPoP error="use_dpop_nonce"`}},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) { c.refused(t, g) })
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for requests that were refused", n)
	}
	modern := alice.presents(g.modern(t, token))
	alice.nonce = modern.post(modern.toolCall(1, "echo", nil)).header.Get("DPoP-Nonce")
	if alice.nonce == "" {
		t.Fatal("no nonce is told")
	}
	works(t, alice.presents(g.anyone(t, token)), modern)
	status, document := g.resourceMetadata(t)
	if algs := document["dpop_signing_alg_values_supported"]; status != 200 || fmt.Sprint(algs) != "[ES256]" || document["dpop_bound_access_tokens_required"] != true || document["tls_client_certificate_bound_access_tokens"] != nil {
		t.Errorf("metadata: %d %v", status, document)
	}
}

// RFC 9449 section 4.3, check 9: a proof for the name that a request came under would let
// any server use it that the client talks to.
func TestProofIsForTheResourceWhateverHostSays(t *testing.T) {
	t.Parallel()
	s := standin()
	s.plain = true
	g := start(t, s)
	alice := newProver(t)
	token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
	p := g.modern(t, token)
	other := fmt.Sprintf("127.0.0.1:%d", g.port)
	for htu, status := range map[string]int{
		"http://" + other + "/mcp": 401, "http://evil.example/mcp": 401, g.url + "/": 401, "https" + strings.TrimPrefix(g.url, "http"): 401,
		g.url: 200, strings.ToUpper(g.url[:len("http://localhost")]) + g.url[len("http://localhost"):] + "?x#y": 200,
	} {
		holding(t, "RFC 9449 section 4.3, check 9", htu, func(t *testing.T) {
			a := p.post(p.toolCall(1, "echo", object{"text": "x"}), func(r *http.Request) {
				r.Host = other
				alice.present(r, token, object{"htu": htu})
			})
			if a.status != status {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// RFC 9449 section 11.1, with the memory of proofs kept over a reload.
func TestProofIsGoodOnceOverReloads(t *testing.T) {
	t.Parallel()
	s := reloadable()
	g := start(t, s)
	alice := newProver(t)
	token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
	modern := g.modern(t, token)
	var proof string
	first := modern.post(modern.toolCall(1, "echo", object{"text": "x"}), func(r *http.Request) {
		alice.present(r, token, nil)
		proof = r.Header.Get("DPoP")
	})
	if first.status != http.StatusOK {
		t.Fatalf("%d %s", first.status, first.body)
	}
	again := func() {
		t.Helper()
		presented{token: token, change: func(r *http.Request) {
			r.Header.Set("Authorization", "DPoP "+token)
			r.Header.Set("DPoP", proof)
		}, status: 401, challenge: []string{"Bearer resource_metadata=", invalidProof}}.refused(t, g)
	}
	again()
	s.oauth = []string{"bound any"}
	g.renew(t, s)
	again()
	// That decides which tokens are good, so it makes a verifier that knows none yet.
	s.oauth = append(s.oauth, "require sub alice")
	g.renew(t, s)
	again()
	works(t, alice.presents(g.anyone(t, token)), alice.presents(modern))
}

// Where certificates come from an authority, Caddy refuses all others by itself.
func TestCertificatesOfAnAuthority(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	authority := certificate(t, nil)
	pool := filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := standin()
	s.tls = []string{"client_auth {", "	mode verify_if_given", "	trust_pool file " + pool, "}"}
	s.oauth = []string{"bound mtls"}
	g := start(t, s)
	mine, foreign := certificate(t, authority), certificate(t, nil)
	token := g.mint(t, devauth.MintOptions{Certificate: mine.Leaf})
	for _, c := range []presented{
		{"RFC 8705 section 3", "without its certificate", nil, token, nil, 401, []string{invalidToken}},
		{"RFC 8705 section 3", "with another certificate of the authority", g.with(t, certificate(t, authority)), token, nil, 401, []string{invalidToken}},
		{"RFC 8705 section 3", "unbound token with a certificate", g.with(t, mine), g.token(t, "alice"), nil, 401, []string{invalidToken}},
		{"RFC 6750 section 3.1", "no token", nil, "", nil, 401, []string{"Bearer resource_metadata="}},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) { c.refused(t, g) })
	}
	if a, err := g.with(t, foreign).anyone(t, g.mint(t, devauth.MintOptions{Certificate: foreign.Leaf})).try(http.MethodPost, initializeMessage(legacyVersion)); err == nil {
		t.Errorf("a certificate of nobody's: %d %s", a.status, a.body)
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for requests that were refused", n)
	}
	certain := g.with(t, mine)
	works(t, certain.anyone(t, token), certain.modern(t, token))
	if status, document := g.resourceMetadata(t); status != 200 || document["tls_client_certificate_bound_access_tokens"] != true || document["dpop_signing_alg_values_supported"] != nil {
		t.Errorf("metadata: %d %v", status, document)
	}
}

// That nobody could ever be let in is said at the start, not found out by the users.
func TestItIsSaidThatNoClientIsAskedForItsCertificate(t *testing.T) {
	t.Parallel()
	s := reloadable()
	s.oauth = []string{"bound mtls"}
	g := start(t, s)
	said := func(e entry) bool {
		text, _ := e["msg"].(string)
		return e["level"] == "error" && strings.Contains(text, "client_auth")
	}
	g.logs.await(t, 1, said)
	s.tls = asksForCertificates
	g.renew(t, s)
	if found, _ := g.logs.find(said); len(found) != 1 {
		t.Errorf("it is said %d times, and true once", len(found))
	}
}
