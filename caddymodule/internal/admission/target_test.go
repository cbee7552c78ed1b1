package admission

import (
	"fmt"
	"testing"
)

func TestWhatARequestIsAbout(t *testing.T) {
	g := gate(t, Settings{})
	for params, want := range map[string]string{
		`"tools/call","params":{"name":"a\u0062","arguments":{"uri":"x"}}`:                                                                  `tool "ab" []`,
		`"prompts/get","params":{"name":"p","uri":"x"}`:                                                                                     `prompt "p" []`,
		`"resources/read","params":{"uri":"file:\/\/\/a%20b","name":"x"}`:                                                                   `resource "file:///a%20b" []`,
		`"resources/subscribe","params":{"uri":"a:b"}`:                                                                                      `resource "a:b" []`,
		`"resources/unsubscribe","params":{"uri":"a:b"}`:                                                                                    `resource "a:b" []`,
		`"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p","uri":"x","title":"P"},"argument":{"name":"a","value":"v"}}`: `prompt "p" []`,
		`"completion/complete","params":{"ref":{"uri":"a:{b}","type":"ref/resource","name":"x"}}`:                                           `resource "a:{b}" []`,
		`"completion/complete","params":{"ref":{"type":"ref/vendor","name":"p"}}`:                                                           ` "" []`,
		`"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["b:1","a:1","b:1"],"toolsListChanged":true}}`:           `resource "b:1" ["a:1" "b:1"]`,
		`"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[],"vendor":1}}`:                                         ` "" []`,
		`"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":null}}`:                                                  ` "" []`,
		`"subscriptions/listen","params":{"notifications":[]}`:                                                                              ` "" []`,
		`"subscriptions/listen","params":{}`:                                                                                                ` "" []`,
		`"resources/subscribe","params":{}`:                                                                                                 ` "" []`,
		`"resources/unsubscribe"`:                                                                                                           ` "" []`,
		`"completion/complete","params":{"argument":{}}`:                                                                                    ` "" []`,
		`"tools/list","params":{"name":"x"}`:                                                                                                ` "" []`,
		`"vendor/read","params":{"uri":"x"}`:                                                                                                ` "" []`,
	} {
		call, refusal, got := status(g, post(`{"jsonrpc":"2.0","id":1,"method":`+params+`}`))
		if got != 0 {
			t.Errorf("%s: %d %v", params, got, refusal)
			continue
		}
		if about := fmt.Sprintf("%s %q %q", call.About.Kind, call.About.Name, call.About.More); about != want {
			t.Errorf("%s: %s, want %s", params, about, want)
		}
	}
}

// What names its target in a way that the server may read otherwise is refused.
func TestUnclearTargetsAreRefused(t *testing.T) {
	g := gate(t, Settings{})
	for _, params := range []string{
		`"resources/subscribe","params":{"uri":["a:b"]}`,
		`"resources/subscribe","params":{"uri":{}}`,
		`"resources/unsubscribe","params":{"uri":null}`,
		`"completion/complete","params":{"ref":null}`,
		`"completion/complete","params":{"ref":"ref/prompt"}`,
		`"completion/complete","params":{"ref":[{"type":"ref/prompt","name":"p"}]}`,
		`"completion/complete","params":{"ref":{"name":"p"}}`,
		`"completion/complete","params":{"ref":{"type":"ref/prompt"}}`,
		`"completion/complete","params":{"ref":{"type":"ref/prompt","name":["p"]}}`,
		`"completion/complete","params":{"ref":{"type":"ref/resource","name":"p"}}`,
		`"completion/complete","params":{"ref":{"type":"Ref/Prompt","name":"p"}}`,
		`"completion/complete","params":{"ref":{"type":"ref/re` + "ſ" + `ource","uri":"p"}}`,
		`"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p","Name":"q"}}`,
		`"completion/complete","params":{"ref":{"type":"ref/prompt","n\u0061me":"q"}}`,
		`"completion/complete","params":{"ref":{"type":"ref/vendor","name":"q","TYPE":"ref/prompt"}}`,
		`"subscriptions/listen","params":{"notifications":{"resourcesubscriptions":["a:b"]}}`,
		`"subscriptions/listen","params":{"notifications":{"resource\u0053ubscriptions":["a:b"]}}`,
		`"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":"a:b"}}`,
		`"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["a:b",{"uri":"c:d"}]}}`,
	} {
		if _, refusal, got := status(g, post(`{"jsonrpc":"2.0","id":1,"method":`+params+`}`)); got != 400 || refusal.Code != -32602 {
			t.Errorf("%s: %d %v", params, got, refusal)
		}
	}
}
