package bridge

import (
	"context"
	"net/http"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
	"github.com/snapgate/snapgate/identity"
)

// answer is the gateway's answer to a call that is about the session, nil if the call is
// the server's to answer. What a client asks of its session, the level of logs and what it
// subscribes to, stands until the session ends, whatever becomes of the process.
func (t *tenants) answer(s *session, m *message.Message, stamp []message.MetaValue) []byte {
	switch m.Method {
	case message.MethodListen:
		// It is not of these versions, and its stream would be no one's to filter by user.
		return answer.New(http.StatusOK, protocol.CodeMethodNotFound, "%s does not exist in sessions: use %s", m.Method, message.MethodSubscribe).Frame(m.ID)
	case message.MethodSetLevel:
		level, _ := m.Params.String("level")
		if translate.Severity(level) < 0 || !t.p.server.Has("logging", "") {
			return nil // it will say so itself
		}
		s.mu.Lock()
		s.share.level = level
		s.mu.Unlock()
		t.p.lower(level)
		return emptyResult(m.ID)
	case message.MethodSubscribe, message.MethodUnsubscribe:
		if !t.p.server.Has("resources", "subscribe") {
			return answer.New(http.StatusOK, protocol.CodeMethodNotFound, "There are no subscriptions to resources here").Frame(m.ID)
		}
		uri, ok := m.Params.String("uri")
		if !ok {
			return nil
		}
		if m.Method == message.MethodUnsubscribe {
			t.unsubscribe(s, uri, stamp)
			return emptyResult(m.ID)
		}
		return t.answerSubscribe(s, uri, stamp, m.ID)
	}
	return nil
}

func (t *tenants) answerSubscribe(s *session, uri string, stamp []message.MetaValue, id []byte) []byte {
	s.mu.Lock()
	others := len(s.share.uris)
	if s.share.uris[uri] {
		others--
	}
	s.mu.Unlock()
	if refusal := subscribable(uri, others); refusal != nil {
		return refusal.Frame(id)
	}
	refused, err := t.subscribe(s, uri, stamp, false)
	switch {
	case err != nil:
		return faultFrame(err, id)
	case refused != nil:
		return refused.Edit().ID(id).DropMeta(identity.MetaPrefix).Bytes()
	}
	return emptyResult(id)
}

// subscribe enters the session for the updates of a resource, as [pooled.hold] does; if
// again is set only where it has not unsubscribed meanwhile.
func (t *tenants) subscribe(s *session, uri string, stamp []message.MetaValue, again bool) (refused *message.Message, err error) {
	// A client that leaves has not cancelled.
	ctx, cancel := context.WithTimeout(context.Background(), subscribeTime)
	defer cancel()
	of := subscription{s.owner, uri}
	if refused, err := t.p.hold(ctx, of, stamp); refused != nil || err != nil {
		return refused, err
	}
	if !t.enterURI(s, uri, again) {
		t.p.letGo(of, stamp)
	}
	return nil, nil
}

// enterURI reports whether the session is subscribed by this and was not before.
func (t *tenants) enterURI(s *session, uri string, again bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	its := t.members[s]
	if its == nil || again && !s.share.uris[uri] {
		return false
	}
	fresh := !its.uris[uri]
	its.uris[uri], s.share.uris[uri] = true, true
	return fresh
}

// unsubscribe takes the session out again.
func (t *tenants) unsubscribe(s *session, uri string, stamp []message.MetaValue) {
	t.mu.Lock()
	s.mu.Lock()
	delete(s.share.uris, uri)
	s.mu.Unlock()
	its := t.members[s]
	had := its != nil && its.uris[uri]
	if had {
		delete(its.uris, uri)
	}
	t.mu.Unlock()
	if had {
		t.p.letGo(subscription{s.owner, uri}, stamp)
	}
}

// catchUp subscribes to what the session was subscribed to at a process that is gone. Its
// client is told to look again at each resource, since it may have changed in between.
// What the server does not answer is tried again with the next call.
func (t *tenants) catchUp(s *session) {
	for {
		uri, stamp, ok := t.missing(s)
		if !ok {
			return
		}
		refused, err := t.subscribe(s, uri, stamp, true)
		switch {
		case err != nil:
			t.mu.Lock()
			if its := t.members[s]; its != nil {
				its.catching = false
			}
			t.mu.Unlock()
			return
		case refused != nil:
			t.unsubscribe(s, uri, stamp)
		default:
			updated := translate.Updated(uri)
			s.deliver(t.p.conn, updated, updated.Raw)
		}
	}
}

// missing is one of the subscriptions that catchUp is to make. With the last it is done.
func (t *tenants) missing(s *session) (uri string, stamp []message.MetaValue, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	its := t.members[s]
	if its == nil {
		return "", nil, false
	}
	for uri := range s.share.uris {
		if !its.uris[uri] {
			return uri, s.share.stamp, true
		}
	}
	its.catching = false
	return "", nil, false
}
