package bridge

import (
	"bytes"
	"fmt"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/identity"
)

// enterQuestion enters a request of a child to the client, and returns it as the client reads
// it. A session that shares a process outlives it, and the next one begins with the same ids:
// so there they are the gateway's own, and a late answer meets no other question. s.mu is held.
func (s *session) enterQuestion(from asker, m *message.Message, frame []byte) (*message.Message, []byte) {
	open := asking{from: from, id: bytes.Clone(m.ID)}
	open.known = open.id
	if s.share != nil {
		open.known = s.newID()
		frame = m.Edit().ID(open.known).DropMeta(identity.MetaPrefix).Bytes()
		m = &message.Message{Kind: m.Kind, ID: open.known, Method: m.Method} // all that is asked of it
	}
	s.asked[message.IDKey(open.known)] = open
	return m, frame
}

// withdrawQuestion closes the request that a child withdraws by a notification, and returns
// that as the client reads it. s.mu is held.
func (s *session) withdrawQuestion(from asker, m *message.Message, frame []byte) []byte {
	open, ok := s.question(from, m.Params.Get("requestId"))
	if !ok {
		return frame
	}
	delete(s.asked, message.IDKey(open.known))
	if s.share != nil {
		frame = m.Edit().DropMeta(identity.MetaPrefix).Param("requestId", open.known).Bytes()
	}
	return frame
}

// question is the open request that a child has given the id. s.mu is held.
func (s *session) question(from asker, id []byte) (asking, bool) {
	key := message.IDKey(id)
	for _, open := range s.asked {
		if open.from == from && message.IDKey(open.id) == key {
			return open, true
		}
	}
	return asking{}, false
}

// reopen enters a question again whose answer could not be handed on.
func (s *session) reopen(open asking) {
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.asked[message.IDKey(open.known)] = open
	}
	s.mu.Unlock()
	if ended {
		unheard(open.from, open.id)
	}
}

// nextID is an id for a question to the client that no other of the session has.
func (s *session) nextID() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newID()
}

// newID is nextID with s.mu held.
func (s *session) newID() []byte {
	s.questions++
	return fmt.Appendf(nil, `"snapgate-%d"`, s.questions)
}

// expect enters a question of the gateway's own. It reports whether there is room for it.
func (s *session) expect(id []byte, from asker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || len(s.asked) >= maxAsked {
		return false
	}
	s.asked[message.IDKey(id)] = asking{from, id, id}
	return true
}
