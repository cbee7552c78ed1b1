package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/integration/devauth"
)

// fromIssuer is a token that names an issuer.
func fromIssuer(iss string) devauth.MintOptions {
	return devauth.MintOptions{Issuer: iss, Subject: "alice"}
}

// requestOf finds the request id that the access log has for a User-Agent.
func requestOf(agent string) func(entry) bool {
	return func(e entry) bool {
		request, _ := e["request"].(map[string]any)
		headers, _ := request["headers"].(map[string]any)
		return fmt.Sprint(headers["User-Agent"]) == "["+agent+"]" && accessed("logger", e["logger"])(e)
	}
}

// explanation is a request that is refused, and what the log says of it.
type explanation struct {
	name   string // its User-Agent
	token  string
	body   func(*peer) string
	change func(*http.Request)
	status int
	want   entry // further members of the entry
}

func explained(t *testing.T, g *gateway) []explanation {
	t.Helper()
	good := g.token(t, "alice", "tools:use")
	call := func(tool string) func(*peer) string {
		return func(p *peer) string { return p.toolCall(1, tool, object{}) }
	}
	lost := func(r *http.Request) {
		r.Header.Set("Mcp-Session-Id", "aaaaaaaaaaaaaaaaaaaaaaaaaa")
		r.Header.Set("Mcp-Protocol-Version", legacyVersion)
	}
	return []explanation{
		{"no-token", "", call("echo"), nil, 401, entry{}},
		{"audience", g.mint(t, devauth.MintOptions{Audience: []string{"https://other.example"}}), call("echo"), nil, 401, entry{"claim": "aud"}},
		{"expired", g.mint(t, devauth.MintOptions{TTL: -time.Hour}), call("echo"), nil, 401, entry{"claim": "exp"}},
		{"issuer", g.mint(t, fromIssuer("https://evil.example")), call("echo"), nil, 401, entry{"claim": "iss"}},
		{"algorithm", g.mint(t, devauth.MintOptions{Sign: devauth.SignNone}), call("echo"), nil, 401, entry{"claim": "alg"}},
		{"scope", good, call("hold"), nil, 403, entry{"rule": "tool hold", "missing": "tools:more", "user": identity.UserKey(issuer.Issuer(), "alice"), "tool": "hold", "method": "tools/call"}},
		{"base", g.token(t, "alice", "other"), call("echo"), nil, 403, entry{"rule": "base", "missing": "tools:use"}},
		{"denied", good, call("die"), nil, 403, entry{"rule": "deny tool die"}},
		{"look-alike", good, call("Die"), nil, 403, entry{"rule": "look-alike tool die"}},
		{"origin", good, call("echo"), set("Origin", "https://evil.example"), 403, entry{}},
		{"header", good, call("echo"), set("Mcp-Name", "pid"), 400, entry{}},
		{"session", good, func(*peer) string { return `{"jsonrpc":"2.0","id":1,"method":"ping"}` }, lost, 404, entry{}},
	}
}

// Whoever has to explain a refusal finds one entry for it, by the id of the request, with
// what was wrong.
func TestEachRefusalIsLoggedOnceWithItsReason(t *testing.T) {
	t.Parallel()
	s := scoped()
	s.routes = []string{"log_append request_id {http.request.uuid}"}
	s.log = accessLog
	g := start(t, s)
	for _, c := range explained(t, g) {
		p := g.modern(t, c.token)
		a := p.post(c.body(p), set("User-Agent", c.name), func(r *http.Request) {
			if c.change != nil {
				c.change(r)
			}
		})
		if a.status != c.status {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
			continue
		}
		id := g.logs.await(t, 1, requestOf(c.name))[0]["request_id"]
		refusals := g.logs.await(t, 1, func(e entry) bool { return e["msg"] == "refused" && e["request_id"] == id })
		if id == "" || id == nil || len(refusals) != 1 {
			t.Errorf("%s: %d entries for request %v", c.name, len(refusals), id)
		}
		r := refusals[0]
		if r["resource"] != g.url {
			t.Errorf("%s: refused at %v, want %s", c.name, r["resource"], g.url)
		}
		if r["status"] != float64(c.status) || r["reason"] == "" || r["reason"] == nil {
			t.Errorf("%s: %v", c.name, r)
		}
		for _, name := range []string{"claim", "rule", "missing"} {
			if want := c.want[name]; r[name] != want && !(name == "rule" && want == nil) {
				t.Errorf("%s: %s is %v, want %v", c.name, name, r[name], want)
			}
		}
		for name, want := range c.want {
			if r[name] != want {
				t.Errorf("%s: %s is %v, want %v", c.name, name, r[name], want)
			}
		}
	}
}

// At debug level, with an access log, a session, its streams, a reload and all kinds of
// refusals: nothing by which somebody could call in a user's place comes into a log.
func TestNoSecretOfARefusedRequestIsLogged(t *testing.T) {
	t.Parallel()
	s := scoped()
	s.log = accessLog
	s.admin = true
	g := start(t, s)
	secrets := map[string]string{}
	token := func(name string, options devauth.MintOptions) string {
		token := g.mint(t, options)
		secrets[name] = token
		secrets["the signature of "+name] = token[strings.LastIndexByte(token, '.')+1:]
		return token
	}
	good := token("a good token", devauth.MintOptions{Subject: "alice", Scopes: []string{"tools:use"}})
	other := token("another user's token", devauth.MintOptions{Subject: "bob", Scopes: []string{"tools:use"}})
	legacy, modern := g.legacy(t, good), g.modern(t, good)
	secrets["a session id"] = legacy.session
	refusedTokens := []string{
		token("a token for another resource", devauth.MintOptions{Audience: []string{"https://other.example"}}),
		token("an expired token", devauth.MintOptions{TTL: -time.Hour}),
		token("a token of another issuer", fromIssuer("https://evil.example")),
		token("a token of an unknown key", devauth.MintOptions{Sign: devauth.SignUnknownKey}),
		token("a token without scope", devauth.MintOptions{Scopes: []string{"other"}}),
		token("a token without end", devauth.MintOptions{Claims: object{"exp": nil}}),
	}
	refuseTokens(t, refusedTokens, legacy, modern)
	for _, p := range []*peer{legacy, modern} {
		p.call(1, "echo", object{"text": "x"})
		p.post(p.toolCall(2, "hold", nil))
		p.post(p.toolCall(3, "die", nil))
		p.post("{")
		p.post(p.toolCall(4, "echo", nil), set("Origin", "https://evil.example"))
	}
	legacy.as(other).post(legacy.toolCall(5, "echo", nil)) // in alice's session
	legacy.post(legacy.toolCall(6, "echo", nil), func(r *http.Request) {
		r.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + other}
	})
	legacy.post(legacy.toolCall(7, "echo", nil), set("Authorization", "Basic "+good))
	legacy.post(legacy.toolCall(8, "echo", nil), set("Authorization", "Bearer "+good+" "+other))
	legacy.post(legacy.toolCall(9, "echo", nil), func(r *http.Request) { r.URL.RawQuery = "access_token=" + good })
	legacy.do(http.MethodGet, "", set("Last-Event-ID", "c9-9"))
	g.reload(t, s)
	legacy.call(10, "echo", object{"text": "x"})
	legacy.do(http.MethodDelete, "")
	legacy.post(legacy.toolCall(11, "echo", nil))
	g.logs.await(t, 1, accessed("status", 204.0))
	g.logs.await(t, 1, func(e entry) bool { return e["msg"] == "refused" && e["status"] == 404.0 })

	log := g.logs.text()
	for name, secret := range secrets {
		if i := strings.Index(log, secret); secret == "" || i >= 0 {
			t.Errorf("%s is in the log: %q", name, log[max(0, i-300):min(len(log), max(0, i)+100)])
		}
	}
}

// refuseTokens sends each token by each peer, and holds that it is refused.
func refuseTokens(t *testing.T, tokens []string, peers ...*peer) {
	t.Helper()
	for _, bad := range tokens {
		for _, p := range peers {
			p = p.as(bad)
			if a := p.post(p.toolCall(1, "echo", nil)); a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	}
}
