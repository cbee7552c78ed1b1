package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// versions holds error.data of "unsupported protocol version".
func versions(requested string, supported ...string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		var data struct {
			Requested string
			Supported []string
		}
		if r := a.reply(t); r.Error == nil || json.Unmarshal(r.Error.Data, &data) != nil || data.Requested != requested {
			t.Errorf("data of %s", a.body)
		}
		for _, version := range supported {
			if !slices.Contains(data.Supported, version) {
				t.Errorf("%s is not among the supported %v", version, data.Supported)
			}
		}
	}
}

func TestModernAndLegacyClientsShareALegacyServer(t *testing.T) {
	t.Parallel()
	g := start(t, standin("-era", "legacy"))
	token := g.token(t, "alice")
	modern := g.modern(t, token)
	for n := range 2 { // the second time the process is there
		a := modern.post(modern.toolCall(n, "echo", object{"text": "x"}))
		var result struct{ ResultType string }
		if err := json.Unmarshal(a.reply(t).Result, &result); err != nil || result.ResultType != "complete" {
			t.Fatalf("answer %d %s", a.status, a.body)
		}
	}
	if got := g.legacy(t, token).call(1, "echo", object{"text": "still served"}); got != "still served" {
		t.Errorf("legacy client: %q", got)
	}
	await(t, "one process for each era, and the end of the probed one", func() bool { return len(g.processes(t)) == 2 })
}

func TestModernAndLegacyClientsShareAModernServer(t *testing.T) {
	t.Parallel()
	g := start(t, standin("-era", "modern"))
	token := g.token(t, "alice")
	legacy, modern := g.legacy(t, token), g.modern(t, token)
	if a, b := legacy.call(1, "pid", nil), modern.call(1, "pid", nil); a != b {
		t.Errorf("the clients of one user have the processes %s and %s", a, b)
	}
	if got := legacy.call(2, "echo", object{"text": "served"}); got != "served" {
		t.Errorf("legacy client: %q", got)
	}
	await(t, "the end of the one that was asked to initialize", func() bool { return len(g.processes(t)) == 1 })
}

func TestEveryLegacyVersionIsServed(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		p := g.anyone(t, g.token(t, "alice"))
		a := p.post(initializeMessage(version))
		var result struct{ ProtocolVersion string }
		if err := json.Unmarshal(a.reply(t).Result, &result); err != nil || result.ProtocolVersion != version {
			t.Fatalf("%s: %d %s", version, a.status, a.body)
		}
		p.session, p.version = a.header.Get("Mcp-Session-Id"), version
		if version == "2025-03-26" {
			p.version = "" // its clients know no such header
		}
		if got := p.call(1, "echo", object{"text": version}); got != version {
			t.Errorf("%s: %q", version, got)
		}
	}
}

// A modern client reads the status of some errors before it reads the body.
func TestModernErrorsOfTheServerHaveTheirStatus(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	p := g.modern(t, g.token(t, "alice"))
	for code, status := range map[int]int{-32601: 404, -32020: 400, -32021: 400, -32022: 400, -32602: 200, -32603: 200, 7: 200} {
		a := p.post(p.toolCall(1, "write", object{"text": fmt.Sprintf(`{"jsonrpc":"2.0","id":ID,"error":{"code":%d,"message":"m","data":{"kept":1}}}`, code)}))
		if !a.has(status) || a.code() != code || !strings.Contains(a.body, `"data":{"kept":1}`) {
			t.Errorf("%d: %d %s", code, a.status, a.body)
		}
	}
}

func TestModernHeaderMayBeEncoded(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	p := g.modern(t, g.token(t, "alice"))
	a := p.post(p.toolCall(1, "echo", object{"text": "x"}), set("Mcp-Name", "=?base64?ZWNobw==?="))
	if text, err := resultText(a); err != nil || text != "x" {
		t.Errorf("%q %v", text, err)
	}
}

// Servers say public by default of what is private to one user.
func TestNothingMayBeCachedForOthers(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	p := g.modern(t, g.token(t, "alice"))
	for _, method := range []string{"server/discover", "tools/list"} {
		a := p.post(p.message(1, method, nil))
		if a.status != http.StatusOK || !strings.Contains(a.body, `"cacheScope":"private"`) || strings.Contains(a.body, "public") {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}
