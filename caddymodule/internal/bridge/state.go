package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// sealedState is what a requestState says to the gateway, which made it: of which parked
// call it is, or what the server wrote in its place. It opens only for the user and the
// call that it was made for (MCP 2026-07-28, Multi Round-Trip Requests).
type sealedState struct {
	ID     string          `json:"id"`               // of the parked call, or in Bridge.states
	Server json.RawMessage `json:"server,omitempty"` // nil if the call is to be made anew
}

// boundTo names the user and the call, which is that of all its retries.
func boundTo(call *admission.Call) (string, error) {
	digest, err := translate.Digest(call.Message)
	of := ownerOf(call.Principal)
	return fmt.Sprintf("requestState %q %q %q %x", of.issuer, of.subject, of.claim, digest), err
}

// openState reads the requestState of a retry. It returns nothing where there is none.
func (b *Bridge) openState(call *admission.Call) (*sealedState, *answer.Refusal) {
	raw := stateIn(&call.Message.Params)
	if raw == nil || !translate.MayAsk(call.Message.Method) {
		return nil, nil
	}
	var state sealedState
	bound, err := boundTo(call)
	if err == nil {
		token, _ := message.Unquote(raw)
		err = b.sealer.Open(bound, token, &state)
	}
	if err != nil {
		refusal := callAgain()
		refusal.Reason = "requestState: " + err.Error()
		return nil, refusal
	}
	return &state, nil
}

// stateIn is the raw requestState in params or in a result; nil if there is none.
func stateIn(o *message.Object) []byte {
	if raw := o.Get("requestState"); string(raw) != "null" {
		return raw
	}
	return nil
}

func callAgain() *answer.Refusal {
	return answer.New(http.StatusOK, protocol.CodeInvalidParams, "The requestState is unknown, used or expired: make the call again")
}

// retry carries a call that is no parked one, with the state that its server made or, if
// that made none, as it was first. A state is good once, but still good if the call did not
// reach the server.
func (b *Bridge) retry(r *http.Request, call *admission.Call, settings *Settings, state *sealedState, x *exchange) *answer.Refusal {
	left, ok := b.states.take(state.ID, time.Now())
	if !ok {
		return callAgain()
	}
	edit := call.Message.Edit()
	switch {
	case state.Server != nil:
		edit.Param("requestState", state.Server)
	case translate.Declines(call.Message):
		return declined()
	default:
		edit.DropParams("requestState", "inputResponses")
	}
	m, err := message.Parse(edit.Bytes(), 0)
	if err != nil {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, "%v", err)
	}
	retried := *call
	retried.Message = m
	refusal := b.forward(r, &retried, settings, x)
	if refusal != nil {
		b.states.putBack(state.ID, left)
	}
	return refusal
}

// interruptible is the stream of a call that its server may answer with a need for input.
type interruptible struct {
	*stream
	p    *pooled
	call *admission.Call
}

func (i interruptible) Deliver(e backend.Event) { i.stream.Deliver(i.p.asksInput(i.call, e)) }

// asksInput is what the client gets of an event: if it is an answer that asks for input,
// with a state of the gateway.
func (p *pooled) asksInput(call *admission.Call, e backend.Event) backend.Event {
	if !e.Last || e.Message == nil {
		return e
	}
	adjust := p.bridge.sealAnswer
	if p.server != nil {
		adjust = p.bridge.needURLs
	}
	adjusted, err := adjust(call, e)
	if err != nil {
		return backend.Event{Err: err, Last: true}
	}
	return adjusted
}

// sealAnswer puts a state of the gateway in the place of the server's. What holds none
// stays as it is.
func (b *Bridge) sealAnswer(call *admission.Call, e backend.Event) (backend.Event, error) {
	state := stateIn(&e.Message.Result)
	if state == nil || !translate.AsksForInput(e.Message) {
		return e, nil
	}
	m, err := message.Parse(e.Frame, 0)
	if err != nil {
		return e, err
	}
	token, err := b.issueState(call, state)
	if err != nil {
		return e, err
	}
	e.Frame = m.Edit().ResultMember("requestState", message.Quote(token)).Bytes()
	return e, nil
}

// issueState makes a state for the retry of a call, with what its server wrote, if anything.
func (b *Bridge) issueState(call *admission.Call, server []byte) (string, error) {
	bound, err := boundTo(call)
	if err != nil {
		return "", err
	}
	id, now := newSessionID(), time.Now()
	token, err := b.sealer.Seal(bound, sealedState{id, server})
	if err != nil {
		return "", err
	}
	of := issued{ownerOf(call.Principal), now.Add(b.settings.Load().ParkTimeout)}
	if !b.states.add(id, of, now) {
		return "", errTooManyStates
	}
	return token, nil
}

// maxStates is how many states of one user may be out.
const maxStates = 1024

var errTooManyStates = errors.New("too many calls of this user wait for input")

// states are those that were given out for servers and did not come back, so that each is
// good once. The zero value is ready.
type states struct {
	mu    sync.Mutex
	out   map[string]issued // by id
	users map[owner]int
	swept time.Time
}

// issued says whose a state is, and until when it is good.
type issued struct {
	owner   owner
	expires time.Time
}

// add enters a state, unless its owner has too many out.
func (s *states) add(id string, of issued, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	const sweep = time.Minute // so often are those of other users looked through
	if s.users[of.owner] >= maxStates || now.Sub(s.swept) >= sweep {
		s.sweep(now)
	}
	if s.users[of.owner] >= maxStates {
		return false
	}
	s.enter(id, of)
	return true
}

func (s *states) enter(id string, of issued) {
	if s.out == nil {
		s.out, s.users = map[string]issued{}, map[owner]int{}
	}
	s.out[id] = of
	s.users[of.owner]++
}

// sweep forgets what has expired.
func (s *states) sweep(now time.Time) {
	s.swept = now
	for id, of := range s.out {
		if !now.Before(of.expires) {
			s.remove(id)
		}
	}
}

func (s *states) remove(id string) {
	of := s.out[id].owner
	delete(s.out, id)
	if s.users[of]--; s.users[of] == 0 {
		delete(s.users, of)
	}
}

// take removes a state, and reports whether it was out and still good.
func (s *states) take(id string, now time.Time) (issued, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, ok := s.out[id]
	if ok {
		s.remove(id)
	}
	return of, ok && now.Before(of.expires)
}

// putBack undoes take.
func (s *states) putBack(id string, of issued) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(id, of)
}
