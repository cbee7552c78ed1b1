package bridge

import (
	"errors"
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

func (b *Bridge) serveLegacy(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) {
	x := b.newExchange(w, call)
	var refusal *answer.Refusal
	switch m := call.Message; {
	case r.Method == http.MethodGet:
		refusal = b.follow(w, r, call, settings)
	case r.Method == http.MethodDelete:
		refusal = b.delete(w, call, settings)
	case m.Kind == message.Request:
		refusal = b.legacyCall(r, call, settings, x)
	default:
		refusal = b.legacyMessage(w, r, call, settings)
	}
	if refusal != nil {
		x.refuse(settings, refusal)
	}
}

// delete ends a session at the client's wish.
func (b *Bridge) delete(w http.ResponseWriter, call *admission.Call, settings *Settings) *answer.Refusal {
	s, refusal := b.find(call.SessionID, call.Principal, settings)
	if refusal != nil {
		return refusal
	}
	s.end("the client ended the session")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// legacyMessage carries a notification, or the response to a request of the server.
func (b *Bridge) legacyMessage(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	s, refusal := b.find(call.SessionID, call.Principal, settings)
	if refusal != nil {
		return refusal
	}
	var err error
	switch m := call.Message; {
	case m.Method == message.MethodCancelled:
		s.cancel(m)
	case m.Kind == message.Response:
		open, ok := s.answered(m)
		if !ok {
			settings.Logger.Debug("a client answered a request that is not open in its session")
			break
		}
		if err = open.from.Respond(m, open.id); errors.Is(err, process.ErrQueueFull) {
			s.reopen(open) // the client is told to say it again
		}
	case s.share != nil:
		refusal = s.sharedNotification(r, call, settings)
	default:
		err = s.conn.Send(m, settings.stamp(call.Principal))
	}
	if err != nil {
		return s.refusalOf(err)
	}
	if refusal != nil {
		return refusal
	}
	s.touch()
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (b *Bridge) legacyCall(r *http.Request, call *admission.Call, settings *Settings, x *exchange) *answer.Refusal {
	release, refusal := b.admit(call, settings)
	if refusal != nil {
		return refusal
	}
	x.cleanUp = append(x.cleanUp, release)
	defer x.returns()
	if call.Message.Method == message.MethodInitialize && call.SessionID == "" {
		if b.per != PerSession || b.servesModernOnly() {
			return b.initializeShared(r, call, settings, x)
		}
		return b.initialize(r, call, settings, x)
	}
	s, refusal := b.find(call.SessionID, call.Principal, settings)
	if refusal != nil {
		return refusal
	}
	if call.Message.Method == message.MethodInitialize {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "The session is initialized already")
	}
	s.readsAs(call)
	x.outlive, x.prime = true, call.Version >= protocol.Version20251125
	if s.share != nil {
		return s.sharedCall(r, call, settings, x)
	}
	return s.exchange(r, call, settings, x, settings.CallTimeout, s.sender(s.conn, call, settings))
}

// sender sends a call to a child.
func (s *session) sender(conn *backend.Conn, call *admission.Call, settings *Settings) sender {
	return func(in *inCall) (*backend.Call, error) {
		return s.send(conn, call, settings.stamp(call.Principal), in)
	}
}

// sender begins what will answer a call on its stream; the call is nil if the gateway
// has answered.
type sender func(in *inCall) (*backend.Call, error)

// admit counts a call against its user's limit.
func (b *Bridge) admit(call *admission.Call, settings *Settings) (release func(), _ *answer.Refusal) {
	key := user(call.Principal)
	if !b.concurrent.Acquire(key, settings.MaxConcurrent) {
		return nil, answer.New(http.StatusTooManyRequests, protocol.CodeInternal, "Too many calls are in flight: at most %d at once", settings.MaxConcurrent).RetryAfter(time.Second)
	}
	return func() { b.concurrent.Release(key) }, nil
}

// exchange carries one call of the session. With a refusal nothing was written.
func (s *session) exchange(r *http.Request, call *admission.Call, settings *Settings, x *exchange, timeout time.Duration, send sender) *answer.Refusal {
	m := call.Message
	in, refusal := s.begin(call)
	if refusal != nil {
		return refusal
	}
	x.writer = in.stream.attach(1)
	sent, err := send(in)
	if err != nil {
		in.stream.detach(x.writer)
		s.finish(m, in, false)
		return s.refusalOf(err)
	}
	x.stream = in.stream
	deadline := time.Now().Add(timeout)
	last, err := x.run(r, deadline)
	if x.left {
		go func() {
			defer s.bridge.running.Done()
			defer x.end()
			last, err := x.linger(deadline)
			s.conclude(settings, x, in, sent, last, err)
		}()
		return nil
	}
	s.conclude(settings, x, in, sent, last, err)
	return nil
}

// conclude does what follows the end of a call.
func (s *session) conclude(settings *Settings, x *exchange, in *inCall, sent *backend.Call, last event, err error) {
	m := x.call.Message
	if err != nil && sent != nil {
		s.cancelCall(in, err.Error())
		s.bridge.doubt(sent.Conn(), settings)
	}
	s.finish(m, in, x.began || x.gone)
	x.record(settings.Audit, last, err)
	if m.Method == message.MethodInitialize {
		s.initialized(last, err)
	}
}

// initialize starts a session and its child for a client that sends initialize.
func (b *Bridge) initialize(r *http.Request, call *admission.Call, settings *Settings, x *exchange) *answer.Refusal {
	s, spare, refusal := b.newSession(call, settings)
	if refusal != nil {
		return refusal
	}
	x.sessionID = s.id
	x.statusOf = func(e event) int {
		if e.err != nil {
			return http.StatusBadGateway
		}
		return http.StatusOK
	}
	refusal = s.exchange(r, call, settings, x, settings.StartTimeout, b.greeting(s, spare, call, settings))
	if refusal != nil {
		s.end("the server takes no messages")
		return answer.New(http.StatusBadGateway, protocol.CodeInternal, "The server behind the gateway failed to start")
	}
	return nil
}

// newSession makes a session with a child of its own, which may be a spare.
func (b *Bridge) newSession(call *admission.Call, settings *Settings) (*session, *spare, *answer.Refusal) {
	s := b.makeSession(call)
	s.beginning = true // to start a process may take longer than a session may be idle
	spare, refusal := b.launch(call, settings, protocol.Legacy.String(), helloOf(call.Message), func(launch Launch, open opener) *answer.Refusal {
		s.occupy(launch, settings, open)
		b.mu.Lock()
		defer b.mu.Unlock()
		if refusal := b.bars(s.owner); refusal != nil {
			return refusal
		}
		b.sessions[s.id] = s
		return nil
	})
	if refusal != nil {
		b.discard(s)
		return nil, nil, refusal
	}
	return s, spare, nil
}

// occupy takes the child. One that was started beforehand may speak, or end, at once: so what
// these find is held until it is there.
func (s *session) occupy(launch Launch, settings *Settings, open opener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.digest, s.gone = launch.Digest, make(chan struct{})
	s.idle = time.AfterFunc(settings.IdleTimeout, s.reap)
	s.conn = open(backend.Config{Era: protocol.Legacy, Unclaimed: s.fromServer, Hangs: s.hangs, Closed: s.closed})
}

func (b *Bridge) makeSession(call *admission.Call) *session {
	s := &session{
		bridge: b, id: newSessionID(), owner: ownerOf(call.Principal), over: make(chan struct{}),
		calls: map[string]*inCall{}, asked: map[string]asking{}, began: time.Now(), lastUsed: time.Now(),
	}
	s.standalone = &stream{id: standaloneID, lost: s.lost}
	return s
}

// discard forgets a session whose child was not started.
func (b *Bridge) discard(s *session) {
	s.mu.Lock()
	s.ended = true
	if s.idle != nil {
		s.idle.Stop()
	}
	s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, s.id)
}

// initialized ends the session again if the server did not take it.
func (s *session) initialized(last event, err error) {
	try := s.kind()
	switch {
	case s.share != nil: // its process was seen to start before
	case err == nil:
		s.bridge.breaker.succeeded(try)
		if last.msg != nil && !failed(last) {
			s.bridge.tookInitialize()
		}
	case errors.Is(err, backend.ErrClosed) || errors.Is(err, errTimeout):
		s.bridge.breaker.failed(try)
	}
	if err == nil && !failed(last) {
		return
	}
	s.end("initialize failed")
	s.mu.Lock()
	other := s.successor
	s.mu.Unlock()
	if other != nil {
		other.end("initialize failed")
	}
}

// cancelCall gives up on a call, in whichever round it is.
func (s *session) cancelCall(in *inCall, reason string) {
	s.mu.Lock()
	call := in.call
	s.mu.Unlock()
	call.Cancel(nil, reason)
}

func (s *session) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastUsed = time.Now()
}

// refusalOf is the answer when a message of the session could not be handed to the child.
func (s *session) refusalOf(err error) *answer.Refusal {
	if s.share != nil {
		return unavailable(err)
	}
	return refusalOf(err)
}

// refusalOf is the answer when a message could not be handed to the child.
func refusalOf(err error) *answer.Refusal {
	if errors.Is(err, process.ErrQueueFull) {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server does not keep up with its input").RetryAfter(time.Second)
	}
	return answer.UnknownSession()
}
