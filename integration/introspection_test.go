package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/integration/devauth"
)

// clientSecret is what the gateways of these tests ask their issuer with. It needs the
// encoding of RFC 6749 section 2.3.1.
const clientSecret = "a+secret:of the gateway"

// introspected is the stand-in behind an issuer of its own that can be asked about tokens,
// with a secret and further lines of the introspect block. The secret is in a file: Caddy
// itself logs the configuration where it debugs.
func introspected(t *testing.T, secret string, lines ...string) (site, *devauth.Server) {
	t.Helper()
	own := startIssuer(t, devauth.Config{Algorithm: "ES256", Scopes: []string{"tools:use"}, ResourceServers: map[string]string{"gateway": clientSecret}})
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := standin()
	s.issuer = own.Issuer()
	s.oauth = append([]string{"introspect " + own.Issuer() + "/introspect {", "	client_id gateway", "	client_secret {file." + file + "}"}, lines...)
	s.oauth = append(s.oauth, "}")
	return s, own
}

// opaque is a token of an issuer that says nothing by itself; a good one unless changed.
func (g *gateway) opaque(t *testing.T, of *devauth.Server, options devauth.MintOptions) string {
	t.Helper()
	options.Opaque = true
	if options.Audience == nil {
		options.Audience = []string{g.url}
	}
	token, err := of.Mint(options)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOpaqueTokensAreGoodInBothEras(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"basic", "post"} {
		s, own := introspected(t, clientSecret, "	auth "+auth)
		s.mcp = []string{"scopes {", "	base tools:use", "}"}
		g := start(t, s)
		token := g.opaque(t, own, devauth.MintOptions{Subject: "alice"})
		for _, p := range []*peer{g.legacy(t, token), g.modern(t, token)} {
			if got := p.call(1, "echo", object{"text": auth}); got != auth {
				t.Errorf("%s: %q", auth, got)
			}
		}
		// The same user by a JWT of the same issuer is the same user.
		jwt, err := own.Mint(devauth.MintOptions{Subject: "alice", Audience: []string{g.url}})
		if err != nil {
			t.Fatal(err)
		}
		session := g.legacy(t, token)
		if got := session.as(jwt).call(2, "echo", object{"text": "refreshed"}); got != "refreshed" {
			t.Errorf("%s: by a JWT: %q", auth, got)
		}
		narrow := g.modern(t, g.opaque(t, own, devauth.MintOptions{Scopes: []string{"other"}}))
		if a := narrow.post(narrow.toolCall(1, "echo", nil)); a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="tools:use"`) {
			t.Errorf("%s: without the scope: %d %v", auth, a.status, a.header)
		}
		if text := g.logs.text(); strings.Contains(text, token) || strings.Contains(text, "secret:of") || strings.Contains(text, "secret%3Aof") {
			t.Errorf("%s: a token or the secret stands in the log", auth)
		}
	}
}

func TestOpaqueTokensOfNoUse(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s, own := introspected(t, clientSecret)
	g := start(t, s)
	revoked := g.opaque(t, own, devauth.MintOptions{})
	own.Revoke(revoked)
	opaque := func(options devauth.MintOptions) string { return g.opaque(t, own, options) }
	jwt := func(options devauth.MintOptions) string {
		options.Audience = []string{g.url}
		return mintOf(t, own, options)
	}
	for _, c := range []struct{ holds, name, token string }{
		{"RFC 7662 section 2.2", "invented", "2YotnFZFEjr1zCsicMWpAA"},
		{"RFC 7009 section 2", "revoked", revoked},
		{"RFC 7662 section 4", "expired", opaque(devauth.MintOptions{TTL: -time.Hour})},
		{"RFC 8707 section 2", "for another resource", opaque(devauth.MintOptions{Audience: []string{g.url + "/other"}})},
		{"RFC 8707 section 2", "for no resource", opaque(devauth.MintOptions{Claims: object{"aud": nil}})},
		{"RFC 7662 section 2.2", "of another issuer", opaque(devauth.MintOptions{Issuer: "https://evil.example"})},
		{"RFC 7662 section 2.2", "of nobody", opaque(devauth.MintOptions{Claims: object{"sub": nil}})},
		{"RFC 6749 section 1.5", "refresh token", opaque(devauth.MintOptions{Claims: object{"token_use": "refresh_token"}})},
		{"RFC 9068 section 5", "id token", opaque(devauth.MintOptions{Claims: object{"at_hash": "x"}})},
		{"RFC 7519 section 4.1.5", "not good before later", opaque(devauth.MintOptions{Claims: object{"nbf": time.Now().Add(time.Hour).Unix()}})},
		{"RFC 7515 section 5.2", "JWT by a forged key", jwt(devauth.MintOptions{Sign: devauth.SignForgedKey})},
		{"RFC 8725 section 3.2", "JWT without signature", jwt(devauth.MintOptions{Sign: devauth.SignNone})},
		{"RFC 9068 section 4", "JWT of another issuer", jwt(devauth.MintOptions{Issuer: "https://evil.example"})},
		{"RFC 8725 section 3.8", "JWT of the other tests", g.token(t, "alice")},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) {
			for _, p := range []*peer{g.anyone(t, c.token), g.modern(t, c.token)} {
				a := p.post(p.toolCall(1, "echo", nil))
				if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) {
					t.Errorf("%d %q", a.status, challenge)
				}
			}
		})
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes run for tokens that are no good", n)
	}
}

// The issuer that is asked may be hostile itself, or somebody in its place: its answers open
// nothing, cost a bounded time, and lead nowhere else.
func TestHostileAnswersToAQuestionAboutAToken(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	h, elsewhere := hostileIssuer(t), hostileIssuer(t)
	s, _ := introspected(t, clientSecret)
	s.issuer = h.url
	s.oauth[0] = "introspect " + h.url + "/introspect {"
	g := start(t, s)
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, text)
		}
	}
	whole := `"active":true,"sub":"alice","iss":"` + h.url + `","aud":"` + g.url + `","exp":` + fmt.Sprint(time.Now().Add(time.Hour).Unix())
	for i, c := range []struct {
		holds, name string
		answer      http.HandlerFunc
		status      int
	}{
		{"RFC 7662 section 2.2", "as it should be, of a token of no use", says(`{"active":false}`), 401},
		{"RFC 9110 section 17.5", "without end", endless, 503},
		{"RFC 9110 section 15.4", "at another origin", http.RedirectHandler(elsewhere.url+keySet, http.StatusTemporaryRedirect).ServeHTTP, 503},
		{"RFC 7662 section 2.2", "web page", says("<html>"), 503},
		{"RFC 7662 section 2.3", "error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, 503},
		{"RFC 7662 section 2.2", "not said whether it is good", says(`{"sub":"alice"}`), 503},
		{"RFC 7662 section 2.2", "said in a string", says(`{` + strings.Replace(whole, "true", `"true"`, 1) + `}`), 503},
		{"RFC 8259 section 4", "said twice", says(`{"active":false,` + whole + `}`), 503},
		{"RFC 7662 section 2.2", "of another issuer's token", says(`{` + strings.Replace(whole, h.url, elsewhere.url, 1) + `}`), 401},
		{"RFC 8707 section 2", "of a token for another resource", says(`{` + strings.Replace(whole, g.url, g.url+"x", 1) + `}`), 401},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) {
			h.answer("/introspect", c.answer)
			a := g.anyone(t, fmt.Sprintf("opaque-token-%d", i)).post(initializeMessage(legacyVersion))
			if a.status != c.status || c.status == http.StatusServiceUnavailable && (a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
		})
	}
	if n := elsewhere.keys.Load(); n != 0 {
		t.Errorf("another origin was asked %d times", n)
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes run", n)
	}
	h.answer("/introspect", says(`{`+whole+`}`))
	if a := g.anyone(t, "opaque-token-that-is-good").post(initializeMessage(legacyVersion)); a.status != http.StatusOK {
		t.Errorf("the answer that all others were made of: %d %s", a.status, a.body)
	}
}

func mintOf(t *testing.T, of *devauth.Server, options devauth.MintOptions) string {
	t.Helper()
	token, err := of.Mint(options)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Without a cache each request asks, so that a revoked token ends at once: JWTs too, if
// they are asked about.
func TestRevokedTokenEndsWhereNothingIsRemembered(t *testing.T) {
	t.Parallel()
	s, own := introspected(t, clientSecret, "	tokens all")
	s.oauth = append(s.oauth, "cache {", "	size 0", "}")
	g := start(t, s)
	token := g.opaque(t, own, devauth.MintOptions{Subject: "alice"})
	p := g.legacy(t, token)
	if got := p.call(1, "echo", object{"text": "x"}); got != "x" {
		t.Fatalf("before: %q", got)
	}
	own.Revoke(token)
	if a := p.post(p.toolCall(2, "echo", nil)); a.status != http.StatusUnauthorized {
		t.Errorf("after: %d %s", a.status, a.body)
	}
	jwt := g.modern(t, mintOf(t, own, devauth.MintOptions{Audience: []string{g.url}}))
	if got := jwt.call(3, "echo", object{"text": "y"}); got != "y" {
		t.Errorf("a JWT: %q", got)
	}
	own.RetireKeys()
	if _, err := own.RotateKey(); err != nil {
		t.Fatal(err)
	}
	own.RetireKeys()
	if a := jwt.post(jwt.toolCall(4, "echo", nil)); a.status != http.StatusUnauthorized {
		t.Errorf("a JWT that its issuer does not know any more: %d %s", a.status, a.body)
	}
}

// What is wrong between gateway and issuer is neither the client's fault nor its business.
func TestIssuerThatDoesNotKnowTheGateway(t *testing.T) {
	t.Parallel()
	s, own := introspected(t, "another-secret")
	g := start(t, s)
	token := g.opaque(t, own, devauth.MintOptions{})
	a := g.anyone(t, token).post(initializeMessage(legacyVersion))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" || strings.Contains(a.body, "introspect") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	refused := g.logs.await(t, 1, func(e entry) bool { return e["msg"] == "refused" })[0]
	if reason := fmt.Sprint(refused["reason"]); !strings.Contains(reason, "answered 401") || !strings.Contains(reason, "how the gateway authenticates itself") {
		t.Errorf("logged %v", refused)
	}
	if text := g.logs.text(); strings.Contains(text, token) || strings.Contains(text, "another-secret") {
		t.Error("the token or the secret stands in the log")
	}
}

func TestUserWithoutARequiredClaimIsNotAdmitted(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := standin()
	s.oauth = []string{"require tenant acme", "require realm.groups staff mcp-users"}
	g := start(t, s)
	good := object{"tenant": "acme", "realm": object{"groups": []string{"all", "mcp-users"}}}
	for name, claims := range map[string]object{
		"neither claim":   {},
		"one of two":      {"tenant": "acme"},
		"another tenant":  {"tenant": "acme2", "realm": good["realm"]},
		"another group":   {"tenant": "acme", "realm": object{"groups": []string{"all"}}},
		"group elsewhere": {"tenant": "acme", "groups": []string{"staff"}},
	} {
		holding(t, "RFC 9068 section 2.2.3", name, func(t *testing.T) {
			token := g.mint(t, devauth.MintOptions{Subject: "mallory", Claims: claims})
			for _, p := range []*peer{g.anyone(t, token), g.modern(t, token)} {
				a := p.post(p.toolCall(1, "echo", nil))
				if a.status != http.StatusForbidden || a.header.Get("WWW-Authenticate") != "" || strings.Contains(a.body, "acme") || strings.Contains(a.body, "staff") {
					t.Errorf("%d %v %s", a.status, a.header, a.body)
				}
			}
		})
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes run for users who are not admitted", n)
	}
	mallory := identity.UserKey(issuer.Issuer(), "mallory")
	g.logs.await(t, 1, func(e entry) bool {
		return e["reason"] == "require tenant: the token has no such claim (user "+mallory+")"
	})
	expired := g.mint(t, devauth.MintOptions{TTL: -time.Hour})
	if a := g.anyone(t, expired).post(initializeMessage(legacyVersion)); a.status != http.StatusUnauthorized {
		t.Errorf("an expired token: %d", a.status)
	}
	p := g.legacy(t, g.mint(t, devauth.MintOptions{Subject: "alice", Claims: good}))
	if got := p.call(1, "echo", object{"text": "in"}); got != "in" {
		t.Errorf("who has both: %q", got)
	}
}

func TestTokensAreCountedOverReloads(t *testing.T) {
	t.Parallel()
	s := reloadable()
	g := start(t, s)
	lookups := func() (counts [2]int) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		status, body := g.askAdmin(t, request)
		if status != http.StatusOK {
			t.Fatalf("metrics: %d", status)
		}
		for i, result := range []string{"hit", "miss"} {
			head := `snapgate_token_lookups_total{result="` + result + `"} `
			_, rest, found := strings.Cut(string(body), head)
			if _, err := fmt.Sscan(rest, &counts[i]); !found || err != nil {
				t.Fatalf("no %s in\n%s", head, body)
			}
		}
		return counts
	}
	if got := lookups(); got != [2]int{} {
		t.Errorf("before any token: %v", got)
	}
	p := g.modern(t, g.token(t, "alice"))
	for id := range 3 {
		p.call(id, "echo", nil)
	}
	if got := lookups(); got != [2]int{2, 1} {
		t.Errorf("after three calls with one token: %v", got)
	}
	s.mcp = []string{"limits {", "	concurrent 7", "}"}
	g.renew(t, s)
	p.call(4, "echo", nil)
	p.as(g.token(t, "bob")).call(5, "echo", nil)
	if got := lookups(); got != [2]int{3, 2} {
		t.Errorf("after a reload, one call more and another token: %v", got)
	}
}
