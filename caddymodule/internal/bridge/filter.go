package bridge

import (
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

// Adjust edits the answer.
func (f filtered) Adjust(_ *message.Message, edit *message.Editor) { f.list.Cut(edit, f.visible) }
