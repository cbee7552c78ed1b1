package translate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

func parse(t testing.TB, raw string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(raw), 0)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return m
}

const initialized = `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"1","x":1e400},"instructions":"Be <kind>",` +
	`"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"tasks":{},"logging":{},"x-own":{"a":1}}}}`

func server(t testing.TB) *Server {
	t.Helper()
	s, err := ReadServer(parse(t, initialized))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadServerRefusesWhatIsNoAnswerToInitialize(t *testing.T) {
	for raw, want := range map[string]string{
		`{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no such method"}}`: "no such method",
		`{"jsonrpc":"2.0","id":0,"result":{}}`:                                        "names no protocol version",
		`{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}`:          "capabilities",
	} {
		if _, err := ReadServer(parse(t, raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v", raw, err)
		}
	}
}

func TestDiscoverSaysWhatInitializeSaid(t *testing.T) {
	got := parse(t, string(server(t).Discover([]byte(`"d"`))))
	if string(got.ID) != `"d"` {
		t.Errorf("id = %s", got.ID)
	}
	for name, want := range map[string]string{
		"resultType":   `"complete"`,
		"ttlMs":        `0`,
		"cacheScope":   `"private"`,
		"instructions": `"Be <kind>"`,
		"capabilities": `{"logging":{},"resources":{"subscribe":true},"tools":{"listChanged":true},"x-own":{"a":1}}`,
	} {
		if value := string(got.Result.Get(name)); value != want {
			t.Errorf("%s = %s, want %s", name, value, want)
		}
	}
	if info := string(got.Meta.Get(message.MetaServerInfo)); info != `{"name":"s","version":"1","x":1e400}` {
		t.Errorf("serverInfo = %s", info)
	}
	if versions := string(got.Result.Get("supportedVersions")); !strings.HasPrefix(versions, `["2026-07-28"`) {
		t.Errorf("supportedVersions = %s", versions)
	}
}

func TestInitializedSaysWhatDiscoverSaid(t *testing.T) {
	discovered := parse(t, `{"jsonrpc":"2.0","id":0,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1","x":1e400}},"instructions":"Be <kind>","capabilities":{"x-own":{"a":1}}}}`)
	const want = `{"id":"i","jsonrpc":"2.0","result":{"capabilities":{"x-own":{"a":1}},"instructions":"Be <kind>","protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"1","x":1e400}}}`
	if got := string(ReadDiscovered(discovered).Initialized([]byte(`"i"`), "2025-06-18")); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestCapabilitiesThatAreNullAreNone(t *testing.T) {
	legacy, err := ReadServer(parse(t, `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	modern := ReadDiscovered(parse(t, `{"jsonrpc":"2.0","id":0,"result":{"capabilities":null}}`))
	for _, said := range [][]byte{legacy.Discover([]byte(`1`)), modern.Initialized([]byte(`1`), "2025-06-18")} {
		if got := string(parse(t, string(said)).Result.Get("capabilities")); got != `{}` {
			t.Errorf("capabilities = %s", got)
		}
	}
}

func TestRequestLosesTheMetaOfModernClients(t *testing.T) {
	m := parse(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"00-1","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/related-task":{}}}}`)
	edit := m.Edit()
	server(t).Request(m, edit)
	want := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","_meta":{"traceparent":"00-1","io.modelcontextprotocol/related-task":{}}}}`
	if got := string(edit.Bytes()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestResultGainsWhatModernClientsMustFind(t *testing.T) {
	const info = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1","x":1e400}}`
	for _, tc := range []struct{ method, raw, want string }{
		{"tools/call", `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",` + info + `,"content":[]}}`},
		{"tools/list", `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"nextCursor":"c"}}`, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","ttlMs":0,"cacheScope":"private",` + info + `,"tools":[],"nextCursor":"c"}}`},
		{"tools/list", `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"ttlMs":60000,"cacheScope":"public"}}`, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",` + info + `,"tools":[],"ttlMs":60000,"cacheScope":"private"}}`},
		{"resources/read", `{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"Resource not found","data":{"uri":"u"}}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Resource not found","data":{"uri":"u"}}}`},
		{"tools/call", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"m"}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"m"}}`},
	} {
		m := parse(t, tc.raw)
		edit := m.Edit()
		server(t).Result(tc.method, m, edit)
		if got := string(edit.Bytes()); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.method, got, tc.want)
		}
	}
}

func TestCapabilitiesDecideWhatAServerMayAsk(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`:                                   "",
		`{"roots":{"listChanged":true}}`:       "roots",
		`{"elicitation":{}}`:                   "elicitation.form",
		`{"elicitation":{"url":{}}}`:           "elicitation.url",
		`{"elicitation":{"form":{},"url":{}}}`: "elicitation.form elicitation.url",
		`{"sampling":{}}`:                      "sampling",
		`{"sampling":{"tools":{}},"roots":{}}`: "roots sampling sampling.tools",
		`{"tasks":{},"experimental":{"x":1}}`:  "",
		`[]`:                                   "",
		``:                                     "",
	} {
		c := ReadCapabilities([]byte(raw))
		if c.Key() != want || c.Any() != (want != "") {
			t.Errorf("%s: %q", raw, c.Key())
		}
		if !json.Valid(c.Initialize("2025-11-25", "snapgate", "1")) {
			t.Errorf("%s: initialize is no JSON", raw)
		}
	}
	withTools := parse(t, `{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[],"tools":[]}}`)
	for caps, want := range map[Capabilities]bool{{Sampling: true}: false, {Sampling: true, SamplingTools: true}: true, {SamplingTools: true}: false} {
		if got := caps.Allows(withTools); got != want {
			t.Errorf("with %+v a model may be asked to use tools: %v", caps, got)
		}
	}
	form := Capabilities{ElicitForm: true}
	for raw, want := range map[string]bool{
		`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"m"}}`:                  true,
		`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"mode":"url","url":"https://x"}}`: false,
		`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`:                                                   false,
		`{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}`:                           false,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`:                                       false,
	} {
		if got := form.Allows(parse(t, raw)); got != want {
			t.Errorf("%s: allowed %v", raw, got)
		}
	}
}

func TestInitializeTellsTheReducedCapabilities(t *testing.T) {
	m := parse(t, string(Capabilities{Roots: true, Sampling: true, SamplingTools: true, ElicitForm: true, ElicitURL: true}.Initialize("2025-11-25", "snapgate", "1")))
	if got := string(m.Params.Get("capabilities")); got != `{"elicitation":{"form":{},"url":{}},"roots":{},"sampling":{"tools":{}}}` {
		t.Errorf("capabilities = %s", got)
	}
}

func TestInputRequiredCarriesTheQuestionAsItIs(t *testing.T) {
	question := parse(t, `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"<b>\u0026","requestedSchema":{"n":123456789012345678901234567890},"_meta":{"io.github.snapgate/user":1}}}`)
	got := string(InputRequired([]byte(`7`), question, "state"))
	want := `{"id":7,"jsonrpc":"2.0","result":{"inputRequests":{"input":{"method":"elicitation/create","params":{"message":"<b>\u0026","requestedSchema":{"n":123456789012345678901234567890},"_meta":{}}}},"requestState":"state","resultType":"input_required"}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestInputRequiredHasParamsThoughTheQuestionHasNone(t *testing.T) {
	got := string(InputRequired([]byte(`7`), parse(t, `{"jsonrpc":"2.0","id":"q","method":"roots/list"}`), "state"))
	want := `{"id":7,"jsonrpc":"2.0","result":{"inputRequests":{"input":{"method":"roots/list","params":{}}},"requestState":"state","resultType":"input_required"}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestInputResponseIsTheOneThatWasAskedFor(t *testing.T) {
	for params, want := range map[string]string{
		`{"inputResponses":{"input":{"action":"accept","content":{"n":1.0}}}}`: `{"action":"accept","content":{"n":1.0}}`,
		`{"inputResponses":{"other":{"action":"accept"}}}`:                     ``,
		`{"inputResponses":{"input":"accept"}}`:                                ``,
		`{"inputResponses":[]}`:                                                ``,
		`{}`:                                                                   ``,
	} {
		m := parse(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`)
		if got := string(InputResponse(m)); got != want {
			t.Errorf("%s: %s", params, got)
		}
	}
}

func TestDigestIsEqualForACallAndItsRetryOnly(t *testing.T) {
	digest := func(params string) [32]byte {
		d, err := Digest(parse(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	call := digest(`{"name":"n","arguments":{"a":1,"b":"x"},"_meta":{"progressToken":1}}`)
	if retry := digest(`{"requestState":"s","arguments":{"b":"\u0078","a":1.0},"inputResponses":{},"name":"n"}`); retry != call {
		t.Error("a retry has another digest")
	}
	for _, other := range []string{`{"name":"m","arguments":{"a":1,"b":"x"}}`, `{"name":"n","arguments":{"a":2,"b":"x"}}`, `{"name":"n"}`, `{"name":"n","arguments":{"a":1,"b":"x"},"more":null}`} {
		if digest(other) == call {
			t.Errorf("%s has the same digest", other)
		}
	}
	if digest(`{"n":9007199254740992}`) == digest(`{"n":9007199254740993}`) {
		t.Error("integers that one float stands for have the same digest")
	}
}

func TestWithdrawnAnswersEveryKindOfQuestion(t *testing.T) {
	for method, want := range map[string]string{methodElicit: `{"action":"cancel"}`, methodSampling: "", methodRoots: ""} {
		m := parse(t, string(Withdrawn(parse(t, `{"jsonrpc":"2.0","id":5,"method":"`+method+`"}`))))
		if string(m.ID) != "5" || want != "" && string(m.Result.Raw()) != want || want == "" && !m.IsError() {
			t.Errorf("%s: %s", method, m.Raw)
		}
	}
}

func TestSubscriptionsAreGrantedAsFarAsTheServerHasThem(t *testing.T) {
	listen := parse(t, `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a://b"]}}}`)
	asked, err := ReadSubscriptions(listen)
	if err != nil || !Plain(listen) {
		t.Fatal(err)
	}
	got := server(t).Grant(asked)
	if !got.Tools || got.Prompts || len(got.URIs) != 1 || !got.Any() {
		t.Errorf("granted %+v", got)
	}
	for raw, want := range map[string]bool{
		`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`:                             true,
		`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`:                           false,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://b"}}`:     true,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://other"}}`: false,
		`{"jsonrpc":"2.0","method":"notifications/own"}`:                                            false,
	} {
		if got.Wants(parse(t, raw)) != want {
			t.Errorf("%s: wanted %v", raw, !want)
		}
	}
	ack := parse(t, string(got.Acknowledged([]byte(`"l"`))))
	if string(ack.Meta.Get(message.MetaSubscriptionID)) != `"l"` || string(ack.Params.Get("notifications")) != `{"toolsListChanged":true,"resourceSubscriptions":["a://b"]}` {
		t.Errorf("acknowledged: %s", ack.Raw)
	}
}

func TestNotifyReplacesASubscriptionID(t *testing.T) {
	m := parse(t, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u","_meta":{"io.modelcontextprotocol/subscriptionId":9,"k":1}}}`)
	want := `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u","_meta":{"io.modelcontextprotocol/subscriptionId":"l","k":1}}}`
	if got := string(Notify(m, []byte(`"l"`))); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// FuzzTranslate holds that whatever a legacy server answers stays one valid message with
// what a modern client must find in it.
func FuzzTranslate(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"_meta":null,"resultType":"x"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":-32002}}`))
	s := server(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := message.Parse(data, 0)
		if err != nil || m.Kind != message.Response {
			return
		}
		edit := m.Edit()
		s.Result("tools/list", m, edit)
		again, err := message.Parse(edit.Bytes(), message.DefaultMaxDepth+2)
		if err != nil {
			t.Fatalf("%v in the translation of %q", err, data)
		}
		if again.Result.Present() && (again.Result.Get("resultType") == nil || again.Result.Get("ttlMs") == nil || again.Meta.Get(message.MetaServerInfo) == nil) {
			t.Fatalf("the translation of %q lacks something: %q", data, again.Raw)
		}
	})
}
