package bridge

import (
	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// readUpdates is the sink of a listen that is passed on as it is: of updates it gets those of
// resources that its user may read.
type readUpdates struct {
	backend.Sink
	visible visibility.Func
}

func (r readUpdates) Deliver(e backend.Event) {
	if e.Last || visibility.MayHear(r.visible, e.Message) {
		r.Sink.Deliver(e)
	}
}

// mayHear says whether what a stream has kept may be told to its reader of now. It was kept by
// what the newest subscriber or reader of then might read.
func mayHear(visible visibility.Func, e event) bool {
	m := e.msg
	if visible != nil && m == anyNotification { // no more than the frame was kept
		var err error
		if m, err = message.Parse(e.frame, 0); err != nil {
			return false
		}
	}
	return visibility.MayHear(visible, m)
}

// readsAs remembers what the user of a session may read, as it was with the newest request to
// subscribe or to be told. What was subscribed to may outlast a scope, and a rule.
func (s *session) readsAs(call *admission.Call) {
	if call.Message != nil && call.Method() != message.MethodSubscribe {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = call.Hears
}
