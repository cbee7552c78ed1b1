package bridge

import (
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// relay stands between a call to a legacy server and the requests of the modern client
// that it is made of. When the server asks something in mid-call, the request that is
// open is answered with input_required, and the call is parked: it keeps its process, and
// waits for the retry that brings the input.
type relay struct {
	bridge *Bridge
	p      *pooled
	bound  string // what its states are bound to
	call   *backend.Call

	mu      sync.Mutex
	request *admission.Call    // the open one, or the last
	target  *stream            // of the open request; nil while parked
	asking  *message.Message   // what the client was asked
	queue   []*message.Message // what it will be asked next
	held    *backend.Event     // the answer, if it came while parked
	over    bool
	resumed bool   // by a retry
	id      string // in b.parked
	expiry  *time.Timer
}

// Deliver takes what the server says about the call.
func (r *relay) Deliver(e backend.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.target != nil:
		r.over = r.over || e.Last
		if r.resumed && e.Message != nil && !r.readdress(&e) {
			return
		}
		r.target.Deliver(r.p.asksInput(r.request, e))
	case e.Last:
		r.over, r.held = true, &e
	}
	// What is reported while nobody listens is lost, as on any closed stream.
}

// readdress makes what the server says that of the request that is open: it may have been read
// before a retry has taken the call up. It reports whether that request is to be told of it.
func (r *relay) readdress(e *backend.Event) bool {
	if e.Last {
		e.Frame = r.call.Answer(e.Message)
	} else {
		e.Frame = r.call.Progress(e.Message)
	}
	return e.Frame != nil
}

// ask puts a request of the server to the client. It reports whether the client can be
// asked.
func (r *relay) ask(m *message.Message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.call == nil {
		return false
	}
	if r.asking != nil {
		return r.enqueue(m)
	}
	r.asking = m
	r.park()
	return true
}

// enqueue keeps a question for a later round, unless too much waits already: a server need not
// wait for answers before it asks more. r.mu is held.
func (r *relay) enqueue(m *message.Message) bool {
	bytes := len(m.Raw)
	for _, other := range r.queue {
		bytes += len(other.Raw)
	}
	if len(r.queue) >= maxQuestions || bytes > maxBacklog {
		return false
	}
	r.queue = append(r.queue, m)
	return true
}

// park ends the open request with what is asked. r.mu is held.
func (r *relay) park() {
	id := newSessionID()
	r.id = id
	state, err := r.bridge.sealer.Seal(r.bound, sealedState{ID: id})
	if err != nil {
		panic("bridge: sealing a string: " + err.Error())
	}
	target := r.target
	r.target = nil
	r.p.leave(target) // now: the retry may come before its handler has returned
	r.bridge.mu.Lock()
	r.bridge.parked[id] = r
	r.bridge.mu.Unlock()
	r.expiry = time.AfterFunc(r.bridge.settings.Load().ParkTimeout, func() { r.expire(id) })
	target.push(event{frame: translate.InputRequired(target.request, r.asking, state), last: true, parks: true})
}

// unpark takes the relay out of the table. It reports whether it was there: a state is
// good once.
func (b *Bridge) unpark(id string) *relay {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.parked[id]
	delete(b.parked, id)
	return r
}

// checkRetry checks the headers of a retry before its state is used up, if it is of a call that
// is parked. That of another is checked on its way to the server.
func (b *Bridge) checkRetry(r *http.Request, call *admission.Call, id string) *answer.Refusal {
	b.mu.Lock()
	parked := b.parked[id]
	b.mu.Unlock()
	if parked == nil {
		return nil
	}
	return parked.p.checkHeaders(r, call)
}

// expire gives up on a client that does not come back with the state of that id. If it just
// has, the call may be parked again by now, under another.
func (r *relay) expire(id string) {
	if r.bridge.unpark(id) != r {
		return
	}
	r.abandon("the client did not bring the input")
}

// expireAll gives up on all clients, whose time goes on no longer.
func (b *Bridge) expireAll() {
	b.mu.Lock()
	parked := maps.Clone(b.parked)
	b.mu.Unlock()
	for id, r := range parked {
		r.mu.Lock()
		r.expiry.Stop()
		r.mu.Unlock()
		r.expire(id)
	}
}

// abandon withdraws what was asked, cancels the call and frees its process.
func (r *relay) abandon(reason string) {
	r.mu.Lock()
	asked := r.queue
	if r.asking != nil {
		asked = append([]*message.Message{r.asking}, asked...)
	}
	r.asking, r.queue, r.over = nil, nil, true
	r.mu.Unlock()
	r.call.Cancel(nil, reason) // first, since the server may answer the call as soon as it is answered
	for _, m := range asked {
		_ = r.p.conn.Say(translate.Withdrawn(m)) // if it can't be told, it is ending
	}
	r.p.freeFrom(r)
	r.p.release()
}

// close gives the process back once the last request of the call has ended. A question
// that came while that request was ending has nobody who could answer it.
func (r *relay) close() {
	r.mu.Lock()
	r.over = true
	parked, id := r.target == nil, r.id
	if parked {
		r.expiry.Stop()
	}
	r.mu.Unlock()
	switch {
	case !parked:
		r.p.freeFrom(r)
		r.p.release()
	case r.bridge.unpark(id) == r:
		r.abandon("the client has gone")
	}
	// Otherwise it has just expired, and the process is given back there.
}

// takeUp makes the retry the open request of the call, and enters its stream at the process.
func (r *relay) takeUp(call *admission.Call) *stream {
	retry := call.Message
	s := &stream{request: retry.ID}
	r.p.enter(s, retry)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expiry.Stop()
	r.call.Rebind(retry)
	r.request, r.target, r.resumed = call, s, true
	if held := r.held; held != nil {
		r.held = nil
		if held.Message != nil {
			r.readdress(held)
		}
		s.Deliver(r.p.asksInput(call, *held))
		return s
	}
	if !r.respond(retry) {
		r.park() // it is asked again
		return s
	}
	r.asking = nil
	if len(r.queue) > 0 {
		r.asking, r.queue = r.queue[0], r.queue[1:]
		r.park()
	}
	return s
}

// respond hands the input on that a retry brings. It reports false if there is none that could
// be said, or no room for it at the moment.
func (r *relay) respond(retry *message.Message) bool {
	input := translate.InputResponse(retry)
	if input == nil {
		return false
	}
	m, err := message.Parse(translate.Response(r.asking.ID, input), 0)
	return err == nil && !errors.Is(r.p.conn.Respond(m, m.ID), process.ErrQueueFull)
}
