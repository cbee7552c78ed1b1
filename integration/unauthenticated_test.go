package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// scoped needs a scope of every request and another of one tool.
func scoped() site {
	s := standin()
	s.mcp = []string{"scopes {", "	base tools:use", "	tool hold tools:more", "	deny tool die", "}"}
	return s
}

func TestNothingStartsForWhoMayNotCall(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	g := start(t, scoped())
	metadata := `resource_metadata="` + g.url[:strings.LastIndexByte(g.url, '/')] + `/.well-known/oauth-protected-resource/mcp"`
	for _, attack := range tokenAttacks(t, g) {
		holding(t, attack.holds, attack.name, func(t *testing.T) {
			status := attack.status
			if status == 0 {
				status = http.StatusUnauthorized
			}
			change := func(r *http.Request) {
				if attack.change != nil {
					attack.change(r)
				}
			}
			before, _ := g.logs.find(isRefusal)
			sent := 0
			for _, p := range []*peer{g.anyone(t, attack.token), g.modern(t, attack.token)} {
				for _, body := range []string{initializeMessage(legacyVersion), p.message(1, "tools/list", nil), p.toolCall(1, "echo", nil), `[{}]`, `{`} {
					a := p.post(body, change)
					sent++
					challenge := a.header.Get("WWW-Authenticate")
					if a.status != status || !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, metadata) ||
						attack.error != "" && !strings.Contains(challenge, `error="`+attack.error+`"`) || attack.error == "" && strings.Contains(challenge, "error=") {
						t.Errorf("%d %q", a.status, challenge)
					}
				}
			}
			for _, e := range g.logs.await(t, len(before)+sent, isRefusal)[len(before):] {
				if reason, _ := e["reason"].(string); !strings.Contains(reason, attack.reason) {
					t.Errorf("the log's reason is %q, and not about %q", reason, attack.reason)
				}
			}
		})
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for requests without a good token", n)
	}
}

// isRefusal matches what mcp_oauth says of a request that it does not let through.
func isRefusal(e entry) bool {
	return e["logger"] == "http.handlers.mcp_oauth" && e["msg"] == "refused"
}

func TestNothingStartsForATokenWithoutTheScope(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	g := start(t, scoped())
	for _, c := range []struct {
		holds, name, tool string
		scopes            []string
		challenge         string // "" where no scope would help
	}{
		{"RFC 6750 section 3.1", "base scope", "echo", []string{"other"}, "tools:use"},
		{"RFC 6750 section 3.1", "no scope at all", "echo", []string{}, "tools:use"},
		{"RFC 6750 section 3.1", "scope of the tool", "hold", []string{"tools:use"}, "tools:use tools:more"},
		{"RFC 6749 section 3.3", "case of the scope", "echo", []string{"Tools:Use"}, "tools:use"},
		{"RFC 6749 section 3.3", "scope that begins alike", "hold", []string{"tools:use", "tools:more2", "tools"}, "tools:use tools:more"},
		{"RFC 9110 section 15.5.4", "denied tool", "die", []string{"tools:use", "tools:more"}, ""},
		{"RFC 9110 section 15.5.4", "denied tool in other case", "DIE", []string{"tools:use", "tools:more"}, ""},
		{"RFC 9110 section 15.5.4", "denied tool in full width", "\uff44\uff49\uff45", []string{"tools:use", "tools:more"}, ""},
	} {
		holding(t, c.holds, c.name, func(t *testing.T) {
			p := g.modern(t, g.mint(t, devauth.MintOptions{Scopes: c.scopes}))
			a := p.post(p.toolCall("x", c.tool, nil), func(r *http.Request) {
				if c.tool > "\u0080" {
					r.Header.Set("Mcp-Name", "=?base64?772E772J772F?=")
				}
			})
			challenge := a.header.Get("WWW-Authenticate")
			insufficient := strings.Contains(challenge, `error="insufficient_scope"`) && strings.Contains(challenge, `scope="`+c.challenge+`"`)
			if a.status != http.StatusForbidden || insufficient != (c.challenge != "") || string(a.reply(t).ID) != `"x"` {
				t.Errorf("%d %q %s", a.status, challenge, a.body)
			}
		})
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for calls that were refused", n)
	}
	p := g.modern(t, g.token(t, "alice", "tools:use"))
	if got := p.call(1, "echo", object{"text": "x"}); got != "x" || len(g.processes(t)) != 1 {
		t.Errorf("a good call: %q, %d processes", got, len(g.processes(t)))
	}
}

func TestAuthorizationServerOutOfReachIsNoFaultOfTheToken(t *testing.T) {
	t.Parallel()
	gone := startIssuer(t, devauth.Config{Algorithm: "ES256"})
	s := standin()
	s.issuer = gone.Issuer()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	g := start(t, s)
	token, err := gone.Mint(devauth.MintOptions{Audience: []string{g.url}})
	if err != nil {
		t.Fatal(err)
	}
	a := g.anyone(t, token).post(initializeMessage(legacyVersion))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes", n)
	}
}
