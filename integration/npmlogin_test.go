package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// loginPackages are a certified authorization server, the clients that log in at it, and
// the Node.js that it needs.
var loginPackages = []string{
	"oidc-provider@9.13.3", "@modelcontextprotocol/client@2.4.0", "@modelcontextprotocol/sdk@1.32.2", "mcp-remote@0.15.1", "node@22",
}

// firstTokenLife is how long the token of a login is good. What comes before its end takes
// a second, and some more on a machine that is busy.
const firstTokenLife = 15 * time.Second

// provider is oidc-provider as a process, with what it says.
type provider struct {
	issuer string
	said   *logbook
}

// startProvider runs it until the end of the test.
func startProvider(t *testing.T, folder string) *provider {
	t.Helper()
	p := &provider{said: newLogbook()}
	cmd := exec.Command(filepath.Join(folder, "node_modules", ".bin", "node"), beside(t, folder, "provider.mjs"))
	cmd.Env = append(os.Environ(), "SCOPES=tools:use tools:more", fmt.Sprintf("ACCESS_SECONDS=%d", firstTokenLife/time.Second))
	cmd.Stdout, cmd.Stderr = p.said, p.said
	endWithTests(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		faults, _ := p.said.find(func(e entry) bool { return e["fault"] != nil })
		for _, fault := range faults {
			t.Errorf("the authorization server: %v", fault["fault"])
		}
	})
	p.issuer, _ = p.said.await(t, 1, func(e entry) bool { return e["issuer"] != nil })[0]["issuer"].(string)
	return p
}

// about returns what was asked of a route for a client.
func (p *provider) about(client, route string) []entry {
	found, _ := p.said.find(func(e entry) bool { return e["client"] == client && e["route"] == route })
	return found
}

// arrival is how one client came in.
type arrival struct {
	kind     string
	document string // of its metadata; "" if it registers
	port     int    // that mcp-remote is called back on

	Texts   []string
	Client  string
	Version string
	Kept    bool // the session
	Steps   []string
}

// TestClientsFromNPMLogIn takes each client from the URL alone through discovery,
// registration (RFC 7591) or its metadata document, PKCE (RFC 7636), the token for the
// resource (RFC 8707), a call, a call that needs a further scope, and the end of the token,
// which no session ends with.
func TestClientsFromNPMLogIn(t *testing.T) {
	t.Parallel()
	folder := npmFolder(t, loginPackages)
	p := startProvider(t, folder)
	g := start(t, site{
		plain: true, command: []string{standinBinary}, issuer: p.issuer, oauth: []string{"clock_skew 0s"},
		mcp: []string{"scopes {", "	base tools:use", "	tool pid tools:more", "}"},
	})
	for kind, version := range map[string]string{"legacy": legacyVersion, "modern": modernVersion, "auto": modernVersion, "sdk": "", "mcp-remote": ""} {
		for name, document := range map[string]string{"registers": "", "is described by a document": "https://client.example/" + kind + ".json"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				a := &arrival{kind: kind, document: document}
				a.port, _ = freePorts(t)
				g.arrive(t, folder, a)
				if a.Version != version {
					t.Errorf("version %q, want %q", a.Version, version)
				}
				if len(a.Texts) != 3 || a.Texts[0] != "echo" || a.Texts[1] != a.Texts[2] || !a.Kept {
					t.Errorf("texts %q, session kept: %v", a.Texts, a.Kept)
				}
				a.checkSteps(t)
				p.checkArrival(t, g.url, a)
			})
		}
	}
}

// arrive runs the client.
func (g *gateway) arrive(t *testing.T, folder string, a *arrival) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	bin := filepath.Join(folder, "node_modules", ".bin")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "node"), beside(t, folder, "login.mjs", "browser.mjs", "opener.mjs"),
		a.kind, g.url, strconv.Itoa(int(firstTokenLife/time.Second)), a.document, strconv.Itoa(a.port))
	home := t.TempDir() // mcp-remote keeps files there
	cmd.Env = append(os.Environ(), "MCP_REMOTE="+filepath.Join(bin, "mcp-remote"), "HOME="+home, "MCP_REMOTE_CONFIG_DIR="+home)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, a)
	}
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, stderr.String())
	}
}

// checkSteps holds the order of what the client asked, where it tells.
func (a *arrival) checkSteps(t *testing.T) {
	t.Helper()
	if a.kind == "mcp-remote" {
		return
	}
	want := []string{"POST /mcp 401", "GET /.well-known/oauth-protected-resource/mcp 200", "GET /.well-known/oauth-authorization-server 200"}
	if a.document == "" {
		want = append(want, "POST /reg 201")
	}
	want = append(want, "POST /token 200", "POST /mcp 200", "POST /mcp 403", "POST /token 200", "POST /mcp 200", " /mcp 401", "POST /token 200", "POST /mcp 200")
	rest := a.Steps
	for _, step := range want {
		for len(rest) > 0 && !strings.Contains(rest[0], step) {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Fatalf("%q is not where it belongs in\n%s", step, strings.Join(a.Steps, "\n"))
		}
		rest = rest[1:]
	}
}

// checkArrival holds what the client asked of the authorization server.
func (p *provider) checkArrival(t *testing.T, resource string, a *arrival) {
	t.Helper()
	client := a.document
	if client == "" {
		client = p.registered(t, a)
	}
	documents, _ := p.said.find(func(e entry) bool { return e["document"] == a.document })
	if registrations := p.about(client, "registration"); a.document != "" && (len(documents) != 1 || len(registrations) != 0) {
		t.Errorf("the document was fetched %d times; registrations %v", len(documents), registrations)
	}
	authorizations := p.about(client, "authorization")
	if len(authorizations) < 2 {
		t.Fatalf("authorizations %v", authorizations)
	}
	stepped := false
	for i, e := range authorizations {
		scope, _ := e["scope"].(string)
		more := strings.Contains(scope, "tools:more")
		stepped = stepped || more
		if e["pkce"] != "S256" || e["resource"] != resource || !strings.Contains(scope, "tools:use") || i == 0 && more {
			t.Errorf("authorization %d: %v", i, e)
		}
	}
	if !stepped {
		t.Errorf("no authorization asks for the further scope: %v", authorizations)
	}
	grants := map[any]int{}
	for _, e := range p.about(client, "token") {
		grants[e["grant"]]++
		if e["status"] != float64(http.StatusOK) || e["resource"] != resource {
			t.Errorf("token: %v", e)
		}
	}
	if grants["authorization_code"] < 2 || grants["refresh_token"] < 1 {
		t.Errorf("grants %v", grants)
	}
}

// registered is the id of a client that registered itself: the one that it told, or that
// which is called back on its port.
func (p *provider) registered(t *testing.T, a *arrival) string {
	t.Helper()
	found, _ := p.said.find(func(e entry) bool {
		return e["route"] == "registration" && e["status"] == float64(http.StatusCreated) &&
			(e["client"] == a.Client || a.Client == "" && strings.Contains(fmt.Sprint(e["redirects"]), ":"+strconv.Itoa(a.port)+"/"))
	})
	if len(found) != 1 {
		t.Fatalf("%d registrations: %v", len(found), found)
	}
	id, _ := found[0]["client"].(string)
	return id
}
