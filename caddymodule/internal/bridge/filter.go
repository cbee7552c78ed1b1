package bridge

import (
	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
)

// list says of the answer to a method which member is the list, what its entries are, and
// by which member of theirs rules name them.
type list struct{ member, kind, name string }

var lists = map[string]list{
	message.MethodToolsList:     {"tools", policy.KindTool, "name"},
	message.MethodPromptsList:   {"prompts", policy.KindPrompt, "name"},
	message.MethodResourcesList: {"resources", policy.KindResource, "uri"},
	message.MethodTemplatesList: {"resourceTemplates", policy.KindResource, "uriTemplate"},
}

// shown is the sink for the answer to a call: if that is a list of which the caller may see
// a part only, the rest is cut out on the way. Everything else, nextCursor included, stays
// as the server wrote it, so a page may have few entries, or none.
//
// What the sink learns from the answer itself, such as the schemas of tools, it learns from
// all of it: events bring the server's message beside the frame for the client.
func shown(call *admission.Call, sink backend.Sink) backend.Sink {
	if call.Visible == nil {
		return sink
	}
	l, ok := lists[call.Method()]
	if !ok {
		return sink
	}
	return filtered{sink, l, call.Visible}
}

// filtered is a sink that cuts from a list what its reader may not use.
type filtered struct {
	backend.Sink
	list    list
	visible func(kind, name string) bool
}

// Adjust edits the answer. An entry without a name is cut, too: nobody could use it, and no
// rule could be found for it.
func (f filtered) Adjust(m *message.Message, edit *message.Editor) {
	edit.FilterResult(f.list.member, func(entry []byte) bool {
		members, err := message.Members(entry, f.list.name)
		if err != nil {
			return false
		}
		name, ok := message.Unquote(members[f.list.name])
		return ok && f.visible(f.list.kind, name)
	})
	// What depends on who asks is nobody else's to read.
	edit.ResultMember("cacheScope", []byte(`"private"`))
}
