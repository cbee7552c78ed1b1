package bridge

import (
	"errors"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// shown is the sink for the answer to a call: if that is a list of which the caller may see
// a part only, the rest is cut out on the way.
//
// What the sink learns from the answer itself, such as the schemas of tools, it learns from
// all of it: events bring the server's message beside the frame for the client.
func shown(call *admission.Call, sink backend.Sink) backend.Sink {
	if call.Visible == nil {
		return sink
	}
	l, ok := visibility.ListOf(call.Method())
	if !ok {
		return sink
	}
	return filtered{sink, l, call.Visible}
}

// filtered is a sink that cuts from a list what its reader may not use.
type filtered struct {
	backend.Sink
	list    visibility.List
	visible visibility.Func
}

// errUnreadable is what there is to say where nobody can tell what may be said.
var errUnreadable = errors.New("the answer cannot be told again")

// again is what a stream of a call has said, as it may be said once more to the reader of this
// request: to the call itself it was cut by the token of then. Nil is as it was.
func again(call *admission.Call, s *stream) func(event) event {
	if call.Sees == nil || s.request == nil {
		return nil
	}
	l, ok := visibility.ListOf(s.about.Method)
	visible := call.Sees(s.about.Method)
	if !ok || visible == nil {
		return nil
	}
	return func(e event) event {
		if e.msg != nil && e.msg.Kind != message.Response {
			return e
		}
		m, err := message.Parse(e.frame, 0)
		if err != nil { // it was read before: this is our own fault, and nothing to show
			e.frame = faultFrame(errUnreadable, s.request)
			return e
		}
		if l.In(m) {
			edit := m.Edit()
			l.Cut(edit, visible)
			e.frame = edit.Bytes()
		}
		return e
	}
}

// Adjust edits the answer.
func (f filtered) Adjust(_ *message.Message, edit *message.Editor) { f.list.Cut(edit, f.visible) }
