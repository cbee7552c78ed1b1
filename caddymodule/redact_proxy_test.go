package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

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
	b := serveBehind(t, "b", switches(t))
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

// A reload cleans up the proxy that Caddy has provisioned. That ends the connections that its
// copy has begun.
func TestCleanupEndsTheConnectionsOfACopy(t *testing.T) {
	b := serveBehind(t, "b", switches(t))
	p := provisionWith(t, "", besideEndpoint("reverse_proxy "+b.host))
	front := httptest.NewServer(p.http.Servers["srv0"])
	defer front.Close()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	r := secretRequest("mcp.example.com", "/socket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	both := bufio.NewReader(conn)
	if response, err := http.ReadResponse(both, r); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", response, err)
	}
	if _, err := io.WriteString(conn, "to and fro\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := both.ReadString('\n'); err != nil || line != "to and fro\n" {
		t.Fatalf("%q %v", line, err)
	}
	for _, proxy := range proxiesOf(p.http) {
		if err := proxy.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	if _, err := both.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection goes on: %v", err)
	}
}
