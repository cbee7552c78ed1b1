package bridge

import (
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
)

func listCall(t *testing.T, method string, visible func(kind, name string) bool) *admission.Call {
	t.Helper()
	m, err := message.Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	return &admission.Call{Message: m, Visible: visible}
}

// What no rule can be found for is not shown, and what is no list becomes an empty one.
func TestListsThatCannotBeReadShowNothing(t *testing.T) {
	call := listCall(t, message.MethodToolsList, func(kind, name string) bool { return kind == "tool" && name != "secret" })
	sink := shown(call, &stream{}).(backend.Adjuster)
	for list, want := range map[string]string{
		`[{"name":"a"},{"name":"secret"}]`:                            `[{"name":"a"}]`,
		`[{"name":"secret","name2":"a"},{"title":"secret"}]`:          `[]`,
		`[{"Name":"secret"},{"name":"a","NAME":"secret"}]`:            `[]`,
		`[{"n\u0061me":"secret"},{"name":"\u0073ecret"}]`:             `[]`,
		`[{"name":["a"]},{"name":null},"a",1,null,[],{"name":"b"}]`:   `[{"name":"b"}]`,
		`[{"inputSchema":{"name":"secret"},"name":"a","x":[1.0, 2]}]`: `[{"inputSchema":{"name":"secret"},"name":"a","x":[1.0, 2]}]`,
		`{"secret":{"name":"secret"}}`:                                `[]`,
		`"secret"`:                                                    `[]`,
	} {
		m, err := message.Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":`+list+`,"cacheScope":"public","prompts":[{"name":"secret"}]}}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		edit := m.Edit()
		sink.Adjust(m, edit)
		if got := string(edit.Bytes()); got != `{"jsonrpc":"2.0","id":1,"result":{"tools":`+want+`,"cacheScope":"private","prompts":[{"name":"secret"}]}}` {
			t.Errorf("%s becomes %s", list, got)
		}
	}
	for _, answer := range []string{`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"tools"}}`, `{"jsonrpc":"2.0","id":1,"result":{"x":1}}`, `{"jsonrpc":"2.0","id":1,"result":null}`} {
		m, err := message.Parse([]byte(answer), 0)
		if err != nil {
			t.Fatal(err)
		}
		edit := m.Edit()
		sink.Adjust(m, edit)
		if got := string(edit.Bytes()); got != answer {
			t.Errorf("%s becomes %s", answer, got)
		}
	}
}

// What a call was told is cut again for who reads it again.
func TestWhatIsToldAgainIsForItsNewReader(t *testing.T) {
	const list, report = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"secret"}]}}`, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`
	get := &admission.Call{Sees: func(method string) func(kind, name string) bool {
		if method == message.MethodPromptsList {
			return nil // all is shown
		}
		return func(_, name string) bool { return name != "secret" }
	}}
	of := func(method, id string) *stream {
		return &stream{request: []byte(id), about: policy.Request{Method: method}}
	}
	edit := again(get, of(message.MethodToolsList, `1`))
	for frame, want := range map[string]string{
		list:                    `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}`,
		report:                  report,
		`no JSON, and a secret`: string(faultFrame(errUnreadable, []byte(`1`))),
	} {
		if got := edit(event{number: 3, frame: []byte(frame), last: true}); string(got.frame) != want || got.number != 3 || !got.last {
			t.Errorf("%s becomes %s", frame, got.frame)
		}
	}
	for name, none := range map[string]func(event) event{
		"a call":              again(get, of(message.MethodToolsCall, `1`)),
		"a list without cuts": again(get, of(message.MethodPromptsList, `1`)),
		"the session's own":   again(get, &stream{}),
		"without rules":       again(&admission.Call{}, of(message.MethodToolsList, `1`)),
	} {
		if none != nil {
			t.Errorf("%s is read again", name)
		}
	}
}

func TestNothingIsFilteredWithoutRules(t *testing.T) {
	s := &stream{}
	none := func(string, string) bool { return false }
	for method, visible := range map[string]func(string, string) bool{message.MethodToolsList: nil, message.MethodToolsCall: none, message.MethodDiscover: none, message.MethodComplete: none} {
		call := listCall(t, method, visible)
		if sink := shown(call, s); sink != backend.Sink(s) {
			t.Errorf("%s has the sink %T", method, sink)
		}
		n := 1.0
		for tries := 0; n > 0 && tries < 20; tries++ { // what else runs in the process is counted with it
			n = min(n, testing.AllocsPerRun(100, func() { shown(call, s) }))
		}
		if n > 0 {
			t.Errorf("%s: allocates memory", method)
		}
	}
}
