package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/integration/devauth"
)

// upstream is an HTTP server behind mcp_oauth and reverse_proxy. It remembers what it is
// asked.
type upstream struct {
	host string

	mu    sync.Mutex
	asked []asked
}

// asked is one request as the upstream got it.
type asked struct {
	method, path, host string
	header, trailer    http.Header
	length             int64 // -1 if it was not announced
	body               string
}

// upstreamServer runs until the end of the test. answer may be nil.
func upstreamServer(t *testing.T, answer http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		u.mu.Lock()
		u.asked = append(u.asked, asked{r.Method, r.URL.Path, r.Host, r.Header, r.Trailer, r.ContentLength, string(body)})
		u.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}))
	t.Cleanup(server.Close)
	u.host = server.Listener.Addr().String()
	return u
}

// take returns what was asked since it was called last.
func (u *upstream) take() []asked {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.asked
	u.asked = nil
	return all
}

// only is the one request that was asked since.
func (u *upstream) only(t *testing.T) asked {
	t.Helper()
	all := u.take()
	if len(all) != 1 {
		t.Fatalf("the server behind was asked %d times: %v", len(all), all)
	}
	return all[0]
}

func TestProxiedServerIsToldWhoCalls(t *testing.T) {
	t.Parallel()
	u := sessionServer(t)
	g := start(t, site{proxy: u.host})
	user := identity.UserKey(issuer.Issuer(), "alice")
	token := g.token(t, "alice")
	legacy := g.anyone(t, token)
	legacy.session = legacy.post(initializeMessage(legacyVersion)).header.Get("Mcp-Session-Id")
	legacy.version = legacyVersion
	u.take()
	for _, p := range []*peer{legacy, g.modern(t, token)} {
		session := ""
		if p == legacy {
			session = serverSession
		}
		for name, key := range forgeries {
			body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":` + forgedMeta(key, ","+required[p.version]) + `,"name":"echo","big":12345678901234567890123}}`
			if a := p.post(body, set("DPoP", "proof"), set("X-Snapgate-User", "root"), set("X_Snapgate_Subject", "root"), set("X-Http-Method-Override", "DELETE")); a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", name, a.status, a.body)
			}
			got := u.only(t)
			id := stamped(t, []byte(got.body))
			if id == nil || id.User != user || id.Subject != "alice" || strings.Contains(got.body, forged) {
				t.Errorf("%s: the server behind reads %s", name, got.body)
			}
			if !strings.Contains(got.body, "12345678901234567890123") || !strings.Contains(got.body, "kept-member") {
				t.Errorf("%s: of the message is left %s", name, got.body)
			}
			for _, name := range []string{"Authorization", "Dpop", "X-Snapgate-User", "X_snapgate_subject", "X-Http-Method-Override"} {
				if got.header.Get(name) != "" {
					t.Errorf("the server behind gets %s: %v", name, got.header)
				}
			}
			if got.host != u.host || got.path != "/mcp" || got.header.Get("Content-Type") != "application/json" ||
				got.header.Get("Mcp-Protocol-Version") != p.version || got.header.Get("Mcp-Session-Id") != session {
				t.Errorf("%s %s %v", got.host, got.path, got.header)
			}
		}
	}
}

// Some servers take the fields behind a body for headers, and some want to know its length
// beforehand.
func TestProxiedBodyIsTheGatewaysOwn(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, nil)
	for buffers, announced := range map[string]bool{"": false, "request_buffers 4MiB": true} {
		s := site{proxy: u.host}
		if buffers != "" {
			s.proxyWith = []string{buffers}
		}
		g := start(t, s)
		p := g.anyone(t, g.token(t, "alice"))
		a := p.post(initializeMessage(legacyVersion), func(r *http.Request) {
			r.ContentLength = -1
			r.Trailer = http.Header{"X-Snapgate-User": {"root"}}
		})
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		got := u.only(t)
		if len(got.trailer) != 0 || stamped(t, []byte(got.body)) == nil {
			t.Errorf("trailer %v, body %s", got.trailer, got.body)
		}
		if want := int64(len(got.body)); announced && got.length != want || !announced && got.length != -1 {
			t.Errorf("%q: length %d of %d bytes", buffers, got.length, want)
		}
	}
}

// What is refused does not reach the server behind, on whatever path it is sent.
func TestNothingUnauthorizedReachesTheProxiedServer(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, nil)
	s := limitedSite()
	s.command, s.proxy, s.plain = nil, u.host, true
	s.mcp = append(s.mcp, "scopes {", "	base tools:use", "	tool hold tools:more", "	deny tool die", "}")
	g := start(t, s)
	p := g.modern(t, g.token(t, "alice"))
	refused(t, p, append(sharedRefusals(), []refusal{
		{name: "denied tool", body: p.toolCall(1, "die", nil), status: 403},
		{name: "token of another resource", change: set("Authorization", "Bearer "+g.mint(t, devauth.MintOptions{Audience: []string{g.url + "x"}})), status: 401},
		{name: "no scope", change: set("Authorization", "Bearer "+g.token(t, "alice", "other")), status: 403},
		{name: "no scope for the tool", body: p.toolCall(1, "hold", nil), change: set("Authorization", "Bearer "+g.token(t, "alice", "tools:use")), status: 403},
		{name: "PUT", method: http.MethodPut, status: 405},
	}...))
	for path, status := range map[string]int{
		"/MCP": 401, "//mcp": 401, "/mcp/../mcp": 401, "/%6dcp": 401, "/mcp?x=1": 401,
		"/mcp/": 200, "/mcp%2f": 200, "/": 200, // Caddy's own empty answer: nothing is there
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			a := g.anyone(t, "").do(method, initializeMessage(legacyVersion), set("X-Snapgate-Subject", "alice"), func(r *http.Request) { r.URL.Opaque = "//" + g.host + path })
			if a.status != status || status == 200 && a.body != "" {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
	}
	if asked := u.take(); len(asked) != 0 {
		t.Errorf("the server behind was asked %v", asked)
	}
	if a := p.post(p.toolCall(1, "hold", nil)); a.status != http.StatusOK {
		t.Errorf("a good call: %d %s", a.status, a.body)
	}
	records := g.logs.await(t, 1, func(e entry) bool { return auditRecord("hold")(e) && e["outcome"] == "passed" })
	if len(records) != 1 || records[0]["decision"] != "allow" || records[0]["user"] != identity.UserKey(issuer.Issuer(), "alice") {
		t.Errorf("audit records %v", records)
	}
}

// A connection that was switched to another protocol would carry what nobody authorizes, for
// as long as both sides like.
func TestNoConnectionIsSwitchedPastTheGateway(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		protocol := r.Header.Get("Upgrade")
		if protocol == "" {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
		conn.Close()
	})
	s := limitedSite()
	s.command, s.proxy, s.plain = nil, u.host, true // over TLS the client speaks HTTP/2, which knows no Upgrade
	g := start(t, s)
	p := g.anyone(t, g.token(t, "alice"))
	for _, protocol := range []string{"websocket", "h2c"} {
		for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: initializeMessage(legacyVersion)} {
			a := p.do(method, body, set("Connection", "Upgrade, HTTP2-Settings"), set("Upgrade", protocol), set("HTTP2-Settings", "AAMAAABkAAQAAP__"))
			got := u.only(t)
			if a.status != http.StatusOK || got.header.Get("Upgrade") != "" || got.header.Get("Connection") != "" || got.header.Get("Http2-Settings") != "" {
				t.Errorf("%s %s: %d; the server behind gets %v", method, protocol, a.status, got.header)
			}
		}
	}
}

func TestProxiedPageIsServedWhereItsOriginIsAllowed(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, "{}")
	})
	g := start(t, site{proxy: u.host, proxyWith: []string{"header_up -Origin", "header_up -Sec-Fetch-Site", "header_down -Access-Control-*"}, mcp: []string{"origins https://app.example"}})
	p := g.anyone(t, g.token(t, "alice"))
	a := p.post(initializeMessage(legacyVersion), set("Origin", "https://app.example"), set("Sec-Fetch-Site", "cross-site"))
	if got := a.header.Values("Access-Control-Allow-Origin"); a.status != http.StatusOK || len(got) != 1 || got[0] != "https://app.example" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if got := u.only(t); got.header.Get("Origin") != "" || got.header.Get("Sec-Fetch-Site") != "" {
		t.Errorf("the server behind gets %v", got.header)
	}
}

func TestWayAroundAProxiedServersTokenIsWarnedOf(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, nil)
	g := start(t, site{proxy: u.host, routes: []string{
		"mcp_oauth /wide {", "	oauth " + issuer.Issuer(), "}", "reverse_proxy /wide* " + u.host,
	}})
	warnings := g.logs.await(t, 1, func(e entry) bool { return e["logger"] == "http.handlers.mcp_oauth" && e["level"] == "warn" })
	if len(warnings) != 1 || warnings[0]["path"] != "/wide/" || warnings[0]["handler"] != "reverse_proxy" {
		t.Errorf("warnings %v", warnings)
	}
}
