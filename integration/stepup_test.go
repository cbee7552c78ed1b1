package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// layered has scopes above scopes, and tools for each.
func layered(more ...string) site {
	s := standin()
	s.mcp = append([]string{
		"scopes {",
		"	base mcp",
		"	tool pid read",
		"	tool echo write",
		"	tool env admin money",
		"	imply admin write read",
		"	imply write read",
	}, more...)
	s.mcp = append(s.mcp, "}")
	return s
}

// scopesAsked are those that a challenge asks for.
func scopesAsked(a answer) []string {
	m := regexp.MustCompile(`scope="([^"]*)"`).FindStringSubmatch(a.header.Get("WWW-Authenticate"))
	if m == nil {
		return nil
	}
	return strings.Fields(m[1])
}

// Clients do one of two things with the scopes of a challenge: they ask for these alone, or
// add them to what they have. Either way each call must succeed at the second try, and in
// the end one token must do for all of them.
func TestStepUpWorksForClientsThatReplaceAndThatAddScopes(t *testing.T) {
	t.Parallel()
	g := start(t, layered())
	clients := map[string]func(held, asked []string) []string{
		"replaces": func(_, asked []string) []string { return asked },
		"adds": func(held, asked []string) []string {
			for _, scope := range asked {
				if !slices.Contains(held, scope) {
					held = append(slices.Clip(held), scope)
				}
			}
			return held
		},
	}
	for name, next := range clients {
		t.Run(name, func(t *testing.T) {
			// The first challenge says what every request needs.
			held := next(nil, scopesAsked(g.anyone(t, "").post(initializeMessage(legacyVersion))))
			if !slices.Equal(held, []string{"mcp"}) {
				t.Fatalf("the first challenge asks for %q", held)
			}
			p := g.modern(t, g.token(t, "alice", held...))
			challenges := 0
			for _, tool := range []string{"pid", "echo", "env", "pid", "echo", "env", "pid"} {
				message := p.toolCall(1, tool, object{"text": "x", "name": "HOME"})
				a := p.post(message)
				if a.status == http.StatusForbidden {
					challenges++
					held = next(held, scopesAsked(a))
					p = p.as(g.token(t, "alice", held...))
					a = p.post(message)
				}
				if a.status != http.StatusOK {
					t.Fatalf("%s with %q: %d %s", tool, held, a.status, a.header.Get("WWW-Authenticate"))
				}
			}
			if challenges != 3 {
				t.Errorf("%d challenges for three tools: %q", challenges, held)
			}
		})
	}
}

func TestScopesImplyOthersForGatewayAndServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := layered()
	s.command = append(s.command, "-record", folder)
	g := start(t, s)
	for _, client := range []func(*gateway, testing.TB, string) *peer{(*gateway).legacy, (*gateway).modern} {
		p := client(g, t, g.token(t, "alice", "mcp", "admin"))
		p.call(1, "pid", nil)
		p.call(2, "echo", object{"text": "x"})
		a := p.post(p.toolCall(3, "env", nil))
		if got := scopesAsked(a); a.status != http.StatusForbidden || !slices.Equal(got, []string{"mcp", "admin", "money"}) {
			t.Errorf("a tool that needs one more: %d, asked for %q", a.status, got)
		}
		p = client(g, t, g.token(t, "alice", "mcp", "read"))
		a = p.post(p.toolCall(4, "echo", nil))
		// read is left out: write brings it along.
		if got := scopesAsked(a); a.status != http.StatusForbidden || !slices.Equal(got, []string{"mcp", "write"}) {
			t.Errorf("a tool above: %d, asked for %q", a.status, got)
		}
	}
	calls := 0
	for _, line := range recorded(t, folder) {
		if !strings.Contains(string(line), `"tools/call"`) {
			continue
		}
		calls++
		if id := stamped(t, line); id == nil || !slices.Equal(id.Scopes, []string{"mcp", "admin", "write", "read"}) {
			t.Errorf("the server is told %+v", id)
		}
	}
	if calls != 4 {
		t.Errorf("%d calls came to the server, want 4", calls)
	}
}

func TestTheFirstChallengeMayAskForEverything(t *testing.T) {
	t.Parallel()
	for ask, want := range map[string][]string{"base": {"mcp"}, "all": {"mcp", "read", "write", "admin", "money"}} {
		g := start(t, layered("	ask "+ask))
		if got := scopesAsked(g.anyone(t, "").post(initializeMessage(legacyVersion))); !slices.Equal(got, want) {
			t.Errorf("ask %s: the first challenge asks for %q, want %q", ask, got, want)
		}
		response, err := g.client.Get(strings.TrimSuffix(g.url, "/mcp") + "/.well-known/oauth-protected-resource/mcp")
		if err != nil {
			t.Fatal(err)
		}
		var metadata struct {
			Scopes []string `json:"scopes_supported"`
		}
		err = json.NewDecoder(response.Body).Decode(&metadata)
		response.Body.Close()
		if err != nil || !slices.Equal(metadata.Scopes, want) {
			t.Errorf("ask %s: the metadata says %q, %v", ask, metadata.Scopes, err)
		}
		// A call is refused for what it needs itself, whatever was asked for before.
		p := g.modern(t, g.token(t, "alice", "mcp"))
		if got := scopesAsked(p.post(p.toolCall(1, "pid", nil))); !slices.Equal(got, []string{"mcp", "read"}) {
			t.Errorf("ask %s: a call asks for %q", ask, got)
		}
	}
}

// Some authorization servers want to be asked for other names than they write into tokens.
func TestClientsAreToldScopesWithThePrefix(t *testing.T) {
	t.Parallel()
	const prefix = "api://00001111-aaaa-2222-bbbb-3333cccc4444/"
	g := start(t, layered("	advertise_prefix "+prefix))
	if got := scopesAsked(g.anyone(t, "").post(initializeMessage(legacyVersion))); !slices.Equal(got, []string{prefix + "mcp"}) {
		t.Errorf("the first challenge asks for %q", got)
	}
	if _, document := g.resourceMetadata(t); fmt.Sprint(document["scopes_supported"]) != "["+prefix+"mcp]" {
		t.Errorf("the metadata says %v", document)
	}
	p := g.modern(t, g.token(t, "alice", "mcp"))
	if got := scopesAsked(p.post(p.toolCall(1, "pid", nil))); !slices.Equal(got, []string{prefix + "mcp", prefix + "read"}) {
		t.Errorf("a call asks for %q", got)
	}
	if missing := g.logs.await(t, 1, func(e entry) bool { return e["msg"] == "refused" && e["tool"] == "pid" })[0]["missing"]; missing != "read" {
		t.Errorf("the log says that %v is missing", missing)
	}
	if a := p.as(g.token(t, "alice", "mcp", "read")).post(p.toolCall(2, "pid", nil)); a.status != http.StatusOK {
		t.Errorf("with the scopes: %d %s", a.status, a.body)
	}
	if a := p.as(g.token(t, "alice", prefix+"mcp", prefix+"read")).post(p.toolCall(3, "pid", nil)); a.status != http.StatusForbidden {
		t.Errorf("with others, of those names: %d %s", a.status, a.body)
	}
}

// Caddy's own matchers make policy that scopes cannot express, between login and server.
func TestMatchersSeeTheUserAndTheTool(t *testing.T) {
	t.Parallel()
	s := standin()
	s.mcp = []string{
		"handle {",
		"	@outsiders `{mcp.method} == 'tools/call' && {mcp.tool} == 'echo' && {mcp.claims.org.unit} != 'staff'`",
		"	respond @outsiders 403",
		"	@mallory expression `{mcp.subject} == 'mallory'`",
		"	respond @mallory 403",
		"}",
	}
	g := start(t, s)
	token := func(subject, unit string) string {
		return g.mint(t, mintWithUnit(subject, unit))
	}
	for _, client := range []func(*gateway, testing.TB, string) *peer{(*gateway).legacy, (*gateway).modern} {
		staff, guest := client(g, t, token("alice", "staff")), client(g, t, token("bob", "guests"))
		if got := staff.call(1, "echo", object{"text": "x"}); got != "x" {
			t.Errorf("staff gets %q", got)
		}
		nobody := client(g, t, g.token(t, "carol"))
		for name, p := range map[string]*peer{"another unit": guest, "no such claim": nobody} {
			if a := p.post(p.toolCall(1, "echo", object{"text": "x"})); a.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			p.call(2, "pid", nil)
		}
	}
	before := len(g.processes(t))
	for _, p := range []*peer{g.anyone(t, token("mallory", "staff")), g.modern(t, token("mallory", "staff"))} {
		body := initializeMessage(legacyVersion)
		if p.version != "" {
			body = p.message(1, "tools/list", object{})
		}
		if a := p.post(body, set("Origin", "https://"+g.host)); a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("mallory: %d %v", a.status, a.header)
		}
	}
	if after := len(g.processes(t)); after != before {
		t.Errorf("%d processes run, %d before", after, before)
	}
}

// mintWithUnit is a token with a nested claim.
func mintWithUnit(subject, unit string) devauth.MintOptions {
	return devauth.MintOptions{Subject: subject, Claims: object{"org": object{"unit": unit}}}
}

// An expression that cannot be evaluated for a user lets nothing through.
func TestAMatcherThatFailsLetsNothingThrough(t *testing.T) {
	t.Parallel()
	s := standin()
	s.mcp = []string{
		"handle {",
		"	@ops expression `{mcp.claims.dept}.startsWith('ops')`",
		"	respond @ops 403",
		"}",
	}
	g := start(t, s)
	for dept, want := range map[any]int{"dev": http.StatusOK, "ops-1": http.StatusForbidden, nil: http.StatusInternalServerError} {
		before := len(g.processes(t))
		p := g.modern(t, g.mint(t, devauth.MintOptions{Subject: fmt.Sprint("user of ", dept), Claims: object{"dept": dept}}))
		if a := p.post(p.toolCall(1, "echo", object{"text": "x"})); a.status != want {
			t.Errorf("%v: %d %s", dept, a.status, a.body)
		}
		if after := len(g.processes(t)); want != http.StatusOK && after != before {
			t.Errorf("%v: a process was started", dept)
		}
	}
}
