// Package translate turns what one era of the protocol says into the other's words, one
// message at a time and without state: for a modern client (MCP 2026-07-28) of a legacy
// server, and for a legacy client of a modern server ([Client]).
//
// A legacy server is taken through initialize once, by the gateway. What it said of itself then
// answers server/discover. Each request loses the _meta that a legacy server does not know,
// each result gains what a modern client must find in it, and a request of the server in
// the middle of a call becomes a result of the kind input_required.
package translate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/identity"
)

// Server is what a legacy server says of itself in its answer to initialize.
type Server struct {
	Version      string
	info         json.RawMessage
	instructions json.RawMessage
	capabilities map[string]json.RawMessage
	withheld     bool // something of the capabilities
}

// ReadServer reads the answer to initialize. The error says what is missing in it.
func ReadServer(m *message.Message) (*Server, error) {
	if m.IsError() {
		text, _ := m.Error.String("message")
		return nil, fmt.Errorf("the server refused initialize: %s", text)
	}
	s := &Server{info: m.Result.Get("serverInfo"), instructions: m.Result.Get("instructions")}
	s.Version, _ = m.Result.String("protocolVersion")
	if s.Version == "" {
		return nil, errors.New("the server's answer to initialize names no protocol version")
	}
	if err := json.Unmarshal(m.Result.Get("capabilities"), &s.capabilities); err != nil {
		return nil, fmt.Errorf("the server's answer to initialize: capabilities: %w", err)
	}
	if s.capabilities == nil { // it wrote null, which clients do not take
		s.capabilities = map[string]json.RawMessage{}
	}
	return s, nil
}

// ReadDiscovered reads the answer of a modern server to server/discover.
func ReadDiscovered(m *message.Message) *Server {
	s := &Server{Version: protocol.Version20260728, info: m.Meta.Get(message.MetaServerInfo), instructions: m.Result.Get("instructions")}
	if json.Unmarshal(m.Result.Get("capabilities"), &s.capabilities) != nil || s.capabilities == nil {
		s.capabilities = map[string]json.RawMessage{} // it has nothing but its methods
	}
	return s
}

// Has says whether the server declared a capability, and in it the member sub if that is
// not empty.
func (s *Server) Has(capability, sub string) bool {
	raw, ok := s.capabilities[capability]
	if !ok || sub == "" {
		return ok
	}
	var members map[string]json.RawMessage
	return json.Unmarshal(raw, &members) == nil && string(members[sub]) == "true"
}

// Stamps says whether the server writes on each resources/updated whom it is for
// ([identity.UpdateKey]).
func (s *Server) Stamps() bool {
	var experimental map[string]json.RawMessage
	return json.Unmarshal(s.capabilities["experimental"], &experimental) == nil && experimental[identity.UpdateKey] != nil
}

// WithholdSubscribe makes the server one that has no resources to subscribe to.
func (s *Server) WithholdSubscribe() {
	var members map[string]json.RawMessage
	if json.Unmarshal(s.capabilities["resources"], &members) != nil || members["subscribe"] == nil {
		return
	}
	delete(members, "subscribe")
	s.capabilities["resources"], s.withheld = frame(members), true
}

// WithholdSubscribe edits a modern server's answer to server/discover so that it has no
// resources to subscribe to, unless it stamps updates.
func WithholdSubscribe(discovered *message.Message, edit *message.Editor) {
	s := ReadDiscovered(discovered)
	if s.Stamps() {
		return
	}
	if s.WithholdSubscribe(); s.withheld {
		edit.ResultMember("capabilities", frame(s.capabilities))
	}
}

// Greeting is the server's answer to initialize for the client that asks with the id.
func (s *Server) Greeting(initialized *message.Message, id []byte) []byte {
	edit := initialized.Edit().ID(id).DropMeta(identity.MetaPrefix)
	if s.withheld {
		edit.ResultMember("capabilities", frame(s.capabilities))
	}
	return edit.Bytes()
}

// Initialized is what a modern server says of itself, as the answer to an initialize for a
// legacy version.
func (s *Server) Initialized(id []byte, version string) []byte {
	info := s.info
	if info == nil {
		info = json.RawMessage(`{"name":"unknown","version":"0"}`) // it need not say, but must here
	}
	result := map[string]any{"protocolVersion": version, "capabilities": s.capabilities, "serverInfo": info}
	if s.instructions != nil {
		result["instructions"] = s.instructions
	}
	return frame(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "result": result})
}

// Discover is the answer to server/discover.
func (s *Server) Discover(id []byte) []byte {
	capabilities := maps.Clone(s.capabilities)
	delete(capabilities, "tasks") // those of legacy versions are not those of the modern extension
	result := map[string]any{
		"resultType":        "complete",
		"supportedVersions": protocol.Versions(),
		"capabilities":      capabilities,
		"ttlMs":             0,
		"cacheScope":        "private",
	}
	if s.instructions != nil {
		result["instructions"] = s.instructions
	}
	if s.info != nil {
		result["_meta"] = map[string]any{message.MetaServerInfo: s.info}
	}
	return frame(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "result": result})
}

// Request takes from a request what a legacy server does not know.
func (s *Server) Request(_ *message.Message, edit *message.Editor) {
	edit.DropMeta(message.MetaProtocolVersion, message.MetaClientCapabilities, message.MetaClientInfo, message.MetaLogLevel)
}

// cached are the methods whose results say how long they may be kept.
var cached = map[string]bool{
	"tools/list": true, "prompts/list": true, "resources/list": true, "resources/templates/list": true, message.MethodRead: true,
}

// Error codes that modern servers no longer send.
const (
	resourceNotFound = "-32002"
	urlsRequired     = "-32042"
)

// Result adds to the answer of a legacy server what a modern client must find in it. A
// server that says nothing of caching is not cached.
func (s *Server) Result(method string, m *message.Message, edit *message.Editor) {
	if m.IsError() {
		switch string(m.Error.Get("code")) {
		case resourceNotFound:
			edit.ErrorMember("code", fmt.Append(nil, protocol.CodeInvalidParams))
		case urlsRequired: // where it can't become input_required
			edit.ErrorMember("code", fmt.Append(nil, protocol.CodeInternal))
		}
		return
	}
	edit.DefaultResult("resultType", []byte(`"complete"`)).ResultMember("cacheScope", []byte(`"private"`))
	if cached[method] {
		edit.DefaultResult("ttlMs", []byte("0")).DefaultResult("cacheScope", []byte(`"private"`))
	}
	if s.info != nil {
		edit.DefaultMeta(message.MetaServerInfo, s.info)
	}
}

// Removed are the methods that a modern client does not have.
func Removed(method string) bool {
	switch method {
	case message.MethodPing, message.MethodSetLevel, message.MethodSubscribe, message.MethodUnsubscribe:
		return true
	}
	return false
}

// frame marshals what is made of strings, numbers and JSON that was parsed before. Raw
// JSON in it keeps its spelling.
func frame(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("translate: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
