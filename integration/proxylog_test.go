package integration_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// brokenAnswers are what a server writes to its proxy in place of an answer.
var brokenAnswers = map[string]string{
	"nothing":   "",
	"no colon":  "HTTP/1.1 200 OK\r\nMcp-Session-Id " + serverSession + "\r\n\r\n",
	"no status": "Mcp-Session-Id: " + serverSession + "\r\n\r\n",
	"a space":   "HTTP/1.1 200 OK\r\nConnection: close\r\nMcp-Session-Id : " + serverSession + "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	"an end":    "HTTP/1.1 200 OK\r\nMcp-Session-Id: " + serverSession + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\"",
}

// mortalServer is a server with one session, which a DELETE ends. What it is told in X-Broken
// it answers so.
func mortalServer(t *testing.T) *upstream {
	t.Helper()
	var mu sync.Mutex
	ended := false
	return upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if broken := r.Header.Get("X-Broken"); broken != "" {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Errorf("%s: %v", broken, err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, brokenAnswers[broken])
			if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
				_, _ = io.Copy(io.Discard, conn) // or what was not read would reset the connection before the answer is read
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Mcp-Session-Id") != "" && ended {
			http.Error(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no such session"}}`, http.StatusNotFound)
			return
		}
		w.Header().Set("Mcp-Session-Id", serverSession)
		switch {
		case r.Method == http.MethodDelete:
			ended = true
			w.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodGet || strings.Contains(string(body), "progressToken"):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "id: 7\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n")
		case !strings.Contains(string(body), `"id"`):
			w.WriteHeader(http.StatusAccepted)
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}
	})
}

// unreachable is an address at which no server is, nor will be before the test ends: that of
// the client's end of a connection, which nobody else is given.
func unreachable(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// proxiedSecrets are sites in front of an HTTP server, and what requests to them bring that is
// secret, a session's id apart.
type proxiedSecrets struct {
	oauth, mcp []string // lines in the blocks
	present    func(*gateway) func(*http.Request)
}

func allProxiedSecrets(t *testing.T) map[string]proxiedSecrets {
	alice := newProver(t)
	bearer := func(g *gateway) func(*http.Request) { return set("Authorization", "Bearer "+g.token(t, "alice")) }
	return map[string]proxiedSecrets{
		"bearer token":      {present: bearer},
		"ids of the server": {mcp: []string{"bind_sessions off"}, present: bearer},
		"lists are cut":     {mcp: []string{"scopes {", "	tool hidden some:scope", "}"}, present: bearer},
		"bound token": {present: func(g *gateway) func(*http.Request) {
			token := g.mint(t, devauth.MintOptions{Key: alice.key.Public()})
			return func(r *http.Request) { alice.present(r, token, nil) }
		}},
		"assertion": {oauth: behindPlatform().oauth, present: func(g *gateway) func(*http.Request) {
			assertion := g.assertion(t, nil)
			return func(r *http.Request) {
				r.Header.Set(assertionHeader, assertion)
				r.Header.Set("Cookie", "CF_Authorization="+assertion)
			}
		}},
	}
}

// A proxy has a log of its own, as a rewrite has, with the request and the answer in it. Of what
// would let its reader call nothing stands there, with nothing configured for that and all that
// could show it; the server gets it nevertheless.
func TestNoLogOfAProxyHoldsASecret(t *testing.T) {
	t.Parallel()
	for name, c := range allProxiedSecrets(t) {
		t.Run(name, func(t *testing.T) {
			u := mortalServer(t)
			lines, files := everyLog(t.TempDir())
			g := start(t, site{
				oauth: c.oauth, mcp: c.mcp, servers: []string{"log_credentials"},
				routes: append(lines, "encode", "handle_path /files/* {", "	respond {http.request.uri.path}", "}", "@fails header X-Fails *", "error @fails \"behind the login\" 502",
					"handle_errors {", "	rewrite * /{err.status_code}.html", "	respond {err.status_code}", "}"),
				proxy: unreachable(t) + " " + u.host, proxyWith: []string{"lb_policy first", "lb_retries 20", "fail_duration 1h", "max_fails 8"},
			})
			l := &leaker{t: t, present: c.present(g), secrets: map[string]bool{serverSession: true}}
			l.broken(g)
			l.all(g)
			if a := l.send(g.anyone(t, ""), "another path", 200, http.MethodGet, "", set("Mcp-Session-Id", serverSession), func(r *http.Request) { r.URL.Path = "/files/x" }); a.body != "/x" {
				t.Errorf("another path: %s", a.body)
			}
			logs := l.logs(g, files)
			l.search(logs)
			for _, entry := range []string{"upstream roundtrip", "rewrote request", "connection refused", "malformed", "aborting with incomplete response"} {
				if !strings.Contains(logs["of Caddy"], entry) {
					t.Errorf("nothing is logged of %q", entry)
				}
			}
			wantTrueSessions(t, u.take())
		})
	}
}

// broken has a server break its answers, in a session.
func (l *leaker) broken(g *gateway) {
	p := g.anyone(l.t, "")
	p.session = l.send(p, "initialize", 200, http.MethodPost, initializeMessage(legacyVersion)).header.Get("Mcp-Session-Id")
	p.version = legacyVersion
	for how := range brokenAnswers {
		// How it is answered is the proxy's and the reader's affair: it may end in the middle.
		_, _ = p.try(http.MethodPost, pingMessage, l.present, set("X-Broken", how), l.note)
	}
}

// wantTrueSessions fails unless a server got its own session id, and nothing that was made of
// one for a log.
func wantTrueSessions(t *testing.T, all []asked) {
	t.Helper()
	in := 0
	for _, got := range all {
		switch id := got.header.Get("Mcp-Session-Id"); id {
		case serverSession:
			in++
		case "":
		default:
			t.Errorf("the server is told the session %q", id)
		}
		if strings.Contains(fmt.Sprint(got.header), "REDACTED") {
			t.Errorf("the server got %v", got.header)
		}
	}
	if in < 8 {
		t.Errorf("%d requests came in a session", in)
	}
}

// namedServer begins a session on each request without one, and tells its own name. It fails
// the test if a health check has lost a header.
func namedServer(t *testing.T, name string) *upstream {
	t.Helper()
	var mu sync.Mutex
	begun := 0
	return upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			if r.Header.Get("Mcp-Session-Id") != "of-the-health-check" {
				t.Errorf("a health check came with %v", r.Header)
			}
			return
		}
		id := r.Header.Get("Mcp-Session-Id")
		if id == "" {
			mu.Lock()
			begun++
			id = fmt.Sprintf("secret-%s-%d", name, begun)
			mu.Unlock()
		}
		w.Header().Set("Mcp-Session-Id", id)
		w.Header().Set("X-Server", name)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":"init","result":{}}`)
	})
}

// sessionsAt begins sessions, however many requests fail before health checks have found out
// the servers that are not there.
func (g *gateway) sessionsAt(t *testing.T, count int) (peers []*peer) {
	t.Helper()
	await(t, "sessions", func() bool {
		p := g.anyone(t, g.token(t, "alice"))
		if a := p.post(initializeMessage(legacyVersion)); a.status == http.StatusOK {
			p.version, p.session = legacyVersion, a.header.Get("Mcp-Session-Id")
			peers = append(peers, p)
		}
		return len(peers) == count
	})
	return peers
}

// A session's id may choose the server, which health checks watch meanwhile, and a reload
// changes neither.
func TestProxyWithRedactedLogBalancesBySession(t *testing.T) {
	t.Parallel()
	a, b := namedServer(t, "a"), namedServer(t, "b")
	s := site{admin: true, proxy: a.host + " " + b.host + " " + unreachable(t), proxyWith: []string{
		"lb_policy header Mcp-Session-Id", "health_uri /health", "health_interval 20ms", "health_fails 3", "health_headers {", "	Mcp-Session-Id of-the-health-check", "}",
	}}
	g := start(t, s)
	g.dialAgain()
	peers := g.sessionsAt(t, 40)
	settled := func() bool {
		return !slices.ContainsFunc(peers, func(p *peer) bool { return p.post(pingMessage).status != http.StatusOK })
	}
	await(t, "the server that is not there to be found out", settled)
	chosen, all := map[*peer]string{}, map[string]bool{}
	for round := range 6 {
		if round == 3 {
			s.mcp = []string{"limits {", "	body 1MiB", "}"}
			g.reload(t, s)
			await(t, "the same after the reload", settled)
		}
		for _, p := range peers {
			answer := p.post(pingMessage)
			server := answer.header.Get("X-Server")
			if answer.status != http.StatusOK || answer.header.Get("Mcp-Session-Id") != p.session {
				t.Fatalf("%d %s", answer.status, answer.body)
			}
			if chosen[p] != "" && chosen[p] != server {
				t.Errorf("a session went to %s and then to %s", chosen[p], server)
			}
			chosen[p], all[server] = server, true
		}
	}
	if len(all) != 2 {
		t.Errorf("all sessions went to %v", all)
	}
	if text := g.logs.text(); strings.Contains(text, "secret-a-") || strings.Contains(text, "secret-b-") {
		t.Error("a session's id is in the log")
	}
}
