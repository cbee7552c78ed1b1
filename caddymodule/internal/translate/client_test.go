package translate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{"listChanged":true},"x":1e400},"clientInfo":{"name":"c","version":"1"}}}`

func TestClientSaysInEachRequestWhatItSaidInInitialize(t *testing.T) {
	c := ReadClient(parse(t, hello))
	const meta = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true},"x":1e400},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}`
	for raw, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`:                                                         `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{` + meta + `}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":1.0,"_meta":{"progressToken":7,"traceparent":"t"}}}`: `{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":1.0,"_meta":{` + meta + `,"progressToken":7,"traceparent":"t"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/clientInfo":{}}}}`:     `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{` + meta + `}}}`,
	} {
		got, err := c.Request(parse(t, raw), "")
		if err != nil || string(got.Raw) != want {
			t.Errorf("%v\n got %s\nwant %s", err, got.Raw, want)
		}
	}
	if got, err := c.Request(parse(t, `{"jsonrpc":"2.0","id":1,"method":"x"}`), "error"); err != nil || !strings.Contains(string(got.Raw), `logLevel":"error"`) {
		t.Errorf("%v %s", err, got.Raw)
	}
}

func TestClientOfNoVersionGetsTheNewestThatItCouldSpeak(t *testing.T) {
	for raw, want := range map[string]string{"2025-06-18": "2025-06-18", "2026-07-28": "2025-11-25", "1999": "2025-11-25"} {
		if c := ReadClient(parse(t, strings.Replace(hello, "2025-06-18", raw, 1))); c.Version != want {
			t.Errorf("%s: %s", raw, c.Version)
		}
	}
	if c := ReadClient(parse(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":7}}`)); string(c.capabilities) != "{}" || c.Version != "2025-11-25" {
		t.Errorf("%s %s", c.Version, c.capabilities)
	}
}

func TestQuestionsAreAskedInTheOrderOfTheirNames(t *testing.T) {
	asked, err := Questions(parse(t, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"b":{"method":"roots/list"},"a":{"method":"elicitation/create","params":{"n":1e400}}}}}`))
	if err != nil || len(asked) != 2 || asked[0].Name != "a" || asked[1].Name != "b" {
		t.Fatalf("%v %v", asked, err)
	}
	if m, err := asked[0].Request([]byte(`"q"`)); err != nil || string(m.Raw) != `{"id":"q","jsonrpc":"2.0","method":"elicitation/create","params":{"n":1e400}}` {
		t.Errorf("%v %s", err, m.Raw)
	}
	for _, raw := range []string{`[]`, `{"a":1}`, `{"a":{}}`, `7`} {
		if _, err := Questions(parse(t, `{"jsonrpc":"2.0","id":1,"result":{"inputRequests":`+raw+`}}`)); err == nil {
			t.Errorf("%s is taken for questions", raw)
		}
	}
}

func TestAgainIsTheCallWithInputAndState(t *testing.T) {
	call := parse(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","requestState":"the client's"}}`)
	got, err := Again(call, map[string]json.RawMessage{"a": json.RawMessage(`{"n":1.0}`)}, []byte(`"s\u0020"`))
	const want = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"inputResponses":{"a":{"n":1.0}},"name":"n","requestState":"s\u0020"}}`
	if err != nil || string(got.Raw) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got.Raw, want)
	}
}

// FuzzClient holds that whatever a legacy client sends stays one valid message with what a
// modern server must find in it, in the first round and in the next.
func FuzzClient(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":null,"inputResponses":1}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"x"}`))
	c := ReadClient(parse(f, hello))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := message.Parse(data, 0)
		if err != nil || m.Kind != message.Request || m.Params.Raw() == nil && strings.Contains(string(data), "params") {
			return // params that are no object are the server's to refuse
		}
		request, err := c.Request(m, "info")
		if err != nil {
			t.Fatalf("%v in the translation of %q", err, data)
		}
		again, err := Again(request, map[string]json.RawMessage{"a": json.RawMessage(`{}`)}, []byte(`"s"`))
		if err != nil {
			t.Fatalf("%v in the second round of %q", err, data)
		}
		state, _ := again.Params.String("requestState")
		if version, _ := again.Meta.String(message.MetaProtocolVersion); version != "2026-07-28" || state != "s" || again.Params.Get("inputResponses") == nil {
			t.Fatalf("the second round of %q lacks something: %q", data, again.Raw)
		}
	})
}
