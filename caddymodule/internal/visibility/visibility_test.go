package visibility

import (
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

func parsed(t *testing.T, text string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEachListIsCutByTheNamesOfItsEntries(t *testing.T) {
	for method, tc := range map[string]struct{ kind, before, after string }{
		"tools/list":               {"tool", `"tools":[{"name":"a","uri":"x"},{"name":"x"}]`, `"tools":[{"name":"a","uri":"x"}]`},
		"prompts/list":             {"prompt", `"prompts":[{"name":"x"},{"name":"a"}]`, `"prompts":[{"name":"a"}]`},
		"resources/list":           {"resource", `"resources":[{"uri":"x","name":"a"},{"uri":"a","name":"x"}]`, `"resources":[{"uri":"a","name":"x"}]`},
		"resources/templates/list": {"resource", `"resourceTemplates":[{"uriTemplate":"x"},{"uriTemplate":"a"}]`, `"resourceTemplates":[{"uriTemplate":"a"}]`},
	} {
		list, ok := ListOf(method)
		if !ok || list.Kind != tc.kind {
			t.Fatalf("%s: %+v %v", method, list, ok)
		}
		const before, after = `{"jsonrpc":"2.0","id":1,"result":{`, `,"nextCursor":"x"}}`
		m := parsed(t, before+tc.before+after)
		edit := m.Edit()
		list.Cut(edit, func(kind, name string) bool { return kind == tc.kind && name == "a" })
		if got := string(edit.Bytes()); got != before+tc.after+after {
			t.Errorf("%s: %s", method, got)
		}
		for _, other := range Lists() {
			if other.In(m) != (other == list) {
				t.Errorf("%s has %s: %v", method, other.Member, other.In(m))
			}
		}
	}
	for _, method := range []string{"", "tools/call", "Tools/List"} {
		if list, ok := ListOf(method); ok {
			t.Errorf("%s lists %+v", method, list)
		}
	}
}

func TestUpdatesAreHeardByThoseWhoMayRead(t *testing.T) {
	visible := func(kind, name string) bool { return kind == "resource" && name == "a:b" }
	for text, want := range map[string]bool{
		`"method":"notifications/resources/updated","params":{"uri":"a:b"}`:         true,
		`"method":"notifications/resources/updated","params":{"uri":"a:\u0062"}`:    true,
		`"method":"notifications\/resources\/updated","params":{"uri":"a:c"}`:       false,
		`"method":"notifications/resources/updated","params":{"uri":["a:b"]}`:       false,
		`"method":"notifications/resources/updated","params":{}`:                    false,
		`"method":"notifications/resources/updated"`:                                false,
		`"method":"notifications/resources/list_changed","params":{"uri":"a:c"}`:    true,
		`"method":"notifications/message","params":{"data":"a:c"}`:                  true,
		`"id":1,"result":{"method":"notifications/resources/updated","uri":"a:c"}`:  true,
		`"id":1,"method":"sampling/createMessage","params":{"messages":["a:c"]}`:    true,
		`"id":1,"error":{"code":1,"message":"notifications/resources/updated a:c"}`: true,
	} {
		m := parsed(t, `{"jsonrpc":"2.0",`+text+`}`)
		if got := MayHear(visible, m); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if !MayHear(nil, m) {
			t.Errorf("%s: withheld though all is shown", text)
		}
	}
}
