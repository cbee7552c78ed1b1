package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// serverSession is the session id of a server behind the proxy.
const serverSession = "secret-of-the-server"

// sessionServer is a server with one session, whose id is on each of its answers. Its GET
// tells where it was asked to resume.
func sessionServer(t *testing.T) *upstream {
	t.Helper()
	return upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Mcp-Session-Id", serverSession)
		switch r.Method {
		case http.MethodPost:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":"init","result":{}}`)
		case http.MethodGet:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "id: 7\ndata: %q\n\n", r.Header.Get("Last-Event-Id"))
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// begun is a peer with a session at a server behind the proxy.
func (g *gateway) begun(t *testing.T, token string) *peer {
	t.Helper()
	p := g.anyone(t, token)
	a := p.post(initializeMessage(legacyVersion))
	if p.session = a.header.Get("Mcp-Session-Id"); a.status != http.StatusOK || p.session == "" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	p.version = legacyVersion
	return p
}

// alicesSession is alice's session at such a server, which has been asked for nothing else.
func alicesSession(t *testing.T, s site) (*upstream, *gateway, *peer) {
	t.Helper()
	u := sessionServer(t)
	s.proxy = u.host
	g := start(t, s)
	alice := g.begun(t, g.token(t, "alice"))
	u.take()
	return u, g, alice
}

const pingMessage = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

// The client's id is bound to its user; the server gets its own, with all that is done in the
// session.
func TestProxiedSessionReachesTheServer(t *testing.T) {
	t.Parallel()
	u, g, p := alicesSession(t, site{log: accessLog, routes: []string{"encode"}})
	if p.session == serverSession {
		t.Fatalf("the session's id is %s", p.session)
	}
	a := p.post(pingMessage)
	if got := a.header.Get("Mcp-Session-Id"); a.status != http.StatusOK || got != p.session {
		t.Errorf("%d, the session's id has become %q", a.status, got)
	}
	if a := p.do(http.MethodGet, "", set("Last-Event-ID", "6")); a.status != http.StatusOK || a.body != "id: 7\ndata: \"6\"\n\n" {
		t.Errorf("GET: %d %q", a.status, a.body)
	}
	if a := p.as(g.token(t, "alice")).do(http.MethodDelete, ""); a.status != http.StatusNoContent { // after a refresh
		t.Errorf("DELETE: %d", a.status)
	}
	all := u.take()
	for _, got := range all {
		if got.header.Get("Mcp-Session-Id") != serverSession || got.header.Get("Authorization") != "" {
			t.Errorf("%+v", got)
		}
	}
	if len(all) != 3 {
		t.Errorf("the server was asked %d times", len(all))
	}
	for _, e := range g.logs.await(t, 4, isAccess) {
		if text := fmt.Sprint(e); strings.Contains(text, p.session) || strings.Contains(text, serverSession) {
			t.Errorf("the session's id is in the access log: %v", e)
		}
	}
}

func TestProxiedSessionIsOfNoUseToAnotherUser(t *testing.T) {
	t.Parallel()
	u, g, alice := alicesSession(t, site{})
	bob := g.begun(t, g.token(t, "bob"))
	u.take()
	if alice.session == bob.session {
		t.Fatal("both have one id")
	}
	for name, p := range map[string]*peer{
		"bob's with alice's id":      alice.as(g.token(t, "bob")),
		"with the server's own id":   {t: t, gateway: g, token: alice.token, version: legacyVersion, session: serverSession},
		"with an id that none gave":  {t: t, gateway: g, token: alice.token, version: legacyVersion, session: strings.Repeat("A", 22) + "." + serverSession},
		"with one more character":    {t: t, gateway: g, token: alice.token, version: legacyVersion, session: alice.session + "x"},
		"of the version before that": {t: t, gateway: g, token: bob.token, session: alice.session},
	} {
		for what, send := range map[string]func() answer{
			"POST":         func() answer { return p.post(pingMessage) },
			"notification": func() answer { return p.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`) },
			"response":     func() answer { return p.post(`{"jsonrpc":"2.0","id":1,"result":{}}`) },
			"initialize":   func() answer { return p.post(initializeMessage(legacyVersion)) },
			"GET":          func() answer { return p.do(http.MethodGet, "") },
			"resumption":   func() answer { return p.do(http.MethodGet, "", set("Last-Event-ID", "6")) },
			"DELETE":       func() answer { return p.do(http.MethodDelete, "") },
		} {
			if a := send(); a.status != http.StatusNotFound || a.code() != -32001 || !strings.Contains(a.body, `"id":null`) || a.header.Get("Mcp-Session-Id") != "" {
				t.Errorf("%s %s: %d %s", what, name, a.status, a.body)
			}
		}
	}
	if asked := u.take(); len(asked) != 0 {
		t.Errorf("the server was asked %d times, as by %+v", len(asked), asked[0])
	}
	g.logs.await(t, 1, func(e entry) bool {
		return e["msg"] == "refused" && e["status"] == 404.0 && e["reason"] == "this user was not given the session by this gateway"
	})
	if text := g.logs.text(); strings.Contains(text, "msg\":\"refused") && strings.Contains(text, "reason\":\""+alice.session) {
		t.Error("a session's id is in the log")
	}
	if a := alice.post(pingMessage); a.status != http.StatusOK {
		t.Errorf("the session has ended: %d %s", a.status, a.body)
	}
}

// Neither another spelling of the header, nor a version that has no sessions, brings one in.
func TestProxiedSessionComesInByItsHeaderOnly(t *testing.T) {
	t.Parallel()
	u, g, alice := alicesSession(t, site{})
	modern := g.modern(t, g.token(t, "bob"))
	for _, session := range []string{serverSession, alice.session} {
		for _, name := range []string{"Mcp-Session-Id", "Mcp_Session_Id", "MCP_SESSION-ID"} {
			if a := modern.post(modern.message(1, "ping", nil), set(name, session)); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			for field, values := range u.only(t).header {
				if strings.Contains(strings.Join(values, " "), serverSession) {
					t.Errorf("the server gets %s: %q", field, values)
				}
			}
		}
	}
}

// Where a resource is served by a process and by a server behind a proxy, each has its own
// sessions: by path, and by a matcher between login and process.
func TestProxiedSessionIsBoundBesideAProcessOfTheSameResource(t *testing.T) {
	t.Parallel()
	const resource = "https://mcp.example.com/mcp"
	u := sessionServer(t)
	s := standin()
	s.oauth = []string{"resource " + resource}
	beside, within := s, s
	beside.routes = []string{"mcp_oauth /proxied {", "	oauth " + issuer.Issuer() + " {", "		resource " + resource, "	}", "}", "reverse_proxy /proxied " + u.host}
	within.mcp = []string{"handle {", "	@proxied header X-Proxied yes", "	reverse_proxy @proxied " + u.host, "}"}
	for name, tc := range map[string]struct {
		site     site
		toServer func(*http.Request)
	}{
		"beside": {beside, func(r *http.Request) { r.URL.Path = "/proxied" }},
		"within": {within, set("X-Proxied", "yes")},
	} {
		t.Run(name, func(t *testing.T) {
			g, toServer := start(t, tc.site), tc.toServer
			mint := func(user string) string {
				return g.mint(t, devauth.MintOptions{Subject: user, Audience: []string{resource}})
			}
			alice, bob := mint("alice"), mint("bob")
			proxied, carried := g.anyone(t, alice), g.legacy(t, alice)
			a := proxied.post(initializeMessage(legacyVersion), toServer)
			proxied.session, proxied.version = a.header.Get("Mcp-Session-Id"), legacyVersion
			if a.status != http.StatusOK || proxied.session == "" || proxied.session == serverSession || strings.Contains(carried.session, ".") {
				t.Fatalf("%d %v; that of the process is %q", a.status, a.header, carried.session)
			}
			u.take()
			if a := proxied.post(pingMessage, toServer); a.status != http.StatusOK || u.only(t).header.Get("Mcp-Session-Id") != serverSession {
				t.Errorf("proxied: %d %s", a.status, a.body)
			}
			carried.call(1, "echo", nil)
			for what, send := range map[string]func() answer{
				"bob with alice's at the server":            func() answer { return proxied.as(bob).post(pingMessage, toServer) },
				"bob with alice's at the process":           func() answer { return carried.as(bob).post(pingMessage) },
				"bob with alice's of the process elsewhere": func() answer { return carried.as(bob).post(pingMessage, toServer) },
				"the server's own id":                       func() answer { return proxied.post(pingMessage, toServer, set("Mcp-Session-Id", serverSession)) },
				"the server's session at the process":       func() answer { return proxied.post(pingMessage) },
				"an id that none gave":                      func() answer { return carried.post(pingMessage, set("Mcp-Session-Id", "none")) },
			} {
				if a := send(); a.status != http.StatusNotFound || a.code() != -32001 {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
			}
			if asked := u.take(); len(asked) != 0 {
				t.Errorf("the server was asked %d times", len(asked))
			}
			// The process's session is nothing that the server might be told of.
			carried.post(pingMessage, toServer)
			for _, got := range u.take() {
				if strings.Contains(fmt.Sprint(got.header), carried.session) {
					t.Errorf("the server gets %v", got.header)
				}
			}
			carried.livesOn(t)
		})
	}
}

// livesOn holds that a session at a process has its stream, and ends when it is told to.
func (p *peer) livesOn(t *testing.T) {
	t.Helper()
	stream := p.listen(http.MethodGet, "")
	sseHeaders(t, stream)
	stream.cancel()
	if a := p.do(http.MethodDelete, ""); a.status != http.StatusNoContent && a.status != http.StatusOK {
		t.Errorf("DELETE: %d %s", a.status, a.body)
	}
	if a := p.post(pingMessage); a.status != http.StatusNotFound {
		t.Errorf("a deleted session: %d %s", a.status, a.body)
	}
}

func TestReloadKeepsProxiedSessions(t *testing.T) {
	t.Parallel()
	u := sessionServer(t)
	s := site{proxy: u.host, admin: true}
	g := start(t, s)
	g.dialAgain()
	alice := g.begun(t, g.token(t, "alice"))
	for _, more := range [][]string{{"scopes {", "	deny tool x", "}"}, {"limits {", "	body 1MiB", "}"}} {
		s.mcp = more
		g.reload(t, s)
		if a := alice.post(pingMessage); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := alice.as(g.token(t, "bob")).post(pingMessage); a.status != http.StatusNotFound {
			t.Errorf("another user: %d %s", a.status, a.body)
		}
	}
	// Who the user is says another claim now: the same name may be somebody else's.
	s.oauth = []string{"subject email"}
	g.renew(t, s)
	a := alice.as(g.mint(t, devauth.MintOptions{Subject: "alice", Claims: object{"email": "alice"}})).post(pingMessage)
	if a.status != http.StatusNotFound {
		t.Errorf("by another claim: %d %s", a.status, a.body)
	}
}

func TestProxiedSessionsCanBeLeftToTheServer(t *testing.T) {
	t.Parallel()
	u, g, p := alicesSession(t, site{mcp: []string{"bind_sessions off"}})
	if p.session != serverSession {
		t.Errorf("the session's id is %s", p.session)
	}
	for _, token := range []string{p.token, g.token(t, "bob")} {
		if a := p.as(token).post(pingMessage); a.status != http.StatusOK || u.only(t).header.Get("Mcp-Session-Id") != serverSession {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// A header of the operator's own tells the server a claim, and no client can write it.
func TestProxiedServerIsToldClaimsInHeaders(t *testing.T) {
	t.Parallel()
	u := upstreamServer(t, nil)
	g := start(t, site{proxy: u.host, proxyWith: []string{"header_up X-Snapgate-User {mcp.user}", "header_up X-Snapgate-Unit {mcp.claims.org.unit}"}})
	for unit, want := range map[string]string{"staff": "staff", "": ""} {
		claims := object{}
		if unit != "" {
			claims["org"] = object{"unit": unit}
		}
		p := g.modern(t, g.mint(t, devauth.MintOptions{Subject: "alice", Claims: claims}))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r := p.request(ctx, http.MethodPost, p.toolCall(1, "echo", nil))
		for _, forged := range []string{"X-Snapgate-Unit", "X_Snapgate_Unit", "x-snapgate_unit", "X-Snapgate-User"} {
			r.Header.Set(forged, "root")
		}
		response, err := g.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		h := u.only(t).header
		if response.StatusCode != http.StatusOK || h.Get("X-Snapgate-Unit") != want || len(h.Get("X-Snapgate-User")) != 26 {
			t.Errorf("%d; the server behind gets %v", response.StatusCode, h)
		}
		for name, values := range h {
			if strings.Contains(strings.Join(values, " "), "root") {
				t.Errorf("the server behind gets %s: %q", name, values)
			}
		}
	}
}
