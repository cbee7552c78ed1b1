package caddymodule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// behind is a server behind a reverse_proxy. It answers with a session's id and tells which
// header fields it got.
type behind struct {
	name, host string

	mu   sync.Mutex
	came []http.Header
}

func serveBehind(t *testing.T, name string, answer http.HandlerFunc) *behind {
	t.Helper()
	b := &behind{name: name}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.came = append(b.came, r.Header.Clone())
		b.mu.Unlock()
		w.Header().Set("Mcp-Session-Id", "the-secret-answer")
		w.Header().Set("X-Name", name)
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b.host = server.Listener.Addr().String()
	return b
}

// took returns the header fields of all requests since it was called last.
func (b *behind) took() []http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	came := b.came
	b.came = nil
	return came
}

// truly says whether a request came with all that is secret in it, and none of the marks.
func truly(h http.Header) bool {
	return h.Get("Mcp-Session-Id") == "the-secret-session" && h.Get("Dpop") == "the-secret-proof" &&
		h.Get("X-Assertion") == "the-secret-assertion" && !strings.Contains(fmt.Sprint(h), redacted)
}

// besideEndpoint is a site with a protected endpoint whose other paths are those of the directives.
func besideEndpoint(directives string) string {
	return `http://mcp.example.com {
	mcp /mcp {
		stdio snapshotd
		oauth https://auth.example.com {
			resource https://mcp.example.com/mcp
			token_header x-assertion
		}
	}
` + directives + `
}
`
}

// ask sends a request with secrets of all kinds.
func ask(server http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	server.ServeHTTP(w, secretRequest("mcp.example.com", path))
	return w
}

// holds fails if a log has a secret in it, or not an entry of the kind that might have had.
func holds(t *testing.T, log string, entries ...string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "the-secret") {
			t.Errorf("logged: %s", line)
		}
	}
	for _, entry := range entries {
		if !strings.Contains(log, `"msg":"`+entry) {
			t.Errorf("there is no entry %q:\n%s", entry, log)
		}
	}
}

// What reverse_proxy logs has no secrets, while the server gets them and the client its answer.
func TestProxyLogsNoSecret(t *testing.T) {
	for name, options := range map[string]string{"": "", "with credentials": logCredentials} {
		t.Run(name, func(t *testing.T) {
			b := serveBehind(t, "b", nil)
			server, log := logging(t, options, besideEndpoint("reverse_proxy "+b.host+` {
				header_up X-Copied {http.request.header.Dpop}
			}`))
			initialize := httptest.NewRequest(http.MethodPost, "/x", nil) // which has no secret yet
			initialize.Host = "mcp.example.com"
			server.ServeHTTP(httptest.NewRecorder(), initialize)
			b.took()
			for range 2 {
				if w := ask(server, "/x?access_token=the-secret-query"); w.Code != 200 || w.Result().Header.Get("Mcp-Session-Id") != "the-secret-answer" {
					t.Errorf("%d %v", w.Code, w.Result().Header)
				}
			}
			for _, h := range b.took() {
				if !truly(h) || h.Get("Authorization") != "Bearer the-secret-token" || h.Get("Cookie") != "name=the-secret-cookie" {
					t.Errorf("the server got %v", h)
				}
			}
			text := strings.ReplaceAll(log(), `"X-Copied":["the-secret-proof,the-secret-second"]`, "") // which is what the operator wrote
			holds(t, text, "upstream roundtrip")
			for _, shown := range []string{`"headers":{"Content-Length":["0"]`, `"Mcp-Session-Id":["REDACTED"]`, `"uri":"/x?access_token=REDACTED"`, `"User-Agent":`} {
				if !strings.Contains(text, shown) && !strings.Contains(text, strings.Replace(shown, `"headers":{`, "", 1)) {
					t.Errorf("no entry has %s:\n%s", shown, text)
				}
			}
		})
	}
}

// Each attempt is made with the true headers, and so is the choice of a server: a session
// stays at its own.
func TestProxyChoosesByTheTrueHeaders(t *testing.T) {
	a, b := serveBehind(t, "a", nil), serveBehind(t, "b", nil)
	// Nobody listens at the client's end of a connection, nor is given its port.
	unreachable, err := net.Dial("tcp", a.host)
	if err != nil {
		t.Fatal(err)
	}
	defer unreachable.Close()
	server, log := logging(t, "", besideEndpoint("reverse_proxy "+a.host+" "+b.host+" "+unreachable.LocalAddr().String()+` {
		lb_policy header Mcp-Session-Id
		lb_retries 2
		fail_duration 1h
	}`))
	chosen := map[string]string{}
	for i := range 144 {
		session := fmt.Sprintf("the-secret-%d", i%48)
		r := secretRequest("mcp.example.com", "/x")
		r.Header.Set("Mcp-Session-Id", session)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		name := w.Result().Header.Get("X-Name")
		if w.Code != 200 || chosen[session] != "" && chosen[session] != name {
			t.Fatalf("%d, session %s went to %s and then to %s", w.Code, session, chosen[session], name)
		}
		chosen[session] = name
	}
	if len(a.took()) == 0 || len(b.took()) == 0 {
		t.Errorf("all went to one server: %v", chosen)
	}
	holds(t, log(), "upstream roundtrip")
	if !strings.Contains(log(), "connection refused") {
		t.Error("no attempt failed")
	}
}

// allRoutes have proxies and rewrites in routes of all kinds, by names as well.
func allRoutes(host string) string {
	return strings.ReplaceAll(`&(shared) {
	reverse_proxy /shared HOST
	invoke deeper
}
&(deeper) {
	uri replace deep shallow
	invoke shared
}
`+besideEndpoint(`
	handle_path /files/* {
		respond "{http.request.uri} {http.request.header.Mcp-Session-Id}"
	}
	invoke /shared shared
	reverse_proxy /accel HOST {
		@accel header X-Accel *
		handle_response @accel {
			rewrite * /again
			copy_response_headers
			reverse_proxy HOST
		}
	}
	forward_auth /guarded HOST {
		uri /auth
	}
	respond /guarded let-in
	reverse_proxy /copied HOST {
		handle_response {
			copy_response 203
		}
	}
	intercept /intercepted {
		handle_response {
			reverse_proxy HOST
		}
	}
	respond /intercepted "in place of this"
	error /fails 503
	handle_errors {
		rewrite * /of-errors
		reverse_proxy HOST
	}`), "HOST", host)
}

// Routes for answers and for errors have proxies and rewrites, too, and are reached by names.
func TestRoutesOfAllKindsLogNoSecret(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/accel" {
			w.Header().Set("X-Accel", "yes")
		}
	})
	server, log := logging(t, logCredentials, allRoutes(b.host))
	if w := ask(server, "/files/x"); w.Body.String() != "/x the-secret-session" {
		t.Errorf("/files/x: %d %s", w.Code, w.Body)
	}
	for path, status := range map[string]int{"/shared": 200, "/accel": 200, "/copied": 203, "/intercepted": 200, "/fails": 200} {
		w := ask(server, path)
		if id := w.Result().Header.Get("Mcp-Session-Id"); w.Code != status || !strings.HasPrefix(id, "the-secret-answer") {
			t.Errorf("%s: %d %v", path, w.Code, w.Result().Header)
		}
		for _, h := range b.took() {
			if !truly(h) {
				t.Errorf("%s: the server got %v", path, h)
			}
		}
	}
	if w := ask(server, "/guarded?access_token=the-secret-query"); w.Body.String() != "let-in" || b.took()[0].Get("X-Forwarded-Uri") != "/guarded?access_token=the-secret-query" {
		t.Errorf("/guarded: %d %s", w.Code, w.Body)
	}
	holds(t, log(), "upstream roundtrip", "rewrote request", "handling response")
	for _, uri := range []string{"/x", "/again", "/of-errors"} {
		if !strings.Contains(log(), `"method":"GET","uri":"`+uri+`"}`) {
			t.Errorf("there is no entry of the rewrite to %s:\n%s", uri, log())
		}
	}
}

// A server whose answers are broken may have written an id anywhere, and breaks off with the
// request's id in a warning.
func TestBrokenAnswersLeaveNoSecretInTheLogs(t *testing.T) {
	for name, options := range map[string]string{"": "", "access log": logCredentials} {
		t.Run(name, func(t *testing.T) { brokenAnswersLeaveNoSecret(t, options) })
	}
}

func brokenAnswersLeaveNoSecret(t *testing.T, options string) {
	broken := map[string]string{
		"/line":    "HTTP/1.1 200 OK\r\nMcp-Session-Id the-secret-answer\r\n\r\n",
		"/name":    "HTTP/1.1 200 OK\r\nMcp(Session)Id: the-secret-answer\r\n\r\n",
		"/space":   "HTTP/1.1 200 OK\r\nConnection: close\r\nMcp-Session-Id : the-secret-answer\r\nContent-Length: 0\r\n\r\n",
		"/status":  "Mcp-Session-Id: the-secret-answer\r\n\r\n",
		"/breaks":  "HTTP/1.1 200 OK\r\nMcp-Session-Id: the-secret-answer\r\nContent-Length: 100\r\n\r\nsome",
		"/nothing": "",
	}
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, broken[r.URL.Path])
		if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, conn) // or what was not read would reset the connection before the answer is read
		}
	})
	server, log := logging(t, "", besideEndpoint("reverse_proxy "+b.host))
	for path := range broken {
		func() {
			defer func() {
				if fault := recover(); fault != nil && (fault != http.ErrAbortHandler || path != "/breaks") {
					t.Errorf("%s: %v", path, fault)
				}
			}()
			status := http.StatusBadGateway
			if path == "/space" || path == "/breaks" {
				status = http.StatusOK
			}
			if w := ask(server, path); w.Code != status {
				t.Errorf("%s: %d", path, w.Code)
			}
		}()
	}
	holds(t, log(), "upstream roundtrip", "aborting with incomplete response")
	if n := strings.Count(log(), "malformed"); n < 3 {
		t.Errorf("what was wrong is said %d times:\n%s", n, log())
	}
}

// The entry of a rewrite is the one that Caddy writes, as far as it is not secret.
func TestRewriteEntriesAreCaddysOwn(t *testing.T) {
	const rewriting = "\n\thandle_path /files/* {\n\t\trewrite * /at/{http.request.header.X-Place}?x=1\n\t\tmethod put\n\t\trespond {http.request.uri}\n\t}\n"
	server, log := logging(t, "", besideEndpoint(rewriting)+"http://other.example.com {"+rewriting+"}")
	entries := map[string][]any{}
	for _, host := range []string{"mcp.example.com", "other.example.com"} {
		before := len(log())
		r := httptest.NewRequest(http.MethodGet, "/files/x?y=2", nil)
		r.Host = host
		r.Header.Set("X-Place", "here")
		r.Header.Set("Cookie", "name=value")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Body.String() != "/at/here?x=1" {
			t.Errorf("%s: %d %s", host, w.Code, w.Body)
		}
		for line := range strings.Lines(log()[before:]) {
			var e map[string]any
			if err := json.Unmarshal([]byte(strings.ReplaceAll(line, host, "host")), &e); err != nil {
				t.Fatal(err)
			}
			if e["msg"] == "rewrote request" {
				delete(e, "ts")
				entries[host] = append(entries[host], e)
			}
		}
	}
	own, ours := fmt.Sprint(entries["other.example.com"]), fmt.Sprint(entries["mcp.example.com"])
	if len(entries["other.example.com"]) != 3 || own != ours {
		t.Errorf("the entries are\n%s\nCaddy's own are\n%s", ours, own)
	}
}

// A site that no handler of this package is for is logged as its operator has it.
func TestProxyOfAnotherSiteLogsAsBefore(t *testing.T) {
	b := serveBehind(t, "b", nil)
	server, log := logging(t, "", besideEndpoint("")+"http://other.example.com {\n\turi strip_prefix /x\n\treverse_proxy "+b.host+"\n}")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, secretRequest("other.example.com", "/x/y"))
	if h := w.Result().Header.Get("Mcp-Session-Id"); w.Code != 200 || h != "the-secret-answer" || !truly(b.took()[0]) {
		t.Errorf("%d %v", w.Code, w.Result().Header)
	}
	for _, entry := range []string{"upstream roundtrip", "rewrote request"} {
		for line := range strings.Lines(log()) {
			if strings.Contains(line, entry) && !strings.Contains(line, "the-secret-session") {
				t.Errorf("logged: %s", line)
			}
		}
	}
	if !strings.Contains(log(), "the-secret-answer") {
		t.Errorf("logged: %s", log())
	}
}

// Above the level DEBUG a rewrite logs nothing, and stays. The proxy warns, with its request.
func TestWithoutDebugOnlyProxiesDiffer(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "some")
	})
	file := filepath.Join(t.TempDir(), "log")
	p := provisionWith(t, "log {\noutput file "+file+"\nformat json\nlevel INFO\n}", besideEndpoint("uri strip_prefix /x\nreverse_proxy "+b.host))
	server := p.http.Servers["srv0"]
	d := redactorOf(server)
	routes, _ := d.rerouting.of(d.routes, nil)
	rewrites := 0
	w := walker{visit: func(h caddyhttp.MiddlewareHandler, t trail) {
		if _, ok := h.(*reverseproxy.Handler); ok && t.rewritten {
			rewrites++
		}
	}}
	w.routes(routes, trail{})
	if rewrites != 1 {
		t.Errorf("Caddy's own rewrite and a proxy stand in the routes %d times", rewrites)
	}
	func() {
		defer func() { _ = recover() }() // by which a proxy ends an answer that is not whole
		ask(server, "/x/y")
	}()
	text, err := os.ReadFile(file)
	if err != nil || !truly(b.took()[0]) {
		t.Error(err)
	}
	holds(t, string(text), "aborting with incomplete response")
	if !strings.Contains(string(text), `"Mcp-Session-Id":["REDACTED"]`) {
		t.Errorf("logged: %s", text)
	}
}

// A connection that becomes another keeps doing so.
func TestProxyWithRedactedLogUpgrades(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.Copy(stream, stream)
	})
	server, log := logging(t, "", besideEndpoint("reverse_proxy "+b.host))
	front := httptest.NewServer(server)
	defer front.Close()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := secretRequest("mcp.example.com", "/socket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Mcp-Session-Id") != "the-secret-answer" {
		t.Fatalf("%v %v", response, err)
	}
	holds(t, log(), "upgrading connection", "upstream roundtrip")
}
