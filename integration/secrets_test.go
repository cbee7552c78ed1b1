package integration_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// everyLog are logs of all kinds for one site, none of which leaves anything out by itself,
// and the files that they write.
func everyLog(folder string) (lines []string, files map[string]string) {
	files = map[string]string{}
	file := func(name string) string {
		files[name] = filepath.Join(folder, name)
		return "output file " + files[name]
	}
	lines = []string{
		"log asJSON {", file("json"), "format json", "}",
		"log asText {", file("console"), "format console", "}",
		"log ofHost {", "hostnames localhost", file("host"), "format json", "}",
		"log byName {", "no_hostname", file("name"), "format json", "}",
		"@named header X-Log name", "log_name @named byName",
	}
	return lines, files
}

// failing are lines of an mcp block by which a call that was let in fails behind the login.
var failing = []string{"handle {", "	@fails header X-Fails *", "	error @fails \"behind the login\" 502", "}"}

// leaker sends requests of all kinds with the same secrets.
type leaker struct {
	t       *testing.T
	present func(*http.Request) // the secrets, a session's id apart
	secrets map[string]bool
}

// logs are the gateway's, with all that came until now in them.
func (l *leaker) logs(g *gateway, files map[string]string) map[string]string {
	l.t.Helper()
	last := "the-last-of-all"
	l.send(g.anyone(l.t, ""), "the last", 200, http.MethodPost, initializeMessage(legacyVersion), set("User-Agent", last))
	l.send(g.anyone(l.t, ""), "the last by name", 200, http.MethodPost, initializeMessage(legacyVersion), set("User-Agent", last), set("X-Log", "name"))
	logs := map[string]string{}
	for name, file := range files {
		await(l.t, "the log "+name, func() bool {
			text, err := os.ReadFile(file)
			logs[name] = string(text)
			return err == nil && strings.Contains(logs[name], last)
		})
	}
	logs["of Caddy"] = g.logs.text()
	return logs
}

// note takes down what a request brings that must be in no log.
func (l *leaker) note(r *http.Request) {
	for _, name := range []string{"Authorization", "Dpop", assertionHeader, "Mcp-Session-Id", "Cookie"} {
		for _, value := range r.Header.Values(name) {
			fields := strings.Fields(value)
			l.secrets[fields[len(fields)-1]] = true
		}
	}
	if _, token, ok := strings.Cut(r.URL.RawQuery, "="); ok {
		l.secrets[token] = true
	}
}

// send makes one request, and holds how it is answered.
func (l *leaker) send(p *peer, name string, status int, method, body string, change ...func(*http.Request)) answer {
	l.t.Helper()
	p.prove = nil
	change = append([]func(*http.Request){l.present}, change...)
	a := p.do(method, body, append(change, l.note)...)
	if a.status != status {
		l.t.Errorf("%s: %d %s", name, a.status, a.body)
	}
	return a
}

// all sends a session's life and what is refused of it, under the paths of a site.
func (l *leaker) all(g *gateway) {
	call := func(p *peer) string { return p.toolCall(1, "echo", object{"text": "x"}) }
	at := func(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = path } }
	p := g.anyone(l.t, "")
	p.session = l.send(p, "initialize", 200, http.MethodPost, initializeMessage(legacyVersion)).header.Get("Mcp-Session-Id")
	p.version = legacyVersion
	l.send(p, "initialized", 202, http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	l.send(p, "call", 200, http.MethodPost, call(p))
	l.send(p, "call by another log", 200, http.MethodPost, call(p), set("X-Log", "name"))
	l.send(p, "stream", 200, http.MethodPost, p.message(2, "tools/call", object{"name": "progress", "arguments": object{"count": 2}, "_meta": object{"progressToken": 1}}))
	l.send(p, "batch", 400, http.MethodPost, "["+call(p)+"]")
	l.send(p, "foreign page", 403, http.MethodPost, call(p), set("Origin", "https://evil.example"))
	l.send(p, "other scheme", 400, http.MethodPost, call(p), func(r *http.Request) {
		name := "Authorization"
		if r.Header.Get(assertionHeader) != "" {
			name = assertionHeader
		}
		r.Header.Add(name, r.Header.Get(name))
	})
	l.send(p, "token in the query", 400, http.MethodPost, call(p), func(r *http.Request) { r.URL.RawQuery = "%61ccess_token=" + g.token(l.t, "carol") })
	l.send(p, "metadata", l.metadata(g), http.MethodGet, "", at("/.well-known/oauth-protected-resource/mcp"))
	l.send(p, "nothing there", 200, http.MethodPost, call(p), at("/mcp/nothing")) // Caddy's own empty answer
	l.send(p, "failure behind", 502, http.MethodPost, call(p), set("X-Fails", "1"))
	l.send(p, "failure behind, by another log", 502, http.MethodPost, call(p), set("X-Fails", "1"), set("X-Log", "name"))
	l.send(p, "end", 204, http.MethodDelete, "")
	l.send(p, "after the end", 404, http.MethodPost, call(p))
	l.send(p, "stream after the end", 404, http.MethodGet, "")
	p.session = ""
	p.version = modernVersion
	l.send(p, "modern call", 200, http.MethodPost, call(p))
}

// metadata is how the document is answered: where a platform logs users in there is none.
func (l *leaker) metadata(g *gateway) int {
	status, _ := g.resourceMetadata(l.t)
	return status
}

// Whatever logs an operator configures, even such as are to hold credentials: nobody who
// reads them can call in a user's place. Nothing is configured for that.
func TestNoLogHoldsASecret(t *testing.T) {
	t.Parallel()
	alice := newProver(t)
	for name, c := range map[string]struct {
		site    site
		present func(*gateway) func(*http.Request)
	}{
		"bearer token": {standin(), func(g *gateway) func(*http.Request) {
			return set("Authorization", "Bearer "+g.token(t, "alice"))
		}},
		"bound token": {standin(), func(g *gateway) func(*http.Request) {
			token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
			return func(r *http.Request) { alice.present(r, token, nil) }
		}},
		"assertion": {behindPlatform(), func(g *gateway) func(*http.Request) {
			assertion := g.assertion(t, nil)
			return func(r *http.Request) {
				r.Header.Set(assertionHeader, assertion)
				r.Header.Set("Cookie", "CF_Authorization="+assertion)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.site
			lines, files := everyLog(t.TempDir())
			s.routes = append(lines, "encode", "log_append request_id {http.request.uuid}")
			s.servers = []string{"log_credentials"}
			s.mcp = failing
			g := start(t, s)
			l := &leaker{t: t, present: c.present(g), secrets: map[string]bool{}}
			l.all(g)
			l.search(l.logs(g, files))
		})
	}
}

// search looks for each secret in each log: for all of it, and for each of its parts by
// which one could call.
func (l *leaker) search(logs map[string]string) {
	l.t.Helper()
	if len(l.secrets) < 3 {
		l.t.Errorf("only %d secrets were sent", len(l.secrets))
	}
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		text := logs[name]
		if name != "of Caddy" && !strings.Contains(text, "REDACTED") {
			l.t.Errorf("the log %s does not say that anything was left out", name)
		}
		for secret := range l.secrets {
			for i, part := range append([]string{secret}, strings.Split(secret, ".")...) {
				if at := strings.Index(text, part); at >= 0 && i != 1 { // the header of a JWT is that of many
					l.t.Errorf("the log %s has part %d of a secret: %q", name, i, text[max(0, at-300):min(len(text), at+60)])
					break
				}
			}
		}
	}
}
