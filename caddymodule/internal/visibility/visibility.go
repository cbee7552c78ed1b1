// Package visibility keeps from a reader what they may not use: the entries of lists, and the
// reports of resources that have changed. It is the same for a server on standard input and
// output and for one behind a proxy.
package visibility

import (
	"slices"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
)

// Func says whether the reader may use a tool, a prompt or a resource (the kinds of package
// policy) of this name.
type Func = func(kind, name string) bool

// List is what a method lists.
type List struct {
	Member string // of the result, an array
	Kind   string // of its entries
	name   string // member of an entry by which rules name it
	method string
}

var lists = []List{
	{"tools", policy.KindTool, "name", message.MethodToolsList},
	{"prompts", policy.KindPrompt, "name", message.MethodPromptsList},
	{"resources", policy.KindResource, "uri", message.MethodResourcesList},
	{"resourceTemplates", policy.KindResource, "uriTemplate", message.MethodTemplatesList},
}

// ListOf is the list that a method asks for, if it asks for one.
func ListOf(method string) (List, bool) {
	i := slices.IndexFunc(lists, func(l List) bool { return l.method == method })
	if i < 0 {
		return List{}, false
	}
	return lists[i], true
}

// Lists are those of all methods. The slice must not be changed.
func Lists() []List { return lists }

// In says whether a result has the list, by whatever spelling a client might take for its.
func (l List) In(m *message.Message) bool { return m.HasResult(l.Member) }

// Cut takes out of a result those entries that the reader may not use. Everything else,
// nextCursor included, stays as the server wrote it, so a page may have few entries, or none.
// An entry without a name is cut, too: nobody could use it, and no rule could be found for it.
func (l List) Cut(edit *message.Editor, visible Func) {
	edit.FilterResult(l.Member, func(entry []byte) bool {
		members, err := message.Members(entry, l.name)
		if err != nil {
			return false
		}
		name, ok := message.Unquote(members[l.name])
		return ok && visible(l.Kind, name)
	})
	// What depends on who asks is nobody else's to read.
	edit.ResultMember("cacheScope", []byte(`"private"`))
}

// MayHear says whether a message may be told to whom visible is about. An update names a
// resource, which may lie below the one that was subscribed to, where other rules hold.
func MayHear(visible Func, m *message.Message) bool {
	if visible == nil || m == nil || m.Method != message.MethodUpdated {
		return true
	}
	uri, ok := m.Params.String("uri")
	return ok && visible(policy.KindResource, uri)
}
