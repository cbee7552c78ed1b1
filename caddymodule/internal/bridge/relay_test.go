package bridge

import (
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// A server need not wait for the input: it may answer the call just when the retry takes it up.
// The answer is then that of the retry, though it was read before.
func TestAnAnswerThatMeetsTheRetryIsThatOfTheRetry(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	body, header := capable(`"first"`, "hang", args, "")
	state := g.asks("elicitation/create", body, header...)
	p := g.process()
	p.mu.Lock()
	r := p.current
	p.mu.Unlock()
	answer := parsed(t, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	read := backend.Event{Frame: r.call.Answer(answer), Message: answer, Last: true}

	body, _ = capable(`"second"`, "hang", args, retry(state, `{}`))
	if g.bridge.unpark(r.id) != r {
		t.Fatal("the call is not parked")
	}
	s := r.takeUp(&admission.Call{Message: parsed(t, body)})
	w := s.attach(1)
	r.Deliver(read)
	events, over := s.take(w)
	if len(events) != 1 || !over {
		t.Fatalf("%d messages come, the last of them %v", len(events), over)
	}
	if frame := string(events[0].frame); !strings.Contains(frame, `"id":"second"`) {
		t.Errorf("the retry is answered with %s", frame)
	}
	r.close()
}
