package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func parse(t *testing.T, raw string) *Message {
	t.Helper()
	m, err := Parse([]byte(raw), 0)
	if err != nil {
		t.Fatalf("Parse(%s): %v", raw, err)
	}
	return m
}

func TestParseReadsTheEnvelope(t *testing.T) {
	m := parse(t, `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"sa\u0076e","arguments":{"Name":1,"name":2},"_meta":{"progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28"}},"x":1.0}`)
	if m.Kind != Request || m.Method != MethodToolsCall || string(m.ID) != "9007199254740993" {
		t.Errorf("kind %v, method %q, id %s", m.Kind, m.Method, m.ID)
	}
	if m.Name() != "save" {
		t.Errorf("name = %q", m.Name())
	}
	if got := string(m.ProgressToken()); got != `"p"` {
		t.Errorf("progress token = %s", got)
	}
	if v, _ := m.Meta.String(MetaProtocolVersion); v != "2026-07-28" {
		t.Errorf("protocol version = %q", v)
	}
}

func TestParseTellsTheKinds(t *testing.T) {
	for raw, want := range map[string]Kind{
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:                                          Notification,
		`{"jsonrpc":"2.0","id":"a","method":"ping"}`:                                                      Request,
		`{"jsonrpc":"2.0","id":-1,"method":"ping","params":null}`:                                         Request,
		`{"jsonrpc":"2.0","id":1,"result":{}}`:                                                            Response,
		`{"jsonrpc":"2.0","id":1,"result":null}`:                                                          Response,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`:                                       Response,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`:                               Response,
		"\t{\"jsonrpc\": \"2.0\",\r\n\"id\" :1,\n\"method\":\"ping\", \"params\" : { \"_meta\" : {}} }\n": Request,
	} {
		if m := parse(t, raw); m.Kind != want {
			t.Errorf("%s: kind %v, want %v", raw, m.Kind, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + params + `}`
	}
	for _, tc := range []struct {
		name, raw string
		want      error
	}{
		{"nothing", ``, ErrSyntax},
		{"half a value", `{"jsonrpc":"2.0"`, ErrSyntax},
		{"two values", `{"jsonrpc":"2.0","id":1,"method":"ping"}{}`, ErrSyntax},
		{"byte order mark", "\xef\xbb\xbf" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, ErrSyntax},
		{"bad UTF-8", `{"jsonrpc":"2.0","id":1,"method":"p` + "\xff" + `"}`, ErrSyntax},
		{"newline in a string", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\nng\"}", ErrSyntax},
		{"newline after an escaped quote", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\\\"\nng\"}", ErrSyntax},
		{"comment", `{"jsonrpc":"2.0","id":1,/**/"method":"ping"}`, ErrSyntax},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, ErrBatch},
		{"a string", `"ping"`, ErrInvalid},
		{"no version", `{"id":1,"method":"ping"}`, ErrInvalid},
		{"version 1", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, ErrInvalid},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, ErrInvalid},
		{"object id", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, ErrInvalid},
		{"boolean id", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, ErrInvalid},
		{"long id", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", MaxID-1) + `","method":"ping"}`, ErrInvalid},
		{"long progress token", call(`{"_meta":{"progressToken":"` + strings.Repeat("x", MaxID-1) + `"}}`), ErrInvalid},
		{"method and result", `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, ErrInvalid},
		{"result and error", `{"jsonrpc":"2.0","id":1,"error":{},"result":{}}`, ErrInvalid},
		{"nothing to say", `{"jsonrpc":"2.0","id":1}`, ErrInvalid},
		{"result without id", `{"jsonrpc":"2.0","result":{}}`, ErrInvalid},
		{"method a number", `{"jsonrpc":"2.0","id":1,"method":3}`, ErrInvalid},
		{"empty method", `{"jsonrpc":"2.0","id":1,"method":""}`, ErrInvalid},
		{"params an array", call(`[1]`), ErrInvalid},
		{"_meta a string", call(`{"_meta":"x"}`), ErrInvalid},
		{"duplicate in the envelope", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, ErrSyntax},
		{"duplicate in params", call(`{"name":"a","name":"b"}`), ErrSyntax},
		{"duplicate by escape", call(`{"name":"a","na\u006de":"b"}`), ErrSyntax},
		{"duplicate deep in arguments", call(`{"arguments":{"a":[{"b":1,"b":2}]}}`), ErrSyntax},
		{"escaped name alone", call(`{"na\u006de":"b"}`), ErrLookAlike},
		{"upper case", call(`{"Name":"b"}`), ErrLookAlike},
		{"long s", call("{\"argument\u017f\":{}}"), ErrLookAlike},
		{"Kelvin sign", call("{\"_meta\":{\"progressTo\u212aen\":1}}"), ErrLookAlike},
		{"Kelvin sign by escape", call(`{"_meta":{"progressTo\u212aen":1}}`), ErrLookAlike},
		{"METHOD", `{"jsonrpc":"2.0","id":1,"METHOD":"ping","method":"tools/call"}`, ErrLookAlike},
		{"_META", call(`{"_META":{}}`), ErrLookAlike},
		{"protocol key in another case", call(`{"_meta":{"io.modelcontextprotocol/ProtocolVersion":"2026-07-28"}}`), ErrLookAlike},
		{"deep", call(`{"arguments":{"a":` + strings.Repeat("[", 126) + strings.Repeat("]", 126) + `}}`), ErrDepth},
		{"deep and unclosed", strings.Repeat("[", 100_000), ErrDepth},
	} {
		_, err := Parse([]byte(tc.raw), 0)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: error = %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestParseLetsPassWhatIsNoAffairOfOurs(t *testing.T) {
	for name, raw := range map[string]string{
		"nesting at the bound":       `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":` + strings.Repeat("[", 126) + strings.Repeat("]", 126) + `}}`,
		"longest id and token":       `{"jsonrpc":"2.0","id":"` + strings.Repeat("i", MaxID-2) + `","method":"x","params":{"_meta":{"progressToken":"` + strings.Repeat("t", MaxID-2) + `"}}}`,
		"brackets in a string":       `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"` + strings.Repeat("[{", 500) + `"}}`,
		"lone surrogate":             `{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"s":"\ud83d"}}}`,
		"NAME among the arguments":   `{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"NAME":1,"_META":{}}}}`,
		"unknown members everywhere": `{"jsonrpc":"2.0","id":1,"method":"x","x-y":[],"params":{"tags":[]}}`,
		"number beyond 64 bits":      `{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":123456789012345678901234567890.5e400}}`,
	} {
		m := parse(t, raw)
		if string(m.Raw) != raw {
			t.Errorf("%s: raw changed to %s", name, m.Raw)
		}
	}
}

func TestParseFlattensLineBreaksBetweenValues(t *testing.T) {
	m := parse(t, "{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": 1,\n  \"method\": \"a\\nb\"\n}\n")
	if bytes.ContainsAny(m.Raw, "\r\n") {
		t.Errorf("raw holds a line break: %q", m.Raw)
	}
	if m.Method != "a\nb" {
		t.Errorf("method = %q", m.Method)
	}
}

func TestIDKeyIsEqualForEqualIDs(t *testing.T) {
	if IDKey([]byte(`"a"`)) != IDKey([]byte(`"\u0061"`)) {
		t.Error(`"a" and "\u0061" are one id`)
	}
	for _, one := range []string{`1.0`, `1e0`, `10E-1`, `0.1e+1`} { // as JSON is written that knows but one kind of number
		if IDKey([]byte(one)) != IDKey([]byte(`1`)) {
			t.Errorf("%s and 1 are one id", one)
		}
	}
	for _, other := range []string{`1.5`, `-1`, `-1.0`, `1e1`} {
		if IDKey([]byte(other)) == IDKey([]byte(`1`)) {
			t.Errorf("%s and 1 are two ids", other)
		}
	}
	if IDKey([]byte(`9007199254740993.0`)) == IDKey([]byte(`9007199254740992`)) || IDKey([]byte(`1e400`)) == IDKey([]byte(`2e400`)) {
		t.Error("numbers too large to be told apart as floats are two ids")
	}
	if IDKey([]byte(`"1"`)) == IDKey([]byte(`1`)) {
		t.Error(`"1" and 1 are two ids`)
	}
	for _, raw := range []string{``, `null`, `true`, `{}`, `[]`} {
		if IDKey([]byte(raw)) != "" {
			t.Errorf("%s cannot be an id", raw)
		}
	}
}

func TestEditorSplicesOnlyWhatItIsTold(t *testing.T) {
	const prefix = "io.github.snapgate/"
	stamp := MetaValue{prefix + "identity", []byte(`{"user":"u"}`)}
	const stamped = `"io.github.snapgate/identity":{"user":"u"}`
	for _, tc := range []struct{ name, raw, want string }{
		{
			"no params",
			`{"jsonrpc":"2.0","id":1,"method":"x" }`,
			`{"jsonrpc":"2.0","id":1,"method":"x" ,"params":{"_meta":{` + stamped + `}}}`,
		}, {
			"null params",
			`{"jsonrpc":"2.0","id":1,"params":null,"method":"x"}`,
			`{"jsonrpc":"2.0","id":1,"params":{"_meta":{` + stamped + `}},"method":"x"}`,
		}, {
			"empty params",
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{ }}`,
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{` + stamped + `} }}`,
		}, {
			"params without _meta",
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"b":2, "a":1.0}}`,
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{` + stamped + `},"b":2, "a":1.0}}`,
		}, {
			"null _meta",
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"b":2,"_meta":null}}`,
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"b":2,"_meta":{` + stamped + `}}}`,
		}, {
			"other keys in _meta",
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"k" : 1},"b":2}}`,
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{` + stamped + `,"k" : 1},"b":2}}`,
		}, {
			"forged alone",
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.github.snapgate/identity":{"user":"root"}}}}`,
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{` + stamped + `}}}`,
		}, {
			"forged first, middle, last, folded and escaped",
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.github.SNAPGATE/a":1, "k":2 , "io.github.\u0073napgate/identity":3,"l":4,"io.github.ſnapgate/z":5,"io.github.snapgate/":6}}}`,
			`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{` + stamped + `, "k":2 , "l":4}}}`,
		},
	} {
		got := parse(t, tc.raw).Edit().DropMeta(prefix).SetMeta(stamp).Bytes()
		// White space around a removed member may go with it.
		if squeeze(string(got)) != squeeze(tc.want) {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		if !json.Valid(got) {
			t.Errorf("%s: not JSON: %s", tc.name, got)
		}
	}
}

func squeeze(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestEditorDropsForgedKeysFromNestedMeta(t *testing.T) {
	m := parse(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":{"_meta":{"io.github.snapgate/identity":1}},`+
		`"inputResponses":{"a":{"action":"accept","_meta":{"io.github.snapgate/identity":1,"k":2}},"b":[{"_m\u0065ta":{"x":1,"io.github.snapgate/y":{"z":[1]}}}]}}}`)
	got := string(m.Edit().DropMeta("io.github.snapgate/").Bytes())
	want := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","arguments":{"_meta":{"io.github.snapgate/identity":1}},` +
		`"inputResponses":{"a":{"action":"accept","_meta":{"k":2}},"b":[{"_m\u0065ta":{"x":1}}]}}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEditorReplacesIDTokenAndRequestID(t *testing.T) {
	m := parse(t, `{"params":{"_meta":{"progressToken":"mine","k":1},"requestId":5},"id":"abc","method":"x","jsonrpc":"2.0"}`)
	got := string(m.Edit().ID([]byte("17")).MetaMember(MetaProgressToken, []byte("17")).Param("requestId", []byte("6")).Bytes())
	want := `{"params":{"_meta":{"progressToken":17,"k":1},"requestId":6},"id":17,"method":"x","jsonrpc":"2.0"}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEditorDropsParams(t *testing.T) {
	for params, want := range map[string]string{
		`{"a":1}`:                   `{"_meta":{"k":1},"a":1}`,
		`{"x":[{"_meta":{}}]}`:      `{"_meta":{"k":1}}`,
		`{"x":1,"a":1, "y":2}`:      `{"_meta":{"k":1},"a":1}`,
		`{"a":1,"x":1,"y":2,"b":1}`: `{"_meta":{"k":1},"a":1,"b":1}`,
		`{"x":1,"_meta":{"x":1}}`:   `{"_meta":{"k":1,"x":1}}`,
	} {
		m := parse(t, `{"jsonrpc":"2.0","id":1,"method":"m","params":`+params+`}`)
		got := string(m.Edit().DropParams("x", "y").Param("x", []byte("7")).SetMeta(MetaValue{"k", []byte("1")}).Bytes())
		if want = `{"jsonrpc":"2.0","id":1,"method":"m","params":` + want + `}`; got != want {
			t.Errorf("%s:\n got %s\nwant %s", params, got, want)
		}
	}
}

func TestEditorChangesResults(t *testing.T) {
	m := parse(t, `{"jsonrpc":"2.0","id":4,"result":{"content":[],"cacheScope":"public","_meta":{"io.github.snapgate/user":"u"}}}`)
	got := string(m.Edit().ID([]byte(`"c"`)).ResultMember("cacheScope", []byte(`"private"`)).DropMeta("io.github.snapgate/").Bytes())
	want := `{"jsonrpc":"2.0","id":"c","result":{"content":[],"cacheScope":"private","_meta":{}}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestEditorAddsDefaultsToResults(t *testing.T) {
	for raw, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`:                                 `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","ttlMs":0,"_meta":{"s":1}}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"tools":[],"ttlMs":5}}`:             `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","_meta":{"s":1},"tools":[],"ttlMs":5}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"_meta":{"s":2},"resultType":"x"}}`: `{"jsonrpc":"2.0","id":1,"result":{"ttlMs":0,"_meta":{"s":2},"resultType":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}`:            `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}`,
	} {
		got := string(parse(t, raw).Edit().DefaultResult("resultType", []byte(`"complete"`)).DefaultResult("ttlMs", []byte("0")).DefaultMeta("s", []byte("1")).Bytes())
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

// FuzzEdit holds that whatever Parse accepts, the edits of the gateway leave a
// message that Parse accepts, with the stamp, without forgeries, and otherwise equal.
func FuzzEdit(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.github.\u0073napgate/identity":3,"l":4}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"inputResponses":{"a":{"_meta":{"io.github.snapgate/identity":1,"k":2}}}}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"_meta":{"io.github.snapgate/identity":1}}}`,
		`{"jsonrpc":"2.0","method":"x","params":null}`,
		`{"jsonrpc":"2.0","id":1,"result":{"cacheScope":{"_meta":{"io.github.snapgate/x":1}},"a":[{"_Meta":{"io.github.snapgate/y":1}}]}}`,
		`{"jsonrpc":"2.0","id":1,"_meta":[{"io.github.snapgate/x":1}],"error":{"code":{"_meta":{"io.github.snapgate/x":1}},"_meta":{"io.github.snapgate/x":1}}}`,
		"{\"jsonrpc\":\"2.0\",\n\"id\":\"a\",\"method\":\"\\ud800\",\"params\":{\"_meta\":null}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, 0)
		if err != nil {
			return
		}
		const prefix = "io.github.snapgate/"
		out := m.Edit().ID([]byte("1")).DropMeta(prefix).Param("requestId", []byte("2")).DropParams("inputResponses", "name").MetaMember(MetaProgressToken, []byte("3")).
			ResultMember("cacheScope", []byte(`"private"`)).ErrorMember("code", []byte("4")).DefaultResult("resultType", []byte(`"complete"`)).SetMeta(MetaValue{prefix + "identity", []byte(`{"user":"u"}`)}).Bytes()
		if bytes.ContainsAny(out, "\r\n") {
			t.Fatalf("more than one line: %q", out)
		}
		again, err := Parse(out, DefaultMaxDepth+3)
		if err != nil {
			t.Fatalf("the edit broke the message: %v\n in %q\nout %q", err, data, out)
		}
		if again.Kind != m.Kind || again.Method != m.Method {
			t.Fatalf("the edit changed kind or method: %q -> %q", data, out)
		}
		stamps := 0
		for _, member := range again.Meta.members {
			if hasPrefixFolded(member.name.in(again.Raw), prefix, fold(prefix)) {
				stamps++
			}
		}
		want := 1
		if m.Kind == Response && !m.Result.Present() {
			want = 0
		}
		if stamps != want {
			t.Fatalf("%d gateway keys in %q", stamps, out)
		}
		if found := forged(t, again, prefix); len(found) > want {
			t.Fatalf("gateway keys %q in %q", found, out)
		}
	})
}

// forged finds keys of the gateway in any _meta, the arguments of tools and prompts apart,
// by reading the message as a map.
func forged(t *testing.T, m *Message, prefix string) (found []string) {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal(m.Raw, &top); err != nil {
		return nil // encoding/json has narrower bounds
	}
	if params, ok := top["params"].(map[string]any); ok && (m.Method == MethodToolsCall || m.Method == MethodPromptsGet) {
		delete(params, "arguments")
	}
	var walk func(v any, isMeta bool)
	walk = func(v any, isMeta bool) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item, isMeta)
			}
		case map[string]any:
			for key, item := range v {
				if isMeta && strings.HasPrefix(fold(key), fold(prefix)) {
					found = append(found, key)
				}
				walk(item, fold(key) == fold("_meta"))
			}
		}
	}
	walk(top, false)
	return found
}

func TestAResponseHasNoParams(t *testing.T) {
	for _, raw := range []string{
		`{"jsonrpc":"2.0","params":{"_meta":{"io.github.snapgate/x":1}},"id":1,"result":{"_meta":{"a":1}}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"},"params":null}`,
		`{"jsonrpc":"2.0","id":1,"result":7,"params":{}}`,
	} {
		if _, err := Parse([]byte(raw), 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v", raw, err)
		}
	}
}

func TestEditorDropsForgedKeysWhereverAMetaStands(t *testing.T) {
	const forged = `"io.github.snapgate/identity":{"user":"root"}`
	for _, tc := range []struct{ name, raw, want string }{
		{"in the envelope", `{"jsonrpc":"2.0","id":1,"method":"x","_meta":{` + forged + `}}`, `{"jsonrpc":"2.0","id":1,"method":"x","_meta":{}}`},
		{"in the envelope, folded", `{"jsonrpc":"2.0","id":1,"method":"x","_META":{"k":1,` + forged + `}}`, `{"jsonrpc":"2.0","id":1,"method":"x","_META":{"k":1}}`},
		{"in the envelope, as a list", `{"jsonrpc":"2.0","id":1,"method":"x","_meta":[{` + forged + `}]}`, `{"jsonrpc":"2.0","id":1,"method":"x","_meta":[{}]}`},
		{"in error", `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","_meta":{` + forged + `},"data":{"_meta":{` + forged + `}}}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","_meta":{},"data":{"_meta":{}}}}`},
		{"in a list for a result", `{"jsonrpc":"2.0","id":1,"result":[{"_meta":{` + forged + `}}]}`, `{"jsonrpc":"2.0","id":1,"result":[{"_meta":{}}]}`},
		{"in _meta", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":{"_meta":{` + forged + `,"b":1}}}}}`, `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":{"_meta":{"b":1}}}}}`},
		{"right in _meta", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"_meta":{` + forged + `}}}}`, `{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"_meta":{}}}}`},
		{"in result.arguments", `{"jsonrpc":"2.0","id":1,"result":{"arguments":{"_meta":{` + forged + `}}}}`, `{"jsonrpc":"2.0","id":1,"result":{"arguments":{"_meta":{}}}}`},
		{"in arguments of another method", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"_meta":{` + forged + `}}}}`, `{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"_meta":{}}}}`},
		{"nested and folded", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[{"_Meta":{"k" : 2 , ` + forged + `}}]}}`, `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[{"_Meta":{"k" : 2}}]}}`},
		{"nested with escapes", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":{"\u005fmeta":{` + forged + `}}}}`, `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":{"\u005fmeta":{}}}}`},
	} {
		if got := string(parse(t, tc.raw).Edit().DropMeta("io.github.snapgate/").Bytes()); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestEditorReplacesWhatItWouldAlsoHaveEdited(t *testing.T) {
	m := parse(t, `{"jsonrpc":"2.0","id":1,"result":{"cacheScope":{"_meta":{"io.github.snapgate/x":1}}}}`)
	got := string(m.Edit().ID([]byte("2")).DropMeta("io.github.snapgate/").ResultMember("cacheScope", []byte(`"private"`)).Bytes())
	if want := `{"jsonrpc":"2.0","id":2,"result":{"cacheScope":"private"}}`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
