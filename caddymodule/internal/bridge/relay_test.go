package bridge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// parked is a call of the id that waits for its retry.
func (g *gateway) parked(id, args string) (r *relay, state string) {
	g.t.Helper()
	body, header := capable(id, "hang", args, "")
	state = g.asks("elicitation/create", body, header...)
	p := g.process()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current, state
}

// takenUp is what comes of a retry whose call the server has said something of before that has
// been delivered only now.
func (g *gateway) takenUp(r *relay, retry string, read backend.Event) (events []event, over bool) {
	g.t.Helper()
	if g.bridge.unpark(r.id) != r {
		g.t.Fatal("the call is not parked")
	}
	s := r.takeUp(&admission.Call{Message: parsed(g.t, retry)})
	w := s.attach(1)
	r.Deliver(read)
	defer r.close()
	return s.take(w)
}

// A server need not wait for the input: it may answer the call just when the retry takes it up.
// The answer is then that of the retry, though it was read before.
func TestAnAnswerThatMeetsTheRetryIsThatOfTheRetry(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	r, state := g.parked(`"first"`, args)
	answer := parsed(t, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	read := backend.Event{Frame: r.call.Answer(answer), Message: answer, Last: true}
	body, _ := capable(`"second"`, "hang", args, retry(state, `{}`))
	events, over := g.takenUp(r, body, read)
	if len(events) != 1 || !over {
		t.Fatalf("%d messages come, the last of them %v", len(events), over)
	}
	if frame := string(events[0].frame); !strings.Contains(frame, `"id":"second"`) {
		t.Errorf("the retry is answered with %s", frame)
	}
}

// So is what the server reports before the answer, if the retry asks for that.
func TestProgressThatMeetsTheRetryIsThatOfTheRetry(t *testing.T) {
	for name, tc := range map[string]struct{ meta, want string }{
		"a token of its own": {`"progressToken":"other"`, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"other","progress":7}}`},
		"no token":           {`"x":0`, ``},
		"null":               {`"progressToken":null`, ``},
	} {
		g := open(t, nil, legacyChild)
		args := saying(questionLine)
		r, state := g.parked(`1`, args)
		report := parsed(t, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":7}}`)
		read := backend.Event{Frame: r.call.Progress(report), Message: report}
		body, _ := capable(`2`, "hang", args, retry(state, `{}`))
		events, _ := g.takenUp(r, strings.Replace(body, `"progressToken":"tok"`, tc.meta, 1), read)
		got := ""
		for _, e := range events {
			got += string(e.frame)
		}
		if got != tc.want {
			t.Errorf("%s: the retry is told %q, want %q", name, got, tc.want)
		}
	}
}

// Who does not bring the input withdraws the question, though the server reads nothing meanwhile
// and much waits for it.
func TestAQuestionIsWithdrawnFromAServerThatDoesNotKeepUp(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	wake := filepath.Join(t.TempDir(), "wake")
	body, header := capable(`1`, "nap", fmt.Sprintf(`"mark":%q,%s`, wake, saying(questionLine)), "")
	g.asks("elicitation/create", body, header...)
	p := g.process()
	fill(t, p.conn)
	p.mu.Lock()
	r := p.current
	p.mu.Unlock()
	r.expire(r.id)
	if err := os.WriteFile(wake, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.log.read(t, `"id":"q1"`, `"result":{"action":"cancel"}`)
}

// What cannot be said to the server is no input. The server may wait for that for ever.
func TestInputThatNobodyCouldReadIsAskedForAgain(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = capable(`2`, "hold", args, retry(state, `{"action":"accept","_Meta":{}}`))
	state = g.asks("elicitation/create", body, header...)
	body, header = capable(`3`, "hold", args, retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"heard":{"action":"accept"}`)
}

// A server may say something as soon as it hears of a call, or of what a retry brings.
func TestWhatIsSaidAtOnceIsOfTheCall(t *testing.T) {
	const note = `{"jsonrpc":"2.0","method":"notifications/note","params":{"n":1}}`
	g := open(t, nil, legacyChild)
	for range 300 {
		body, header := capable(`1`, "say", saying(note, answered), "")
		g.post(body, header...).says(note)
		if t.Failed() {
			break
		}
	}
	g = open(t, nil, legacyChild)
	args := saying(questionLine)
	r, state := g.parked(`1`, args)
	if g.bridge.unpark(r.id) != r {
		t.Fatal("the call is not parked")
	}
	body, _ := capable(`2`, "hang", args, retry(state, `{}`))
	s := r.takeUp(&admission.Call{Message: parsed(t, body)})
	defer r.close()
	r.p.fromServer(parsed(t, note), []byte(note))
	if events, _ := s.take(s.attach(1)); len(events) != 1 || string(events[0].frame) != note {
		t.Errorf("the retry is told of %d messages", len(events))
	}
}

// Closing the stream cancels the call (MCP 2026-07-28, Streamable HTTP, Cancellation), also just as
// its server asks something: a client that has gone never gets the state to come back with.
func TestAQuestionThatMeetsTheClientsLeaveCancelsTheCall(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	args := saying(questionLine)
	r, state := g.parked(`1`, args)
	if g.bridge.unpark(r.id) != r {
		t.Fatal("the call is not parked")
	}
	body, _ := capable(`2`, "hang", args, fmt.Sprintf(`"requestState":%q`, state))
	call := &admission.Call{Message: parsed(t, body)}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	x := g.bridge.newExchange(w, call)
	x.stream = r.takeUp(call) // without the input, so that it is asked again
	g.bridge.carry(httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil), g.settings, x, r)
	if !strings.Contains(w.Body.String(), "input_required") {
		t.Fatalf("the call is answered %s", w.Body)
	}
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	if n := len(g.bridge.parked); n != 0 || r.p.taken {
		t.Errorf("%d calls are parked, its process is taken: %v", n, r.p.taken)
	}
}
