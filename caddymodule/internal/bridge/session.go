package bridge

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// maxStreams is how many GET streams a session may have open; the newest receives.
const maxStreams = 4

// maxAsked is how many requests of a server may wait for its client.
const maxAsked = 1024

// standaloneID names the stream that belongs to no call.
const standaloneID = "s"

// session is a legacy session. It owns a child, or shares one.
type session struct {
	bridge *Bridge
	id     string
	owner  owner
	digest string // of the launch
	began  time.Time
	conn   *backend.Conn // its own child; nil if it shares one
	share  *share        // what it has of the one it shares
	over   chan struct{} // closed at the end
	gone   chan struct{} // closed when its own child counts no more; nil if it shares one

	mu         sync.Mutex
	ended      bool
	beginning  bool               // its initialize is yet to be entered
	successor  *session           // in its place, since its child has refused initialize
	calls      map[string]*inCall // in flight, by message.IDKey of the client's id
	asked      map[string]asking  // of a server to the client, that are open
	standalone *stream
	reads      visibility.Func // what of the updates it subscribed to it may read; nil for all
	kept       []*stream       // streams of calls that a client may come back to, oldest first
	streams    int             // number of the next one
	questions  int             // of the gateway's own
	lastUsed   time.Time
	idle       *time.Timer
}

// inCall is a call in flight. call is nil for the moment in which it is being sent.
type inCall struct {
	stream    *stream
	call      *backend.Call
	cancelled *message.Message // came in that moment
	quest     *quest           // that makes the call anew with what its client is asked; or nil
}

// asking is a request of a server that its client has not answered.
type asking struct {
	from  asker
	id    []byte // as who asks has named it
	known []byte // as the client knows it
}

// asker is who asked: a child, or the gateway for one that does not ask by itself.
type asker interface {
	Respond(m *message.Message, id []byte) error // the client's answer, to what has that id
	Say(frame []byte) error                      // the gateway's, in its place
}

// owner is whom a session belongs to: not the token, which is renewed, but issuer
// and subject (MCP, Security Best Practices, Session Hijacking), and the claim that the
// subject is from: the same words in another claim may name another user. The zero owner
// is the anonymous one.
type owner struct{ issuer, subject, claim string }

func ownerOf(p *oauth.Principal) owner {
	if p == nil {
		return owner{}
	}
	return owner{p.Issuer, p.Subject, p.SubjectClaim}
}

// newSessionID returns 128 random bits in visible ASCII.
func newSessionID() string { return strings.ToLower(rand.Text()) }

// find returns the session for a request that names it. One of another principal is
// as unknown as one that never was.
func (b *Bridge) find(id string, p *oauth.Principal, settings *Settings) (*session, *answer.Refusal) {
	if id == "" {
		return nil, answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "The header Mcp-Session-Id is missing: begin with initialize")
	}
	b.mu.Lock()
	s := b.sessions[id]
	b.mu.Unlock()
	if s == nil || s.owner != ownerOf(p) {
		return nil, answer.UnknownSession()
	}
	launch, err := settings.launch(p)
	if err != nil || launch.Digest != s.digest {
		s.end("the server is now started in another way for this user")
		return nil, answer.UnknownSession()
	}
	return s, nil
}

// Knows says whether a session of this id is open, and belongs to the principal.
func (b *Bridge) Knows(id string, p *oauth.Principal) bool {
	b.mu.Lock()
	s := b.sessions[id]
	b.mu.Unlock()
	return s != nil && s.owner == ownerOf(p)
}

// end ends the session and its child. Calls in flight are told.
func (s *session) end(reason string) {
	s.mu.Lock()
	first := !s.ended
	s.ended = true
	s.mu.Unlock()
	if first {
		s.clear(reason)
	}
}

// clear is what follows, once, after ended was set.
func (s *session) clear(reason string) {
	s.idle.Stop()
	b := s.bridge
	b.mu.Lock()
	if b.sessions[s.id] == s {
		delete(b.sessions, s.id)
	}
	b.mu.Unlock()
	close(s.over)
	s.standalone.end()
	if s.share != nil {
		s.vacate(reason)
		return
	}
	s.conn.Close(reason)
}

// kind is that of the session's own child.
func (s *session) kind() kind { return kind{s.owner, s.digest, protocol.Legacy.String()} }

func (o owner) key() string { return o.issuer + "\n" + o.subject }

// send carries a call that was entered.
func (s *session) send(conn *backend.Conn, call *admission.Call, stamp []message.MetaValue, in *inCall) (*backend.Call, error) {
	return s.sendTo(conn, call.Message, stamp, in, shown(call, in.stream))
}

// sendTo is send where the answer does not go to the client as it is.
func (s *session) sendTo(conn *backend.Conn, m *message.Message, stamp []message.MetaValue, in *inCall, sink backend.Sink) (*backend.Call, error) {
	call, err := conn.CallFor(s.id, m, stamp, sink)
	s.mu.Lock()
	if call != nil {
		in.call = call // otherwise the one of the round before stays, which has ended
	}
	cancelled, ended := in.cancelled, s.ended
	s.mu.Unlock()
	switch {
	case err != nil:
	case ended && s.share != nil:
		s.withdraw(in, "the session has ended")
	case cancelled != nil:
		s.cancel(cancelled)
	}
	return call, err
}

// begin enters a call of the client. It is refused if one with the same id is in
// flight.
func (s *session) begin(call *admission.Call) (*inCall, *answer.Refusal) {
	m := call.Message
	key := message.IDKey(m.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, answer.UnknownSession()
	}
	if s.calls[key] != nil {
		return nil, answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "A request with the id %s is in flight in this session", m.ID)
	}
	s.beginning = false
	s.streams++
	in := &inCall{stream: &stream{id: "c" + strconv.Itoa(s.streams), request: bytes.Clone(m.ID), about: call.About, lost: s.lost}}
	s.calls[key] = in
	return in, nil
}

// finish removes a call. Its stream is kept if events of it were written with ids,
// or could not be written: the client may come back for them.
func (s *session) finish(m *message.Message, in *inCall, resumable bool) {
	in.stream.end() // it has ended by itself, or was never begun
	s.mu.Lock()
	delete(s.calls, message.IDKey(m.ID))
	s.lastUsed = time.Now()
	ended := s.ended
	var dropped []*stream
	if resumable && !ended {
		dropped = s.keep(in.stream)
	}
	s.mu.Unlock()
	if !resumable && !ended { // otherwise all that is asked in it has been answered
		in.stream.drop()
	}
	for _, older := range dropped {
		older.drop()
	}
}

// keep keeps the stream of a call that has ended, and returns those that are kept no longer.
// s.mu is held.
func (s *session) keep(ended *stream) (dropped []*stream) {
	ended.settle()
	s.kept = append(s.kept, ended)
	events, bytes := 0, 0
	for i, kept := range slices.Backward(s.kept) {
		e, n := kept.size()
		if events, bytes = events+e, bytes+n; i < len(s.kept)-1 && (events > maxEvents || bytes > maxBytes) {
			dropped, s.kept = s.kept[:i+1], slices.Clone(s.kept[i+1:])
			return dropped
		}
	}
	return nil
}

// resume finds the stream that an event id is of, and the number of the event.
func (s *session) resume(lastEventID string) (*stream, int64, bool) {
	prefix, digits, ok := strings.Cut(lastEventID, "-")
	var number int64
	if _, err := fmt.Sscanf(digits, "%d", &number); !ok || err != nil || number < 0 || fmt.Sprint(number) != digits {
		return nil, 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if prefix == standaloneID {
		return s.standalone, number, true
	}
	for _, in := range s.calls {
		if in.stream.id == prefix {
			return in.stream, number, true
		}
	}
	for _, kept := range s.kept {
		if kept.id == prefix {
			return kept, number, true
		}
	}
	return nil, 0, false
}

// fromServer routes what the session's own child says outside its answers. It runs on
// the child's reading goroutine.
func (s *session) fromServer(m *message.Message, frame []byte) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	s.deliver(conn, m, frame)
}

// deliver gives the client what a child says outside its answers.
func (s *session) deliver(from asker, m *message.Message, frame []byte) {
	s.mu.Lock()
	switch {
	case !visibility.MayHear(s.reads, m):
		s.mu.Unlock()
		return
	case m.Kind == message.Request && (s.ended || len(s.asked) >= maxAsked):
		s.mu.Unlock()
		unheard(from, m.ID)
		return
	case s.ended:
		s.mu.Unlock()
		return
	case m.Kind == message.Request:
		m, frame = s.enterQuestion(from, m, frame)
	case m.Method == message.MethodCancelled:
		frame = s.withdrawQuestion(from, m, frame)
	}
	target := s.target(m)
	s.mu.Unlock()
	target.push(event{frame: frame, msg: m})
}

// target is the one stream that a message goes to. Legacy messages do not say which
// call they belong to: with one call in flight it is that one, save for what is about none.
func (s *session) target(m *message.Message) *stream {
	listening := s.standalone.attached()
	if len(s.calls) == 0 || listening && (len(s.calls) > 1 || strings.HasSuffix(m.Method, "/list_changed") || m.Method == message.MethodUpdated) {
		return s.standalone
	}
	var newest *stream
	for _, in := range s.calls {
		if (!listening || in.stream.attached()) && in.stream.open() && (newest == nil || len(in.stream.id) > len(newest.id) || len(in.stream.id) == len(newest.id) && in.stream.id > newest.id) {
			newest = in.stream
		}
	}
	if newest == nil {
		return s.standalone
	}
	return newest
}

// lost answers a request of the server that no client will see.
func (s *session) lost(e event) {
	if e.msg == nil || e.msg.Kind != message.Request {
		return
	}
	if open, ok := s.answered(e.msg); ok {
		unheard(open.from, open.id)
	}
}

// unheard answers a request that no client will see.
func unheard(from asker, id []byte) {
	refusal := answer.New(http.StatusOK, protocol.CodeInternal, "The client does not read its messages")
	_ = from.Say(refusal.Frame(id)) // if it can't be told, it is ending
}

// answered returns the open request that the client knows by the id of the message, and
// closes it, if there is one in this session.
func (s *session) answered(m *message.Message) (open asking, ok bool) {
	key := message.IDKey(m.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	open, ok = s.asked[key]
	delete(s.asked, key)
	return open, ok
}

// cancel carries notifications/cancelled of the client for one of its own calls.
func (s *session) cancel(m *message.Message) {
	s.mu.Lock()
	in := s.calls[message.IDKey(m.Params.Get("requestId"))]
	var call *backend.Call
	if in != nil {
		call, in.cancelled = in.call, m
	}
	s.mu.Unlock()
	if call == nil {
		return // it has ended, or never was
	}
	if call.Cancel(m, "") || in.quest != nil && in.quest.stop() {
		in.stream.push(event{last: true, err: errCanceled})
	}
}

// reap ends the session once nothing has happened in it for the idle timeout. It is
// called by a timer.
func (s *session) reap() {
	timeout := s.bridge.settings.Load().IdleTimeout
	s.mu.Lock()
	left := timeout - time.Since(s.lastUsed)
	if s.beginning || len(s.calls) > 0 || s.share != nil && s.share.seats > 0 {
		left = timeout
	}
	due := left <= 0 && !s.ended
	if due {
		s.ended = true // with the lock held: no call slips in between
	} else if !s.ended {
		s.idle.Reset(left)
	}
	s.mu.Unlock()
	if due {
		s.clear("idle")
	}
}

// closed is told when the child is gone.
func (s *session) closed(err error) {
	s.bridge.settings.Load().Logger.Debug("a session's server has ended", "error", err)
	s.mu.Lock()
	crashed := !s.ended
	s.mu.Unlock()
	if crashed {
		s.bridge.breaker.ended(s.kind(), time.Since(s.began))
	}
	s.end("the server has ended")
	s.bridge.exited(s.owner)
	close(s.gone)
}
