package integration_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// sessionAttack is a request in the name of a session by one who may not make it, though
// its id is known.
type sessionAttack struct {
	holds  string // the section that is held
	name   string
	token  string
	method string // default POST of a call
	body   string
	change func(*http.Request)
	status int
}

// specification begins what MCP itself says of sessions.
const specification = "MCP 2025-11-25, Session Management"

func sessionAttacks(t *testing.T, g *gateway, other *devauth.Server, owner *peer) []sessionAttack {
	thief := g.token(t, "bob")
	namesake, err := other.Mint(devauth.MintOptions{Subject: "alice", Audience: []string{g.url}})
	if err != nil {
		t.Fatal(err)
	}
	unnamed := func(r *http.Request) { r.Header.Del("Mcp-Session-Id") }
	return []sessionAttack{
		{holds: "RFC 6750 section 3.1", name: "no token", status: 401},
		{holds: "RFC 6750 section 3.1", name: "no token, stream", method: http.MethodGet, status: 401},
		{holds: "RFC 6750 section 3.1", name: "no token, end", method: http.MethodDelete, status: 401},
		{holds: "RFC 7519 section 4.1.4", name: "token that has ended", token: g.mint(t, devauth.MintOptions{Subject: "alice", TTL: -time.Hour}), status: 401},
		{holds: "RFC 8707 section 2", name: "token of another resource", token: g.mint(t, devauth.MintOptions{Subject: "alice", Audience: []string{g.url + "x"}}), status: 401},
		{holds: "RFC 6750 section 3.1", name: "token without the scope", token: g.token(t, "alice", "other"), status: 403},
		{holds: specification, name: "another user", token: thief, status: 404},
		{holds: specification, name: "another user, stream", token: thief, method: http.MethodGet, status: 404},
		{holds: specification, name: "another user, resumed stream", token: thief, method: http.MethodGet, change: set("Last-Event-ID", "s-0"), status: 404},
		{holds: specification, name: "another user, end", token: thief, method: http.MethodDelete, status: 404},
		{holds: specification, name: "another user, answer", token: thief, body: `{"jsonrpc":"2.0","id":1,"result":{}}`, status: 404},
		{holds: specification, name: "another user, cancellation", token: thief, body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"held"}}`, status: 404},
		{holds: "RFC 7519 section 4.1.2", name: "the same name at another issuer", token: namesake, status: 404},
		{holds: "RFC 7519 section 2", name: "the name in other case", token: g.token(t, "Alice"), status: 404},
		{holds: "RFC 8259 section 8.3", name: "the name in other letters that look alike", token: g.token(t, "\u0430lice"), status: 404},
		{holds: specification, name: "two ids", token: thief, change: add("Mcp-Session-Id", "aaaaaaaaaaaaaaaaaaaaaaaaaa"), status: 400},
		{holds: specification, name: "id in the query", token: thief, change: func(r *http.Request) {
			unnamed(r)
			r.URL.RawQuery = "Mcp-Session-Id=" + owner.session
		}, status: 400},
		{holds: specification, name: "id in a cookie", token: thief, change: func(r *http.Request) {
			unnamed(r)
			r.Header.Set("Cookie", "Mcp-Session-Id="+owner.session)
		}, status: 400},
		{holds: specification, name: "id in other case", token: owner.token, change: set("Mcp-Session-Id", otherCase(owner.session)), status: 404},
	}
}

func otherCase(id string) string {
	if lower := strings.ToLower(id); lower != id {
		return lower
	}
	return strings.ToUpper(id)
}

// send sends it in the name of the owner's session.
func (a sessionAttack) send(t *testing.T, owner *peer) answer {
	p := owner.as(a.token)
	p.t = t
	method, body := a.method, a.body
	if method == "" {
		method = http.MethodPost
	}
	if body == "" && method == http.MethodPost {
		body = p.toolCall(1, "echo", object{"text": "x"})
	}
	change := func(*http.Request) {}
	if a.change != nil {
		change = a.change
	}
	return p.do(method, body, change)
}

// The owner has a call in flight and a stream open all the while, and keeps both.
func TestSessionIsOfUseToItsOwnerOnly(t *testing.T) {
	t.Parallel()
	other := startIssuer(t, devauth.Config{Algorithm: "ES256", Scopes: issuer.Scopes()})
	folder := t.TempDir()
	s := scoped()
	s.issuer = issuer.Issuer() + " " + other.Issuer()
	g := start(t, s)
	owner := g.legacy(t, g.token(t, "alice"))
	stream := owner.listen(http.MethodGet, "")
	release := filepath.Join(folder, "release")
	held := owner.begin(owner.toolCall("held", "hold", object{"file": release}))
	await(t, "the call that is held", func() bool { _, err := os.Stat(release + ".in"); return err == nil })
	before := len(g.processes(t))
	for _, attack := range sessionAttacks(t, g, other, owner) {
		holding(t, attack.holds, attack.name, func(t *testing.T) {
			a := attack.send(t, owner)
			if a.status != attack.status || attack.status == http.StatusNotFound && a.code() != -32001 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if strings.Contains(a.body, owner.session) {
				t.Errorf("the answer tells the id: %s", a.body)
			}
		})
	}
	if n := len(g.processes(t)); n != before {
		t.Errorf("%d processes, were %d", n, before)
	}
	if got := owner.call(2, "echo", object{"text": "mine"}); got != "mine" {
		t.Errorf("the owner after all that: %q", got)
	}
	select {
	case <-held.done:
		t.Errorf("the owner's call has ended: %+v", held.answer)
	default:
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := resultText(held.wait(t)); err != nil || text != "released" {
		t.Errorf("the owner's call: %q %v", text, err)
	}
	owner.do(http.MethodDelete, "")
	for _, e := range stream.ended() {
		if e.data != "" {
			t.Errorf("on the owner's stream: %s", e.data)
		}
	}
}

// So it is with the session of a server behind a proxy, which is never asked.
func TestProxiedSessionIsOfUseToItsOwnerOnly(t *testing.T) {
	t.Parallel()
	other, u := startIssuer(t, devauth.Config{Algorithm: "ES256", Scopes: issuer.Scopes()}), sessionServer(t)
	s := scoped()
	s.command, s.proxy = nil, u.host
	s.issuer = issuer.Issuer() + " " + other.Issuer()
	g := start(t, s)
	owner := g.begun(t, g.token(t, "alice"))
	u.take()
	for _, attack := range sessionAttacks(t, g, other, owner) {
		if attack.name == "id in the query" || attack.name == "id in a cookie" {
			continue // without a session it is for the server to answer
		}
		t.Run(attack.holds+" "+attack.name, func(t *testing.T) {
			a := attack.send(t, owner)
			if a.status != attack.status || attack.status == http.StatusNotFound && a.code() != -32001 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if strings.Contains(a.body, owner.session) {
				t.Errorf("the answer tells the id: %s", a.body)
			}
		})
	}
	if asked := u.take(); len(asked) != 0 {
		t.Errorf("the server was asked %d times, as by %+v", len(asked), asked[0])
	}
}
