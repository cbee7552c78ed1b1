package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const pageOrigin = "https://app.example"

// readable holds that a page of the allowed origin may read an answer, and what in it.
func readable(t *testing.T, name string, a answer) {
	t.Helper()
	if got := a.header.Get("Access-Control-Allow-Origin"); got != pageOrigin || !slices.Contains(a.header.Values("Vary"), "Origin") {
		t.Errorf("%s: allowed for %q, varies by %q", name, got, a.header.Values("Vary"))
	}
	exposed := strings.Split(a.header.Get("Access-Control-Expose-Headers"), ", ")
	for _, field := range []string{"Mcp-Session-Id", "WWW-Authenticate", "MCP-Protocol-Version", "DPoP-Nonce", "Retry-After"} {
		if !slices.Contains(exposed, field) {
			t.Errorf("%s: %s is not exposed: %q", name, field, exposed)
		}
	}
	if a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%s: cookies are let through", name)
	}
}

// A page sees no answer that does not name its origin, and would not know where to log in,
// which scope is missing, or when to come back.
func TestPagesMayReadEveryAnswer(t *testing.T) {
	t.Parallel()
	s := scoped()
	s.mcp = append(s.mcp, "origins "+pageOrigin)
	g := start(t, s)
	page := set("Origin", pageOrigin)
	token := g.token(t, "alice", "tools:use")
	legacy, modern, anyone := g.legacy(t, token), g.modern(t, token), g.anyone(t, "")

	readable(t, "401", anyone.post(initializeMessage(legacyVersion), page))
	readable(t, "400", g.anyone(t, token).post("{", page))
	readable(t, "415", legacy.post("{}", page, set("Content-Type", "text/plain")))
	for name, p := range map[string]*peer{"legacy": legacy, "modern": modern} {
		a := p.post(p.toolCall(1, "hold", nil), page)
		readable(t, name+" 403 for a scope", a)
		if a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_scope") {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
		readable(t, name+" 403 by a rule", p.post(p.toolCall(1, "die", nil), page))
		readable(t, name+" result", p.post(p.toolCall(1, "echo", object{"text": "x"}), page))
	}
	a := g.anyone(t, token).post(initializeMessage(legacyVersion), page)
	readable(t, "initialize", a)
	if a.header.Get("Mcp-Session-Id") == "" {
		t.Error("initialize brings no session")
	}
	lost := *legacy
	lost.session = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	a = lost.post(lost.toolCall(1, "echo", nil), page)
	readable(t, "unknown session", a)
	if a.status != http.StatusNotFound {
		t.Errorf("unknown session: %d", a.status)
	}
	stream := legacy.listen(http.MethodGet, "", page)
	readable(t, "stream", answer{header: stream.header})
	stream.cancel()

	preflight := anyone.do(http.MethodOptions, "", page, set("Access-Control-Request-Method", "POST"),
		set("Access-Control-Request-Headers", "authorization,content-type,dpop,mcp-protocol-version,mcp-session-id,mcp-method,mcp-name,last-event-id,mcp-param-region"))
	allowed := strings.Split(strings.ToLower(preflight.header.Get("Access-Control-Allow-Headers")), ", ")
	for _, field := range []string{"authorization", "content-type", "dpop", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name", "last-event-id", "mcp-param-region"} {
		if !slices.Contains(allowed, field) {
			t.Errorf("preflight: %s is not allowed: %q", field, allowed)
		}
	}
	if preflight.status != http.StatusNoContent || preflight.header.Get("Access-Control-Allow-Origin") != pageOrigin ||
		!strings.Contains(preflight.header.Get("Access-Control-Allow-Methods"), "DELETE") {
		t.Errorf("preflight: %d %v", preflight.status, preflight.header)
	}

	// What is not from an allowed page is told nothing that it could read.
	for _, origin := range []string{"https://evil.example", "null", pageOrigin + ".evil.example"} {
		if a := anyone.post(initializeMessage(legacyVersion), set("Origin", origin)); a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
	}
}

func TestPagesMayReadThatTheIssuerIsAway(t *testing.T) {
	t.Parallel()
	s := standin()
	s.issuer = closedIssuer(t)
	s.mcp = []string{"origins " + pageOrigin}
	g := start(t, s)
	// It is signed by another issuer's key, which nobody finds out while the keys are away.
	token := g.mint(t, fromIssuer(s.issuer))
	a := g.anyone(t, token).post(initializeMessage(legacyVersion), set("Origin", pageOrigin))
	readable(t, "503", a)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}
