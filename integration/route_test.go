package integration_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// A path that is written otherwise, or rewritten, leads to the same check.
func TestNoPathLeadsAroundTheToken(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := standin()
	s.plain = true
	s.routes = []string{"rewrite /inner /mcp", "header X-Passed yes"}
	g := start(t, s)
	for path, status := range map[string]int{
		"/inner": 401, "/MCP": 401, "//mcp": 401, "/mcp/../mcp": 401, "/%6dcp": 401,
		"/mcp/": 200, "/mcp%2f": 200, "/": 200, // Caddy's own empty answer: nothing is there
	} {
		a := g.anyone(t, "").post(initializeMessage(legacyVersion), set("X-Snapgate-Subject", "alice"), func(r *http.Request) {
			r.URL.Opaque = "//" + g.host + path
		})
		if a.status != status || a.header.Get("X-Passed") != "yes" || status == 200 && a.body != "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes run", n)
	}
}

// A route may also lead to the handler that carries past the one that authorizes, or from
// the one of another resource. Then the handler itself refuses.
func TestNothingIsCarriedThatWasNotAuthorizedForIt(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := reloadable()
	s.plain = true
	g := start(t, s)
	other := g.url + "-of-others"
	tokens := map[string]string{"none": "", "good": g.token(t, "alice"), "for the other": g.mint(t, devauth.MintOptions{Subject: "alice", Audience: []string{other}})}
	for name, c := range map[string]struct {
		edit   func(oauth object) (keep bool)
		status map[string]int // by token
	}{
		"no mcp_oauth":     {func(object) bool { return false }, map[string]int{"none": 403, "good": 403, "for the other": 403}},
		"another resource": {func(oauth object) bool { oauth["resource"] = other; return true }, map[string]int{"none": 401, "good": 401, "for the other": 403}},
	} {
		t.Run(name, func(t *testing.T) {
			if status, text := g.loadAs(t, "application/json", g.edited(t, "mcp_oauth", c.edit)); status != http.StatusOK {
				t.Fatalf("load: %d %s", status, text)
			}
			g.client.CloseIdleConnections()
			for token, status := range c.status {
				legacy, modern := g.anyone(t, tokens[token]), g.modern(t, tokens[token])
				for p, body := range map[*peer]string{legacy: initializeMessage(legacyVersion), modern: modern.toolCall(1, "echo", nil)} {
					if a := p.post(body, set("X-Snapgate-Subject", "alice")); a.status != status {
						t.Errorf("token %s: %d %s", token, a.status, a.body)
					}
				}
			}
			if n := len(g.processes(t)); n != 0 {
				t.Errorf("%d processes run", n)
			}
		})
	}
}

// edited is the gateway's configuration in JSON, with the handlers of a name edited, or
// left out where edit says so.
func (g *gateway) edited(t *testing.T, handler string, edit func(object) (keep bool)) string {
	t.Helper()
	adapt := exec.Command(caddyBinary, "adapt", "--config", g.configFile(), "--adapter", "caddyfile")
	adapt.Env = g.environment()
	text, err := adapt.Output()
	if err != nil {
		t.Fatal(err)
	}
	var config any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	found := 0
	config = eachHandler(config, func(o object) bool {
		if o["handler"] != handler {
			return true
		}
		found++
		return edit(o)
	})
	if found == 0 {
		t.Fatalf("there is no %s in %s", handler, text)
	}
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eachHandler goes through all lists in a configuration, and keeps the objects that it is
// told to.
func eachHandler(value any, keep func(object) bool) any {
	switch v := value.(type) {
	case object:
		for name, member := range v {
			v[name] = eachHandler(member, keep)
		}
	case []any:
		kept := []any{}
		for _, item := range v {
			if o, ok := item.(object); !ok || keep(o) {
				kept = append(kept, eachHandler(item, keep))
			}
		}
		return kept
	}
	return value
}
