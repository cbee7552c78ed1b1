package admission

import (
	"net/http"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// What a completion is for (MCP 2025-11-25, Completion).
const (
	refPrompt   = "ref/prompt"
	refResource = "ref/resource"
)

// readTarget finds what a request is about, for the rules on it: the tool, the prompt or
// the resources that it names. It refuses what could be read in two ways, or names them
// with anything but strings.
func readTarget(m *message.Message) (policy.Request, *answer.Refusal) {
	req := policy.Request{Method: m.Method}
	if m.Kind != message.Request {
		return req, nil
	}
	switch m.Method {
	case message.MethodToolsCall:
		req.Kind, req.Name = policy.KindTool, m.Name()
	case message.MethodPromptsGet:
		req.Kind, req.Name = policy.KindPrompt, m.Name()
	case message.MethodRead, message.MethodSubscribe, message.MethodUnsubscribe:
		raw := m.Params.Get("uri")
		if raw == nil {
			break // it names no resource, which is for whoever answers it to say
		}
		uri, ok := message.Unquote(raw)
		if !ok {
			return req, invalidParams("params.uri must be a string")
		}
		req.Kind, req.Name = policy.KindResource, uri
	case message.MethodComplete:
		if raw := m.Params.Get("ref"); raw != nil {
			return readReference(req, raw)
		}
	case message.MethodListen:
		return readSubscriptions(req, m.Params.Get("notifications"))
	}
	return req, nil
}

// readReference reads params.ref of completion/complete. A resource is named there by its
// URI or by the text of its template.
func readReference(req policy.Request, raw []byte) (policy.Request, *answer.Refusal) {
	ref, err := message.Members(raw, "type", "name", "uri")
	if err != nil {
		return req, invalidParams("params.ref: %v", err)
	}
	kind, ok := message.Unquote(ref["type"])
	if !ok {
		return req, invalidParams("params.ref.type must be a string")
	}
	member := ""
	switch kind {
	case refPrompt:
		req.Kind, member = policy.KindPrompt, "name"
	case refResource:
		req.Kind, member = policy.KindResource, "uri"
	default:
		if strings.EqualFold(kind, refPrompt) || strings.EqualFold(kind, refResource) {
			return req, invalidParams("params.ref.type must be %s or %s", refPrompt, refResource)
		}
		return req, nil // of a later version, or the server's own
	}
	if req.Name, ok = message.Unquote(ref[member]); !ok {
		return req, invalidParams("params.ref.%s must be a string", member)
	}
	return req, nil
}

// readSubscriptions reads which resources a subscriptions/listen is for.
func readSubscriptions(req policy.Request, raw []byte) (policy.Request, *answer.Refusal) {
	if len(raw) == 0 || raw[0] != '{' {
		return req, nil // it names no resource; the rest is for others to judge
	}
	asked, err := message.Members(raw, "toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions")
	if err != nil {
		return req, invalidParams("params.notifications: %v", err)
	}
	list := asked["resourceSubscriptions"]
	if list == nil || string(list) == "null" {
		return req, nil
	}
	uris, ok := message.Strings(list)
	if !ok {
		return req, invalidParams("params.notifications.resourceSubscriptions must be an array of strings")
	}
	if len(uris) > 0 {
		req.Kind, req.Name, req.More = policy.KindResource, uris[0], uris[1:]
	}
	return req, nil
}

func invalidParams(format string, args ...any) *answer.Refusal {
	return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, format, args...)
}
