package bridge

import (
	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// mayRead says whether a notification may be told to whom visible is about. An update names
// a resource, which may lie below the one that was subscribed to, where other rules hold.
func mayRead(visible func(kind, name string) bool, m *message.Message) bool {
	if visible == nil || m == nil || m.Method != translate.ResourceUpdated {
		return true
	}
	uri, ok := m.Params.String("uri")
	return ok && visible(policy.KindResource, uri)
}

// readUpdates is the sink of a listen that is passed on as it is: of updates it gets those of
// resources that its user may read.
type readUpdates struct {
	backend.Sink
	visible func(kind, name string) bool
}

func (r readUpdates) Deliver(e backend.Event) {
	if e.Last || mayRead(r.visible, e.Message) {
		r.Sink.Deliver(e)
	}
}

// readsAs remembers what the user of a session may read, as it was with the newest request to
// subscribe or to be told. What was subscribed to may outlast a scope, and a rule.
func (s *session) readsAs(call *admission.Call) {
	if call.Message != nil && call.Method() != methodSubscribe {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = call.Visible
}
