package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// scoped needs a scope of every request and another of one tool.
func scoped(flags ...string) site {
	s := standin(flags...)
	s.mcp = []string{"scopes {", "	base tools:use", "	tool hold tools:more", "	deny tool die", "}"}
	return s
}

func TestNothingStartsForWhoMayNotCall(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	g := start(t, scoped())
	base := g.url[:strings.LastIndexByte(g.url, '/')]
	tokens := []struct {
		name  string
		token string
		error string // in the challenge
	}{
		{"none", "", ""},
		{"no JWT", "abc", "invalid_token"},
		{"wrong audience", g.mint(t, devauth.MintOptions{Audience: []string{base + "/other"}}), "invalid_token"},
		{"prefix of the audience", g.mint(t, devauth.MintOptions{Audience: []string{base}}), "invalid_token"},
		{"other issuer", g.mint(t, devauth.MintOptions{Issuer: "https://evil.example"}), "invalid_token"},
		{"expired", g.mint(t, devauth.MintOptions{TTL: -time.Hour}), "invalid_token"},
		{"not valid yet", g.mint(t, devauth.MintOptions{Claims: object{"nbf": time.Now().Add(time.Hour).Unix()}}), "invalid_token"},
		{"no end", g.mint(t, devauth.MintOptions{Claims: object{"exp": nil}}), "invalid_token"},
		{"no subject", g.mint(t, devauth.MintOptions{Claims: object{"sub": nil}}), "invalid_token"},
		{"unknown key", g.mint(t, devauth.MintOptions{Sign: devauth.SignUnknownKey}), "invalid_token"},
		{"forged key", g.mint(t, devauth.MintOptions{Sign: devauth.SignForgedKey}), "invalid_token"},
		{"alg none", g.mint(t, devauth.MintOptions{Sign: devauth.SignNone}), "invalid_token"},
		{"HMAC with the public key", g.mint(t, devauth.MintOptions{Sign: devauth.SignHMAC}), "invalid_token"},
		{"corrupt signature", g.mint(t, devauth.MintOptions{Sign: devauth.SignCorrupt}), "invalid_token"},
		{"id token", g.mint(t, devauth.MintOptions{IDToken: true, Audience: []string{"the-client"}}), "invalid_token"},
		{"id token made for us", g.mint(t, devauth.MintOptions{IDToken: true, Audience: []string{g.url}, Claims: object{"at_hash": "x"}}), "invalid_token"},
	}
	for _, c := range tokens {
		for _, p := range []*peer{g.anyone(t, c.token), g.modern(t, c.token)} {
			for _, body := range []string{initializeMessage(legacyVersion), p.message(1, "tools/list", nil), p.toolCall(1, "echo", nil), `[{}]`, `{`} {
				a := p.post(body)
				challenge := a.header.Get("WWW-Authenticate")
				want := `error="` + c.error + `"`
				if a.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer ") ||
					!strings.Contains(challenge, `resource_metadata="`+base+`/.well-known/oauth-protected-resource/mcp"`) ||
					c.error != "" && !strings.Contains(challenge, want) || c.error == "" && strings.Contains(challenge, "error=") {
					t.Errorf("%s: %d %q", c.name, a.status, challenge)
				}
			}
		}
	}
	if n := len(g.processes(t)); n != 0 {
		t.Fatalf("%d processes run for requests without a good token", n)
	}
}

func TestNothingStartsForATokenWithoutTheScope(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	g := start(t, scoped())
	cases := []struct {
		name, tool string
		scopes     []string
		challenge  string // "" where no scope would help
	}{
		{"base scope", "echo", []string{"other"}, "tools:use"},
		{"no scope at all", "echo", []string{}, "tools:use"},
		{"scope of the tool", "hold", []string{"tools:use"}, "tools:use tools:more"},
		{"case of the scope", "echo", []string{"Tools:Use"}, "tools:use"},
		{"denied tool", "die", []string{"tools:use", "tools:more"}, ""},
		{"denied tool in other case", "DIE", []string{"tools:use", "tools:more"}, ""},
		{"denied tool in full width", "\uff44\uff49\uff45", []string{"tools:use", "tools:more"}, ""},
	}
	for _, c := range cases {
		p := g.modern(t, g.mint(t, devauth.MintOptions{Scopes: c.scopes}))
		a := p.post(p.toolCall("x", c.tool, nil), func(r *http.Request) {
			if c.tool > "\u0080" {
				r.Header.Set("Mcp-Name", "=?base64?772E772J772F?=")
			}
		})
		challenge := a.header.Get("WWW-Authenticate")
		insufficient := strings.Contains(challenge, `error="insufficient_scope"`) && strings.Contains(challenge, `scope="`+c.challenge+`"`)
		if a.status != http.StatusForbidden || insufficient != (c.challenge != "") || string(a.reply(t).ID) != `"x"` {
			t.Errorf("%s: %d %q %s", c.name, a.status, challenge, a.body)
		}
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
	gone, err := devauth.New(devauth.Config{Algorithm: "ES256"})
	if err == nil {
		err = gone.Start("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
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
