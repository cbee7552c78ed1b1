package integration_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// A client that knows nothing but the URL finds the authorization server, registers, logs
// its user in and uses the four tools.
func TestClientLogsInAndUsesTheFourTools(t *testing.T) {
	t.Parallel()
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			g := start(t, snapshots(t.TempDir()))
			steps := &trace{next: g.client.Transport}
			client := &http.Client{Transport: steps}
			session := g.connect(t, &mcp.StreamableClientTransport{
				Endpoint: g.url, HTTPClient: client, OAuthHandler: login(t, "alice", client),
			}, version, nil)
			if got := session.InitializeResult().ProtocolVersion; got != negotiated[version] {
				t.Errorf("version %s", got)
			}
			useTheFourTools(t, session)
			checkFlow(t, steps.String())
		})
	}
}

func useTheFourTools(t *testing.T, session *mcp.ClientSession) {
	t.Helper()
	tools, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
	}
	// The original four, and what else the scopes of reading, writing and deleting allow.
	want := []string{"delete_snapshot", "find_snapshots", "list_snapshots", "load_snapshot", "save_snapshot", "search_snapshots", "snapshot_usage"}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("tools %v, want %v", names, want)
	}
	steps := []struct {
		tool      string
		arguments object
		want      string // a regular expression
	}{
		{"list_snapshots", nil, `No snapshots found\.`},
		{"save_snapshot", object{"summary": "s", "context": object{"files": []string{"a.go"}}, "name": "n", "next_steps": "go on"}, `Saved snapshot #1 \(n\)`},
		{"load_snapshot", object{"name": "n"}, "Resuming: s\n\nContext:\nFiles:\n- a.go\n\nNext:\ngo on"},
		{"list_snapshots", nil, `#1 \(n\) - s \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]`},
		{"delete_snapshot", object{"id": 1}, `Deleted snapshot #1`},
		{"load_snapshot", object{"id": 1}, "Error: Snapshot with ID 1 not found\nCode: not_found"},
	}
	for _, s := range steps {
		if got := use(t, session, s.tool, s.arguments); !regexp.MustCompile("^" + s.want + "$").MatchString(got) {
			t.Errorf("%s %v: %q, want %q", s.tool, s.arguments, got, s.want)
		}
	}
}

// checkFlow holds that each step was taken, in order, and once.
func checkFlow(t *testing.T, steps string) {
	t.Helper()
	at := 0
	for _, step := range []string{
		"POST /mcp 401", "GET /.well-known/oauth-protected-resource/mcp 200", "GET /.well-known/oauth-authorization-server 200",
		"POST /register 201", "POST /token 200", "POST /mcp 200",
	} {
		i := strings.Index(steps[at:], step)
		if i < 0 {
			t.Fatalf("%q is not where it belongs in\n%s", step, steps)
		}
		at += i
		if n := strings.Count(steps, step); n != 1 && step != "POST /mcp 200" {
			t.Errorf("%q happened %d times in\n%s", step, n, steps)
		}
	}
}

func TestProtectedResourceMetadata(t *testing.T) {
	t.Parallel()
	g := start(t, snapshots(t.TempDir()))
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		response, err := g.client.Get("https://" + g.host + path)
		if err != nil {
			t.Fatal(err)
		}
		var metadata oauthex.ProtectedResourceMetadata
		err = json.NewDecoder(response.Body).Decode(&metadata)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		scopes := slices.Sorted(slices.Values(metadata.ScopesSupported))
		if metadata.Resource != g.url || !slices.Equal(metadata.AuthorizationServers, []string{issuer.Issuer()}) ||
			!slices.Equal(scopes, []string{"snapshot:delete", "snapshot:read", "snapshot:write"}) ||
			!slices.Equal(metadata.BearerMethodsSupported, []string{"header"}) ||
			response.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %+v %v", path, metadata, response.Header)
		}
	}
}

// Step-up: a token for reading is not enough to write, the challenge says what would be beside it, and
// a client that asks for that goes on in the same session.
func TestClientIsToldTheScopeItLacks(t *testing.T) {
	t.Parallel()
	g := start(t, snapshots(t.TempDir()))
	p := g.legacy(t, g.token(t, "alice", "snapshot:read"))
	save := p.toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"})
	a := p.post(save)
	challenge := a.header.Get("WWW-Authenticate")
	if a.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="snapshot:write snapshot:read"`) {
		t.Fatalf("%d %q", a.status, challenge)
	}
	text, err := resultText(p.as(g.token(t, "alice", "snapshot:read", "snapshot:write")).post(save))
	if err != nil || text != "Saved snapshot #1" {
		t.Errorf("%q %v", text, err)
	}
}
