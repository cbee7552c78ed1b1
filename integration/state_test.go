package integration_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// asking is a call of a tool in which a legacy server asks its client something, as a
// modern client makes it, with further members of params.
func (p *peer) asking(method string, further object) string {
	params := object{
		"name": "ask", "arguments": object{"method": method, "params": object{"message": "m", "requestedSchema": object{"type": "object", "properties": object{}}}},
		"_meta": object{"io.modelcontextprotocol/clientCapabilities": object{"elicitation": object{}, "sampling": object{}}},
	}
	for name, value := range further {
		params[name] = value
	}
	return p.message("call", "tools/call", params)
}

// A requestState is good once, for the user it was given to and the call it was given in.
func TestRequestStateIsOfOneUserAndOneCall(t *testing.T) {
	t.Parallel()
	const question = "elicitation/create"
	folder := t.TempDir()
	g := start(t, standin("-era", "legacy", "-record", folder))
	alice, bob := g.modern(t, g.token(t, "alice")), g.modern(t, g.token(t, "bob"))
	state, name := alice.post(alice.asking(question, nil)).asks(t)
	ofBob, _ := bob.post(bob.asking(question, nil)).asks(t)
	retry := func(state string) object { return answering(state, name, object{}) }
	refuse := func(what string, p *peer, body string) {
		t.Helper()
		holding(t, "MCP 2026-07-28, Multi Round-Trip Requests", what, func(t *testing.T) {
			if a := p.post(body); a.reply(t).Error == nil || a.reply(t).Error.Code != -32602 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	refuse("another user's", bob, bob.asking(question, retry(state)))
	refuse("of another call of that user", alice, alice.asking(question, retry(ofBob)))
	refuse("with other arguments", alice, alice.asking("sampling/createMessage", retry(state)))
	refuse("made up", alice, alice.asking(question, retry("x")))
	refuse("changed", alice, alice.asking(question, retry(state[:len(state)-4]+"AAAA")))
	refuse("empty", alice, alice.asking(question, retry("")))
	for _, line := range recorded(t, folder) {
		if decode(t, string(line)).Result != nil {
			t.Errorf("a child was answered: %s", line)
		}
	}
	if a := alice.post(alice.asking(question, retry(state))); a.status != http.StatusOK || a.reply(t).Error != nil {
		t.Errorf("its own: %d %s", a.status, a.body)
	}
	refuse("used before", alice, alice.asking(question, retry(state)))
}

// asks returns the state and the name of the one question of an answer that asks for input.
func (a answer) asks(t *testing.T) (state, name string) {
	t.Helper()
	var result struct {
		ResultType, RequestState string
		InputRequests            map[string]json.RawMessage
	}
	if err := json.Unmarshal(a.reply(t).Result, &result); err != nil || result.ResultType != "input_required" || len(result.InputRequests) != 1 {
		t.Fatalf("answer %d %s", a.status, a.body)
	}
	for name = range result.InputRequests {
	}
	return result.RequestState, name
}

// answering are the members by which a retry answers the question of that name.
func answering(state, name string, content object) object {
	return object{"requestState": state, "inputResponses": object{name: object{"action": "accept", "content": content}}}
}

// What waits for a client's input goes on after a reload, and is still good once.
func TestRequestStateOutlivesAReload(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			s := reloadable("-era", era)
			g := start(t, s)
			p := g.modern(t, g.token(t, "alice"))
			survey := func(further object) string {
				params := object{
					"name": "survey", "arguments": object{"text": "asked", "method": "elicitation/create", "count": 1},
					"_meta": object{"io.modelcontextprotocol/clientCapabilities": object{"elicitation": object{}}},
				}
				maps.Copy(params, further)
				return p.message("call", "tools/call", params)
			}
			state, name := p.post(survey(nil)).asks(t)
			s.mcp = []string{"limits {", "	concurrent 7", "}"}
			g.renew(t, s)
			// The server holds that the answer repeats the question.
			further := answering(state, name, object{"said": "asked #0.0"})
			if text, err := resultText(p.post(survey(further))); err != nil || text != "asked" {
				t.Errorf("the retry: %q %v", text, err)
			}
			if a := p.post(survey(further)); a.code() != -32602 {
				t.Errorf("used before: %d %s", a.status, a.body)
			}
		})
	}
}

// A server of before may ask for roots without params, which go-sdk's client needs.
func TestNewestClientIsAskedForItsRoots(t *testing.T) {
	t.Parallel()
	g := start(t, standin("-era", "legacy"))
	session := g.dial(t, g.token(t, "alice"), "", nil)
	if got := use(t, session, "ask", object{"method": "roots/list"}); !strings.Contains(got, `"roots":[]`) {
		t.Errorf("the server is told %s", got)
	}
}
