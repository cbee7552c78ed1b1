package translate

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/identity"
)

// Notifications of a server that are subscribed to.
const (
	toolsChanged     = "notifications/tools/list_changed"
	promptsChanged   = "notifications/prompts/list_changed"
	resourcesChanged = "notifications/resources/list_changed"
)

// ElicitationComplete is a legacy notification that modern clients do not have.
const ElicitationComplete = "notifications/elicitation/complete"

// Announced says whether a notification is for those who listen, and part of no call.
func Announced(method string) bool {
	switch method {
	case toolsChanged, promptsChanged, resourcesChanged, message.MethodUpdated:
		return true
	}
	return false
}

// Subscriptions are what a subscriptions/listen asks for, or what is granted of it.
type Subscriptions struct {
	Tools     bool     `json:"toolsListChanged,omitempty"`
	Prompts   bool     `json:"promptsListChanged,omitempty"`
	Resources bool     `json:"resourcesListChanged,omitempty"`
	URIs      []string `json:"resourceSubscriptions,omitempty"`
}

// Grant is what the server has of what is asked for.
func (s *Server) Grant(asked Subscriptions) Subscriptions {
	asked.Tools = asked.Tools && s.Has("tools", "listChanged")
	asked.Prompts = asked.Prompts && s.Has("prompts", "listChanged")
	asked.Resources = asked.Resources && s.Has("resources", "listChanged")
	if !s.Has("resources", "subscribe") {
		asked.URIs = nil
	}
	return asked
}

// ReadSubscriptions reads what a subscriptions/listen asks for, or what its acknowledgement
// grants.
func ReadSubscriptions(m *message.Message) (s Subscriptions, err error) {
	if raw := m.Params.Get("notifications"); raw != nil {
		err = json.Unmarshal(raw, &s)
	}
	slices.Sort(s.URIs)
	s.URIs = slices.Compact(s.URIs)
	return s, err
}

// Plain says whether a subscriptions/listen asks for something of [Subscriptions], and for
// nothing else.
func Plain(m *message.Message) bool {
	for name := range m.Params.All() {
		if name != "_meta" && name != "notifications" {
			return false
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(m.Params.Get("notifications")))
	decoder.DisallowUnknownFields()
	var s Subscriptions
	return decoder.Decode(&s) == nil && s.Any()
}

// Any says whether there is anything to listen to.
func (s Subscriptions) Any() bool {
	return s.Tools || s.Prompts || s.Resources || len(s.URIs) > 0
}

// Wants says whether a notification of the server belongs to the subscriptions.
func (s Subscriptions) Wants(m *message.Message) bool {
	switch m.Method {
	case toolsChanged:
		return s.Tools
	case promptsChanged:
		return s.Prompts
	case resourcesChanged:
		return s.Resources
	case message.MethodUpdated:
		uri, _ := m.Params.String("uri")
		for _, wanted := range s.URIs {
			if Covers(wanted, uri) {
				return true
			}
		}
	}
	return false
}

// Covers says whether an update of a resource is one of the resource that was subscribed
// to: it may be of a part of it (MCP 2025-11-25, notifications/resources/updated).
func Covers(subscribed, updated string) bool {
	rest, ok := strings.CutPrefix(updated, subscribed)
	return ok && (rest == "" || strings.HasSuffix(subscribed, "/") || strings.ContainsAny(rest[:1], "/?#"))
}

// Acknowledged is the first message on the stream of the listen with the id.
func (s Subscriptions) Acknowledged(id []byte) []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "method": message.MethodAcknowledge, "params": map[string]any{
		"_meta":         map[string]any{message.MetaSubscriptionID: json.RawMessage(id)},
		"notifications": s,
	}})
}

// Notify is a notification of the server as the listen with the id gets it.
func Notify(m *message.Message, id []byte) []byte {
	return m.Edit().DropMeta(message.MetaSubscriptionID, identity.MetaPrefix).SetMeta(message.MetaValue{Key: message.MetaSubscriptionID, Value: id}).Bytes()
}

// Updated is the gateway's own notification that a resource may have changed.
func Updated(uri string) *message.Message {
	return notification(map[string]any{"method": message.MethodUpdated, "params": map[string]string{"uri": uri}})
}

// Changes are the gateway's own notifications that all of the subscriptions may have changed.
func (s Subscriptions) Changes() (all []*message.Message) {
	for method, granted := range map[string]bool{toolsChanged: s.Tools, promptsChanged: s.Prompts, resourcesChanged: s.Resources} {
		if granted {
			all = append(all, notification(map[string]any{"method": method}))
		}
	}
	for _, uri := range s.URIs {
		all = append(all, Updated(uri))
	}
	return all
}

func notification(members map[string]any) *message.Message {
	members["jsonrpc"] = "2.0"
	m, err := message.Parse(frame(members), 0)
	if err != nil {
		panic("translate: " + err.Error()) // it is made of strings
	}
	return m
}

// Listen is the gateway's request to a modern server for all that is in the subscriptions.
func (s Subscriptions) Listen() []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "id": 0, "method": message.MethodListen, "params": map[string]any{
		"_meta": json.RawMessage(backend.OwnMeta), "notifications": s,
	}})
}

// Listed is what a request of the method is told, as far as its changes are announced.
func Listed(method string) Subscriptions {
	return Subscriptions{
		Tools:     method == message.MethodToolsList,
		Prompts:   method == message.MethodPromptsList,
		Resources: method == message.MethodResourcesList || method == message.MethodTemplatesList,
	}
}

// With is both together.
func (s Subscriptions) With(other Subscriptions) Subscriptions {
	return Subscriptions{
		Tools: s.Tools || other.Tools, Prompts: s.Prompts || other.Prompts, Resources: s.Resources || other.Resources,
		URIs: slices.Concat(s.URIs, other.URIs),
	}
}

// Only is what of the subscriptions is granted.
func (s Subscriptions) Only(granted Subscriptions) Subscriptions {
	return Subscriptions{
		Tools: s.Tools && granted.Tools, Prompts: s.Prompts && granted.Prompts, Resources: s.Resources && granted.Resources,
		URIs: slices.DeleteFunc(slices.Clone(s.URIs), func(uri string) bool { return !slices.Contains(granted.URIs, uri) }),
	}
}

// Subscribe is the gateway's request to begin or to end the updates of a resource.
func Subscribe(uri string, on bool) []byte {
	method := message.MethodSubscribe
	if !on {
		method = message.MethodUnsubscribe
	}
	return frame(map[string]any{"jsonrpc": "2.0", "id": 0, "method": method, "params": map[string]string{"uri": uri}})
}

// SetLevel is the gateway's request for log messages from a level on.
func SetLevel(level string) []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "id": 0, "method": message.MethodSetLevel, "params": map[string]string{"level": level}})
}

// Levels are those of logs (RFC 5424 section 6.2.1), the least severe first.
var Levels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// Severity orders log levels; unknown ones are below all others.
func Severity(level string) int { return slices.Index(Levels, level) }
