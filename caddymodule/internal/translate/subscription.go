package translate

import (
	"encoding/json"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/identity"
)

// Notifications of a server that are subscribed to.
const (
	ToolsChanged     = "notifications/tools/list_changed"
	PromptsChanged   = "notifications/prompts/list_changed"
	ResourcesChanged = "notifications/resources/list_changed"
	ResourceUpdated  = "notifications/resources/updated"
)

// Subscriptions are what a subscriptions/listen asks for, or what is granted of it.
type Subscriptions struct {
	Tools     bool     `json:"toolsListChanged,omitempty"`
	Prompts   bool     `json:"promptsListChanged,omitempty"`
	Resources bool     `json:"resourcesListChanged,omitempty"`
	URIs      []string `json:"resourceSubscriptions,omitempty"`
}

// Subscriptions reads what a subscriptions/listen asks for, as far as the server has it.
func (s *Server) Subscriptions(m *message.Message) (Subscriptions, error) {
	var asked Subscriptions
	if err := json.Unmarshal(m.Params.Get("notifications"), &asked); err != nil {
		return asked, err
	}
	asked.Tools = asked.Tools && s.Has("tools", "listChanged")
	asked.Prompts = asked.Prompts && s.Has("prompts", "listChanged")
	asked.Resources = asked.Resources && s.Has("resources", "listChanged")
	if !s.Has("resources", "subscribe") {
		asked.URIs = nil
	}
	return asked, nil
}

// Any says whether there is anything to listen to.
func (s Subscriptions) Any() bool {
	return s.Tools || s.Prompts || s.Resources || len(s.URIs) > 0
}

// Wants says whether a notification of the server belongs to the subscriptions.
func (s Subscriptions) Wants(m *message.Message) bool {
	switch m.Method {
	case ToolsChanged:
		return s.Tools
	case PromptsChanged:
		return s.Prompts
	case ResourcesChanged:
		return s.Resources
	case ResourceUpdated:
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
	m, err := message.Parse(frame(map[string]any{"jsonrpc": "2.0", "method": ResourceUpdated, "params": map[string]string{"uri": uri}}), 0)
	if err != nil {
		panic("translate: " + err.Error()) // of a string
	}
	return m
}

// Subscribe is the gateway's request to begin or to end the updates of a resource.
func Subscribe(uri string, on bool) []byte {
	method := "resources/subscribe"
	if !on {
		method = "resources/unsubscribe"
	}
	return frame(map[string]any{"jsonrpc": "2.0", "id": 0, "method": method, "params": map[string]string{"uri": uri}})
}

// SetLevel is the gateway's request for log messages from a level on.
func SetLevel(level string) []byte {
	return frame(map[string]any{"jsonrpc": "2.0", "id": 0, "method": "logging/setLevel", "params": map[string]string{"level": level}})
}

// levels are those of RFC 5424, the least severe first.
var levels = map[string]int{"debug": 0, "info": 1, "notice": 2, "warning": 3, "error": 4, "critical": 5, "alert": 6, "emergency": 7}

// Severity orders log levels; unknown ones are below all others.
func Severity(level string) int {
	if n, ok := levels[level]; ok {
		return n
	}
	return -1
}
