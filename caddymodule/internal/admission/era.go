package admission

import (
	"net/http"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// checkEra finds the era of a request and holds the header rules of that era. A
// request is modern if its version header, or the protocol version in its _meta, is
// 2026-07-28 or later; the two must agree then.
func checkEra(r *http.Request, call *Call) *answer.Refusal {
	header := r.Header.Get(protocol.HeaderVersion)
	call.Version = header
	var body string
	var inBody bool
	if msg := call.Message; msg != nil && msg.Kind != message.Response {
		body, inBody = msg.Meta.String(message.MetaProtocolVersion)
	}
	if protocol.EraOf(body) == protocol.Legacy && protocol.EraOf(header) == protocol.Legacy {
		call.Era = protocol.Legacy
		return checkLegacy(r, call)
	}
	call.Era = protocol.Modern
	return checkModern(r, call, body, inBody)
}

func checkLegacy(r *http.Request, call *Call) *answer.Refusal {
	call.SessionID = r.Header.Get(protocol.HeaderSession)
	if call.Version != "" && !protocol.Supported(call.Version) {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "Unsupported protocol version %q: use one of %s",
			call.Version, strings.Join(protocol.Versions(), ", "))
	}
	return nil
}

// checkModern holds the rules of MCP 2026-07-28, Streamable HTTP: headers mirror the
// body, and each request says its version and the client's capabilities.
func checkModern(r *http.Request, call *Call, body string, inBody bool) *answer.Refusal {
	msg := call.Message
	if msg.Kind == message.Response {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "A response cannot be sent by POST in protocol version %s", call.Version)
	}
	if inBody && call.Version == "" {
		return mismatch("The header %s is missing, but the request's _meta says %q", protocol.HeaderVersion, body)
	}
	if inBody && body != call.Version {
		return mismatch("%s is %q, but the request's _meta says %q", protocol.HeaderVersion, call.Version, body)
	}
	request := msg.Kind == message.Request
	if refusal := matchHeader(r, protocol.HeaderMethod, msg.Method, request); refusal != nil {
		return refusal
	}
	if member := mirroredMember(msg.Method); member != "" {
		value, present := msg.Params.String(member)
		if refusal := matchHeader(r, protocol.HeaderName, value, request && present); refusal != nil {
			return refusal
		}
	}
	if !slices.Contains(protocol.ModernVersions, call.Version) {
		return answer.UnsupportedVersion(call.Version, protocol.Versions())
	}
	if !request {
		return nil
	}
	if msg.Method == message.MethodInitialize {
		return answer.New(http.StatusNotFound, protocol.CodeMethodNotFound, "initialize does not exist in protocol version %s", call.Version)
	}
	if !inBody {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, "params._meta lacks %q", message.MetaProtocolVersion)
	}
	if caps := msg.Meta.Get(message.MetaClientCapabilities); len(caps) == 0 || caps[0] != '{' {
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, "params._meta lacks the object %q", message.MetaClientCapabilities)
	}
	return nil
}

// mirroredMember is the member of params that Mcp-Name repeats, if the method has
// one.
func mirroredMember(method string) string {
	switch method {
	case message.MethodToolsCall, message.MethodPromptsGet:
		return "name"
	case message.MethodRead:
		return "uri"
	case message.MethodTasksGet, message.MethodTasksUpdate, message.MethodTasksCancel:
		return "taskId"
	}
	return ""
}

func matchHeader(r *http.Request, name, want string, required bool) *answer.Refusal {
	values := r.Header.Values(name)
	if len(values) == 0 {
		if !required {
			return nil
		}
		return mismatch("The header %s is missing", name)
	}
	got, ok := protocol.DecodeHeader(values[0])
	if !ok {
		return mismatch("The header %s is malformed", name)
	}
	if got != want {
		return mismatch("The header %s does not match the body", name)
	}
	return nil
}

func mismatch(format string, args ...any) *answer.Refusal {
	return answer.New(http.StatusBadRequest, protocol.CodeHeaderMismatch, "Header mismatch: "+format, args...)
}
