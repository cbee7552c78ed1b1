package admission

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	g := gate(t, Settings{Origins: []string{"https://App.example:443", "http://localhost:6274"}})
	for origin, want := range map[string]int{
		"https://mcp.example": 0, "https://MCP.example:443": 0, "https://app.example": 0, "http://localhost:6274": 0,
		"http://mcp.example": 403, "https://mcp.example:8443": 403, "https://mcp.example.evil": 403, "https://evilmcp.example": 403,
		"https://app.example.": 403, "http://localhost": 403, "http://localhost:6275": 403, "null": 403, "*": 403, "https://app.example/": 403,
		"https://app.example@evil.example": 403, "https://evil@app.example": 403, "file://": 403, "app.example": 403, "https://app.example https://evil.example": 403,
	} {
		_, _, got := status(g, post(ping, "Origin", origin))
		if got != want {
			t.Errorf("Origin %q: %d, want %d", origin, got, want)
		}
	}
	twice := post(ping)
	twice.Header["Origin"] = []string{"https://app.example", "https://app.example"}
	if _, _, got := status(g, twice); got != 403 {
		t.Errorf("two fields: %d", got)
	}
	empty := post(ping)
	empty.Header["Origin"] = []string{""}
	if _, _, got := status(g, empty); got != 403 {
		t.Errorf("an empty field: %d", got)
	}
}

func TestAnyOriginOnlyWhereItIsWritten(t *testing.T) {
	g := gate(t, Settings{Origins: []string{"*"}})
	for _, origin := range []string{"https://x.example", "null"} {
		if _, _, got := status(g, post(ping, "Origin", origin)); got != 0 {
			t.Errorf("Origin %q: %d", origin, got)
		}
	}
}

func TestMalformedSettingsAreRefused(t *testing.T) {
	for _, origin := range []string{"", "null", "app.example", "https://app.example/", "https://app.example/x", "https://a@b.example", "https://", "https://a.example?x"} {
		if _, err := New(Settings{Resource: resource, Origins: []string{origin}}); err == nil {
			t.Errorf("origin %q was taken", origin)
		}
	}
	if _, err := New(Settings{Resource: "mcp"}); err == nil {
		t.Error("a resource without scheme was taken")
	}
}

func TestPreflight(t *testing.T) {
	g := gate(t, Settings{Origins: []string{"https://app.example"}, Authenticate: nil})
	r := post("", "Origin", "https://app.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization, mcp-param-region, x-evil,mcp-param-"+strings.Repeat("x", 200))
	r.Method = http.MethodOptions
	w := httptest.NewRecorder()
	if call, refusal := g.Admit(w, r); call != nil || refusal != nil || w.Code != http.StatusNoContent {
		t.Fatalf("%v, %v, %d", call, refusal, w.Code)
	}
	allowed := w.Header().Get("Access-Control-Allow-Headers")
	if w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" || w.Header().Get("Vary") != "Origin" ||
		w.Header().Get("Access-Control-Allow-Methods") != "GET, POST, DELETE" || w.Header().Get("Access-Control-Allow-Credentials") != "" ||
		!strings.Contains(allowed, "Authorization") || !strings.Contains(allowed, "DPoP") || !strings.Contains(allowed, "Mcp-Session-Id") || !strings.HasSuffix(allowed, ", Mcp-Param-Region") {
		t.Errorf("%v", w.Header())
	}
	r.Header.Set("Origin", "https://evil.example")
	w = httptest.NewRecorder()
	if _, refusal := g.Admit(w, r); refusal == nil || refusal.Status != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: %v, %v", refusal, w.Header())
	}
}

func TestPagesMayReadTheChallenge(t *testing.T) {
	g := gate(t, Settings{Origins: []string{"https://app.example"}})
	w := httptest.NewRecorder()
	g.Admit(w, post(`x`, "Origin", "https://app.example"))
	exposed := strings.Split(w.Header().Get("Access-Control-Expose-Headers"), ", ")
	for _, name := range []string{"WWW-Authenticate", "Mcp-Session-Id", "MCP-Protocol-Version", "DPoP-Nonce", "Retry-After"} {
		if !slices.Contains(exposed, name) {
			t.Errorf("%s is not exposed: %q", name, exposed)
		}
	}
}

func TestHostsOnLoopback(t *testing.T) {
	g := gate(t, Settings{})
	for host, want := range map[string]int{
		"localhost": 0, "localhost:8443": 0, "LOCALHOST.": 0, "a.localhost:1": 0, "127.0.0.1": 0, "127.8.9.1:80": 0, "[::1]:8443": 0, "[::ffff:127.0.0.1]": 0,
		"mcp.example": 0, "mcp.example:8443": 0, "MCP.example.": 0,
		"evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "": 403, "evillocalhost": 403, "0.0.0.0": 403,
	} {
		r := post(ping)
		rebind(r, host)
		if _, _, got := status(g, r); got != want {
			t.Errorf("Host %q: %d, want %d", host, got, want)
		}
	}
	if _, _, got := status(g, func() *http.Request { r := post(ping); r.Host = "evil.example"; return r }()); got != 0 {
		t.Errorf("elsewhere the Host is the server's affair: %d", got)
	}
}
