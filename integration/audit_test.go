package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/identity"
)

// auditRecord matches the audit records of a tool.
func auditRecord(tool string) func(entry) bool {
	return func(e entry) bool {
		return e["logger"] == "http.handlers.mcp_stdio.audit" && e["tool"] == tool
	}
}

func TestOneAuditRecordForEachCall(t *testing.T) {
	t.Parallel()
	s := scoped()
	s.routes = []string{"log_append request_id {http.request.uuid}"}
	g := start(t, s)
	token := g.token(t, "alice")
	legacy, modern := g.legacy(t, token), g.modern(t, token)

	legacy.call(1, "echo", object{"text": "secret argument"})
	modern.call(1, "pid", nil)
	modern.post(modern.toolCall(2, "no-such-tool", nil))
	legacy.post(legacy.toolCall(3, "die", nil))
	poor := modern.as(g.token(t, "bob", "tools:use"))
	poor.post(poor.toolCall(4, "hold", nil))

	cases := []struct {
		tool, era, user, decision, rule, outcome string
		code                                     any
	}{
		{"echo", "legacy", "alice", "allow", "base", "ok", nil},
		{"pid", "modern", "alice", "allow", "base", "ok", nil},
		{"no-such-tool", "modern", "alice", "allow", "base", "error", -32602.0},
		{"die", "legacy", "alice", "deny", "deny tool die", "refused", -32600.0},
		{"hold", "modern", "bob", "deny", "tool hold", "refused", -32600.0},
	}
	for _, c := range cases {
		records := g.logs.await(t, 1, auditRecord(c.tool))
		if len(records) != 1 {
			t.Errorf("%s: %d records", c.tool, len(records))
		}
		r := records[0]
		want := entry{
			"resource": g.url, "era": c.era, "user": identity.UserKey(issuer.Issuer(), c.user), "issuer": issuer.Issuer(), "client": "devauth-mint",
			"method": "tools/call", "decision": c.decision, "outcome": c.outcome, "code": c.code,
		}
		for name, value := range want {
			if r[name] != value {
				t.Errorf("%s: %s is %v, want %v", c.tool, name, r[name], value)
			}
		}
		if rule, _ := r["rule"].(string); !strings.Contains(rule, c.rule) {
			t.Errorf("%s: rule %q, want %q", c.tool, r["rule"], c.rule)
		}
		for _, name := range []string{"ts", "request_id", "duration", "bytes_in", "bytes_out"} {
			if r[name] == nil || r[name] == "" {
				t.Errorf("%s: no %s in %v", c.tool, name, r)
			}
		}
		access := g.logs.await(t, 1, accessed("request_id", r["request_id"]))
		if len(access) != 1 || access[0]["user_id"] != r["user"] {
			t.Errorf("%s: the access log has %v", c.tool, access)
		}
	}
}

func TestAuditCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	s := standin()
	s.mcp = []string{"audit off"}
	g := start(t, s)
	p := g.legacy(t, g.token(t, "alice"))
	p.call(1, "echo", object{"text": "x"})
	p.do(http.MethodDelete, "")
	g.logs.await(t, 1, accessed("status", 204.0))
	if found, _ := g.logs.find(func(e entry) bool { return e["logger"] == "http.handlers.mcp_stdio.audit" }); len(found) != 0 {
		t.Errorf("records %v", found)
	}
}

// accessLog is an access log as operators write it, with nothing done about secrets.
var accessLog = []string{"output stderr", "format json"}

// With the access log on and everything at debug level, nobody who reads the logs can
// take over a session or a token, or reads what was said.
func TestLogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	s := standin()
	s.log = accessLog
	g := start(t, s)
	token := g.token(t, "alice")
	legacy, modern := g.legacy(t, token), g.modern(t, token)
	for _, p := range []*peer{legacy, modern} {
		p.call(1, "echo", object{"text": "secret-argument"})
		p.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret-argument","Name":1}}`)
		p.post(p.toolCall(2, "write", object{"text": `{"jsonrpc":"2.0","id":ID,"result":{"secret-argument":1,"secret-argument":2}}`}))
	}
	bad := g.token(t, "alice") + "x"
	g.anyone(t, bad).post(initializeMessage(legacyVersion))
	inQuery := g.token(t, "carol")
	g.anyone(t, "").post(initializeMessage(legacyVersion), func(r *http.Request) { r.URL.RawQuery = "access_token=" + inQuery })
	legacy.do(http.MethodDelete, "")
	g.logs.await(t, 1, accessed("status", 204.0))

	log := g.logs.text()
	for name, secret := range map[string]string{
		"a token": token, "a refused token": bad, "a token from the query": inQuery,
		"the signature of a token": token[strings.LastIndexByte(token, '.')+1:],
		"a session id":             legacy.session, "an argument": "secret-argument",
	} {
		for line := range strings.Lines(log) {
			if strings.Contains(line, secret) {
				t.Errorf("%s is in the log: %s", name, line)
				break
			}
		}
	}
}
