package bridge

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
	"github.com/snapgate/snapgate/identity"
)

// Requests of a client that are about its session, which the gateway keeps.
const (
	methodSetLevel    = "logging/setLevel"
	methodSubscribe   = "resources/subscribe"
	methodUnsubscribe = "resources/unsubscribe"
)

// maxSubscribed is how many resources a session may be subscribed to.
const maxSubscribed = 1024

// tenants are the legacy sessions that share a process. What the server says to one of
// them without naming a call goes to the one that has calls in flight, if there is but
// one; lists that changed are everyone's.
type tenants struct {
	p *pooled

	mu      sync.Mutex
	members map[*session]*tenant

	leveling sync.Mutex // held while the server is told the level
	level    int        // the lowest that any asked for
}

// tenant is what a session has at the process.
type tenant struct {
	calls int             // in flight
	uris  map[string]bool // subscribed to
}

func newTenants(p *pooled) *tenants {
	return &tenants{p: p, members: map[*session]*tenant{}, level: levelUnset}
}

// enter counts a call of the session. One that comes from a process that has ended takes
// its subscriptions and its log level along. It reports whether the session goes on.
func (t *tenants) enter(ctx context.Context, s *session) bool {
	t.mu.Lock()
	if t.members[s] == nil {
		t.members[s] = &tenant{uris: map[string]bool{}}
	}
	t.members[s].calls++
	t.mu.Unlock()
	s.mu.Lock()
	ended, fresh := s.ended, s.share.tenants != t
	s.share.tenants = t
	uris, level, stamp := slices.Clone(s.share.uris), s.share.level, s.share.stamp
	s.mu.Unlock()
	if ended {
		t.remove(s)
		return false
	}
	if !fresh {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	if level != "" {
		t.lower(ctx, level)
	}
	for _, uri := range uris {
		_, _ = t.subscribe(ctx, s, uri, stamp) // what is refused now is lost with the old process
	}
	return true
}

// leave ends what enter began.
func (t *tenants) leave(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if its := t.members[s]; its != nil {
		its.calls--
	}
}

// remove forgets a session, and ends subscriptions that were only its own.
func (t *tenants) remove(s *session) {
	t.mu.Lock()
	its := t.members[s]
	delete(t.members, s)
	t.mu.Unlock()
	s.mu.Lock()
	s.share.uris = nil
	stamp := s.share.stamp
	s.mu.Unlock()
	if its == nil || len(its.uris) == 0 {
		return
	}
	go func() { // the server may take its time
		ctx, cancel := context.WithTimeout(context.Background(), subscribeTime)
		defer cancel()
		for uri := range its.uris {
			t.p.letGo(ctx, subscription{s.owner, uri}, stamp)
		}
	}()
}

// bereave is called when the process is gone: its questions are no longer open.
func (t *tenants) bereave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.members {
		s.mu.Lock()
		for key, open := range s.asked {
			if open.from == t.p.conn {
				delete(s.asked, key)
			}
		}
		s.mu.Unlock()
	}
}

// subscribed says whether anyone waits for updates.
func (t *tenants) subscribed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, its := range t.members {
		if len(its.uris) > 0 {
			return true
		}
	}
	return false
}

// answer is the gateway's answer to a call that is about the session, nil if the call is
// the server's to answer.
func (t *tenants) answer(ctx context.Context, s *session, m *message.Message, stamp []message.MetaValue) []byte {
	s.mu.Lock()
	s.share.stamp = stamp
	s.mu.Unlock()
	switch m.Method {
	case message.MethodListen:
		// It is not of these versions, and its stream would be no one's to filter by user.
		return answer.New(http.StatusOK, protocol.CodeMethodNotFound, "%s does not exist in sessions: use %s", m.Method, methodSubscribe).Frame(m.ID)
	case methodSetLevel:
		level, _ := m.Params.String("level")
		if translate.Severity(level) < 0 || !t.p.server.Has("logging", "") {
			return nil // it will say so itself
		}
		s.mu.Lock()
		s.share.level = level
		s.mu.Unlock()
		t.lower(ctx, level)
		return emptyResult(m.ID)
	case methodSubscribe, methodUnsubscribe:
		if !t.p.server.Has("resources", "subscribe") {
			return answer.New(http.StatusOK, protocol.CodeMethodNotFound, "There are no subscriptions to resources here").Frame(m.ID)
		}
		uri, ok := m.Params.String("uri")
		if !ok {
			return nil
		}
		if m.Method == methodUnsubscribe {
			t.unsubscribe(ctx, s, uri, stamp)
			return emptyResult(m.ID)
		}
		return t.answerSubscribe(ctx, s, uri, stamp, m.ID)
	}
	return nil
}

func (t *tenants) answerSubscribe(ctx context.Context, s *session, uri string, stamp []message.MetaValue, id []byte) []byte {
	s.mu.Lock()
	full := len(s.share.uris) >= maxSubscribed && !slices.Contains(s.share.uris, uri)
	s.mu.Unlock()
	if full {
		return answer.New(http.StatusOK, protocol.CodeInvalidParams, "The session is subscribed to %d resources already", maxSubscribed).Frame(id)
	}
	refused, err := t.subscribe(ctx, s, uri, stamp)
	switch {
	case err != nil:
		return faultFrame(err, id)
	case refused != nil:
		return refused.Edit().ID(id).DropMeta(identity.MetaPrefix).Bytes()
	}
	return emptyResult(id)
}

// lower makes the server log from a level on, unless it logs more already.
func (t *tenants) lower(ctx context.Context, level string) {
	t.leveling.Lock()
	defer t.leveling.Unlock()
	if translate.Severity(level) >= t.level {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	if answered, err := t.p.conn.Ask(ctx, translate.SetLevel(level)); err == nil && !answered.IsError() {
		t.level = translate.Severity(level)
	}
}

// subscribe enters the session for the updates of a resource, as [pooled.hold] does.
func (t *tenants) subscribe(ctx context.Context, s *session, uri string, stamp []message.MetaValue) (refused *message.Message, err error) {
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	of := subscription{s.owner, uri}
	if refused, err := t.p.hold(ctx, of, stamp); refused != nil || err != nil {
		return refused, err
	}
	t.mu.Lock()
	its := t.members[s]
	surplus := its == nil || its.uris[uri] // it has left, or has it already
	if !surplus {
		its.uris[uri] = true
	}
	t.mu.Unlock()
	if surplus {
		t.p.letGo(ctx, of, stamp)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended && !slices.Contains(s.share.uris, uri) {
		s.share.uris = append(s.share.uris, uri)
	}
	return nil, nil
}

// unsubscribe takes the session out again.
func (t *tenants) unsubscribe(ctx context.Context, s *session, uri string, stamp []message.MetaValue) {
	s.mu.Lock()
	s.share.uris = slices.DeleteFunc(s.share.uris, func(other string) bool { return other == uri })
	s.mu.Unlock()
	t.mu.Lock()
	its := t.members[s]
	had := its != nil && its.uris[uri]
	if had {
		delete(its.uris, uri)
	}
	t.mu.Unlock()
	if had {
		t.p.letGo(ctx, subscription{s.owner, uri}, stamp)
	}
}

// fromServer routes what the server says outside its answers. It runs on the goroutine
// that reads from it.
func (t *tenants) fromServer(m *message.Message, frame []byte) {
	to := t.audience(m)
	switch {
	case len(to) > 0:
		for _, s := range to {
			s.deliver(t.p.conn, m, frame)
		}
	case m.Kind == message.Request:
		t.p.answer(m)
	default:
		t.p.bridge.settings.Load().Logger.Debug("a notification of the server belongs to no session", "method", m.Method)
	}
}

// audience are the sessions that a message is for.
func (t *tenants) audience(m *message.Message) []*session {
	shared := t.p.bridge.per == PerShared
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case m.Kind == message.Request:
		if m.Method == message.MethodPing || !t.p.capabilities.Allows(m) {
			return nil
		}
		return t.only()
	case strings.HasSuffix(m.Method, "/list_changed"):
		all := make([]*session, 0, len(t.members))
		for s := range t.members {
			all = append(all, s)
		}
		return all
	case m.Method == translate.ResourceUpdated:
		return t.subscribers(m, shared)
	case m.Method == message.MethodCancelled:
		return t.asked(m)
	case shared:
		return nil // it may be about another user's call that has just ended
	case m.Method == message.MethodLog:
		level, _ := m.Params.String("level")
		return slices.DeleteFunc(t.only(), func(s *session) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.share.level != "" && translate.Severity(level) < translate.Severity(s.share.level)
		})
	}
	return t.only()
}

// only is the session that has calls in flight, if there is but one. t.mu is held.
func (t *tenants) only() []*session {
	var one []*session
	for s, its := range t.members {
		if its.calls > 0 {
			one = append(one, s)
		}
	}
	if len(one) != 1 {
		return nil
	}
	return one
}

// subscribers are the sessions that an update is for: at a process that all users share,
// those of the user whom it is stamped for. t.mu is held.
func (t *tenants) subscribers(m *message.Message, shared bool) []*session {
	uri, _ := m.Params.String("uri")
	var to []*session
	for s, its := range t.members {
		if shared && !stampedFor(m, s.share.user) {
			continue
		}
		for subscribed := range its.uris {
			if translate.Covers(subscribed, uri) {
				to = append(to, s)
				break
			}
		}
	}
	return to
}

// asked is the session whose client the server asked what it now withdraws. t.mu is held.
func (t *tenants) asked(m *message.Message) []*session {
	key := message.IDKey(m.Params.Get("requestId"))
	for s := range t.members {
		s.mu.Lock()
		its := s.asked[key].from == t.p.conn
		s.mu.Unlock()
		if its {
			return []*session{s}
		}
	}
	return nil
}
