package bridge

import (
	"slices"
	"sync"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// tenants are the legacy sessions that share a process. What the server says to one of
// them without naming a call goes to the one that has calls there, if there is but one;
// lists that changed are everyone's, unless the server says whose they are.
type tenants struct {
	p *pooled

	mu      sync.Mutex // taken before that of a session, and after that of the process
	members map[*session]*tenant
}

// tenant is what a session has at the process.
type tenant struct {
	calls    int             // that the server has not answered
	uris     map[string]bool // subscribed to
	catching bool            // up with what the session was subscribed to elsewhere
}

func newTenants(p *pooled) *tenants {
	return &tenants{p: p, members: map[*session]*tenant{}}
}

// enter makes the session one that uses the process. It is not entered if it is over, or
// has moved on to a newer process. One that comes from a process that has ended takes its
// log level and its subscriptions along.
func (t *tenants) enter(s *session) (entered, over bool) {
	t.mu.Lock()
	s.mu.Lock()
	if before := s.share.tenants; s.ended || before != nil && before.p.generation > t.p.generation {
		over = s.ended
		s.mu.Unlock()
		t.mu.Unlock()
		return false, over
	}
	its := t.members[s]
	if its == nil {
		its = &tenant{uris: map[string]bool{}}
		t.members[s] = its
	}
	s.share.tenants = t
	level := s.share.level
	behind := len(s.share.uris) > len(its.uris) && !its.catching
	its.catching = its.catching || behind
	s.mu.Unlock()
	t.mu.Unlock()
	t.p.lower(level)
	if behind {
		go t.catchUp(s)
	}
	return true, false
}

// calls counts a call of the session that the server is about to get, until ended.
func (t *tenants) calls(s *session) (ended func()) {
	count := func(n int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if its := t.members[s]; its != nil {
			its.calls += n
		}
	}
	count(1)
	return func() { count(-1) }
}

// remove forgets a session that has ended, and ends its subscriptions.
func (t *tenants) remove(s *session) {
	t.mu.Lock()
	its := t.members[s]
	delete(t.members, s)
	s.mu.Lock()
	stamp := s.share.stamp
	s.mu.Unlock()
	t.mu.Unlock()
	if its == nil {
		return
	}
	for uri := range its.uris {
		t.p.letGo(subscription{s.owner, uri}, stamp)
	}
}

// bereave is called when the process ends: its questions are no longer open.
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
		return slices.DeleteFunc(t.only(), func(s *session) bool { return t.p.unsettled(s.id) })
	case m.Method == message.MethodUpdated:
		return t.subscribers(m, shared)
	case translate.Announced(m.Method):
		all := make([]*session, 0, len(t.members))
		for s := range t.members {
			if !shared || !stampedForAnother(m, s.share.user) {
				all = append(all, s)
			}
		}
		return all
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

// only is the session that has calls at the server, if there is but one. t.mu is held.
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
	for s := range t.members {
		s.mu.Lock()
		_, its := s.question(t.p.conn, m.Params.Get("requestId"))
		s.mu.Unlock()
		if its {
			return []*session{s}
		}
	}
	return nil
}
