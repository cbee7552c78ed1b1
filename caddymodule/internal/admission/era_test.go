package admission

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

const (
	v = "2026-07-28"
	// meta is what every modern request must say.
	meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
)

func TestErasAndTheirHeaders(t *testing.T) {
	g := gate(t, Settings{})
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + params + `}}`
	}
	good := call(meta + `,"name":"größe"`)
	for name, test := range map[string]struct {
		body   string
		header []string
		status int
		code   int
	}{
		"modern":                       {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "größe"}, 0, 0},
		"modern, name in base64":       {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?Z3LDtsOfZQ==?="}, 0, 0},
		"modern, method in base64":     {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?=", "Mcp-Name", "größe"}, 0, 0},
		"base64 of another name":       {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?eA==?="}, 400, -32020},
		"base64 malformed":             {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?Z3L?="}, 400, -32020},
		"base64 without end":           {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?Z3LDtsOfZQ=="}, 400, -32020},
		"base64 that overlaps":         {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "=?base64?="}, 400, -32020},
		"name missing":                 {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call"}, 400, -32020},
		"name in another case":         {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "GRÖßE"}, 400, -32020},
		"name where the body has none": {call(meta), []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "x"}, 400, -32602},
		"method missing":               {good, []string{"Mcp-Protocol-Version", v, "Mcp-Name", "größe"}, 400, -32020},
		"method unlike":                {good, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/list", "Mcp-Name", "größe"}, 400, -32020},
		"version missing":              {good, []string{"Mcp-Method", "tools/call", "Mcp-Name", "größe"}, 400, -32020},
		"version older":                {good, []string{"Mcp-Protocol-Version", "2025-11-25", "Mcp-Method", "tools/call", "Mcp-Name", "größe"}, 400, -32020},
		"version unlike":               {good, []string{"Mcp-Protocol-Version", "2027-01-01", "Mcp-Method", "tools/call", "Mcp-Name", "größe"}, 400, -32020},
		"version unknown": {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}}}`,
			[]string{"Mcp-Protocol-Version", "2027-01-01", "Mcp-Method", "ping"}, 400, -32022},
		"no _meta":        {call(`"name":"x"`), []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "x"}, 400, -32602},
		"no capabilities": {call(`"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`), []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "x"}, 400, -32602},
		"capabilities no object": {call(`"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}`),
			[]string{"Mcp-Protocol-Version", v, "Mcp-Method", "tools/call", "Mcp-Name", "x"}, 400, -32602},
		"legacy call without name": {call(`"_meta":{}`), nil, 400, -32602},
		"legacy name in a list":    {call(`"name":["x"]`), nil, 400, -32602},
		"legacy name by prototype": {call(`"__proto__":{"name":"x"}`), nil, 400, -32602},
		"legacy read without uri":  {`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{}}`, nil, 400, -32602},
		"legacy call without id":   {`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}`, nil, 400, -32600},
		"legacy version a number":  {call(`"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":20260728}`), nil, 400, -32602},
		"modern initialize":        {`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{` + meta + `}}`, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "initialize"}, 404, -32601},
		"modern response":          {`{"jsonrpc":"2.0","id":1,"result":{}}`, []string{"Mcp-Protocol-Version", v}, 400, -32600},
		"modern notification":      {`{"jsonrpc":"2.0","method":"notifications/x"}`, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "notifications/x"}, 0, 0},
		"modern read":              {`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{` + meta + `,"uri":"a:b"}}`, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "resources/read", "Mcp-Name", "a:c"}, 400, -32020},
		"modern task":              {`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{` + meta + `,"taskId":"t"}}`, []string{"Mcp-Protocol-Version", v, "Mcp-Method", "tasks/get"}, 400, -32020},
		"legacy without header":    {ping, nil, 0, 0},
		"legacy 2024-11-05":        {ping, []string{"Mcp-Protocol-Version", "2024-11-05"}, 0, 0},
		"legacy unknown":           {ping, []string{"Mcp-Protocol-Version", "2025-01-01"}, 400, -32600},
		"legacy response":          {`{"jsonrpc":"2.0","id":1,"result":{}}`, []string{"Mcp-Protocol-Version", "2025-11-25"}, 0, 0},
	} {
		call, refusal, got := status(g, post(test.body, test.header...))
		if got != test.status || refusal != nil && refusal.Code != test.code {
			t.Errorf("%s: %d, %+v", name, got, refusal)
		}
		if want := fmt.Sprint(call.Era); refusal == nil && (want == "modern") != (name[0] == 'm') {
			t.Errorf("%s: era %s", name, want)
		}
	}
}

func TestAMissingVersionHeaderIsNotSaidToDiffer(t *testing.T) {
	g := gate(t, Settings{})
	body := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + meta + `}}`
	for want, header := range map[string][]string{
		"The header Mcp-Protocol-Version is missing, but the request's _meta says": {"Mcp-Method", "ping"},
		"Mcp-Protocol-Version is \"2025-11-25\", but the request's _meta says":     {"Mcp-Method", "ping", "Mcp-Protocol-Version", "2025-11-25"},
	} {
		if _, refusal, _ := status(g, post(body, header...)); refusal == nil || !strings.Contains(refusal.Message, want) {
			t.Errorf("%+v, want it to say %s", refusal, want)
		}
	}
}

func TestModernRequestsHaveNoSession(t *testing.T) {
	g := gate(t, Settings{})
	call, refusal, _ := status(g, post(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{`+meta+`}}`,
		"Mcp-Protocol-Version", v, "Mcp-Method", "ping", "Mcp-Session-Id", "abc", "Last-Event-Id", "c1-1"))
	if refusal != nil || call.SessionID != "" || call.Era != protocol.Modern {
		t.Errorf("%+v, %v", call, refusal)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	g := gate(t, Settings{})
	for body, want := range map[string]struct {
		code int
		id   string
	}{
		``:         {-32700, ""},
		`not json`: {-32700, ""},
		`{`:        {-32700, ""},
		`{"jsonrpc":"2.0","id":1,"method":"a"} x`:            {-32700, ""},
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}`:       {-32700, ""},
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}": {-32700, ""},
		"\ufeff" + ping:  {-32700, ""},
		`[` + ping + `]`: {-32600, ""},
		`5`:              {-32600, ""},
		`{"jsonrpc":"2.0","id":1,"method":"a","Params":{}}`:                       {-32600, "1"},
		`{"jsonrpc":"2.0","id":{"x":1},"method":"a","Params":{}}`:                 {-32600, ""},
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"x"}}`:    {-32600, "1"},
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"\u006eame":1}}`: {-32600, "1"},
		`{"jsonrpc":"2.0","id":[1],"method":"a"}`:                                 {-32600, ""},
		`{"jsonrpc":"1.0","id":1,"method":"a"}`:                                   {-32600, ""},
	} {
		call, refusal, got := status(g, post(body))
		if got != http.StatusBadRequest || refusal.Code != want.code || call.Message == nil || string(call.Message.ID) != want.id {
			t.Errorf("%s: %d, code %d, id %s, want code %d, id %s", body, got, refusal.Code, call.Message.ID, want.code, want.id)
		}
	}
}
