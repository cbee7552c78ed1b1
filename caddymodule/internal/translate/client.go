package translate

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Client is what a legacy client says of itself in initialize, and a modern one in each
// request.
type Client struct {
	Version            string // of the protocol, that it is told
	capabilities, info []byte
}

// ReadClient reads a client's initialize.
func ReadClient(m *message.Message) Client {
	version, _ := m.Params.String("protocolVersion")
	if !slices.Contains(protocol.LegacyVersions, version) {
		version = protocol.LegacyVersions[0] // the newest that it could speak (MCP 2025-11-25, Lifecycle)
	}
	c := Client{Version: version, capabilities: m.Params.Get("capabilities"), info: m.Params.Get("clientInfo")}
	if len(c.capabilities) == 0 || c.capabilities[0] != '{' {
		c.capabilities = []byte("{}")
	}
	return c
}

// Request is a legacy client's request as a modern server reads it. level is what it logs
// meanwhile, "" for nothing.
func (c Client) Request(m *message.Message, level string) (*message.Message, error) {
	meta := []message.MetaValue{
		{Key: message.MetaProtocolVersion, Value: message.Quote(protocol.Version20260728)},
		{Key: message.MetaClientCapabilities, Value: c.capabilities},
	}
	if len(c.info) > 0 {
		meta = append(meta, message.MetaValue{Key: message.MetaClientInfo, Value: c.info})
	}
	if level != "" {
		meta = append(meta, message.MetaValue{Key: message.MetaLogLevel, Value: message.Quote(level)})
	}
	edit := m.Edit().DropMeta(message.MetaProtocolVersion, message.MetaClientCapabilities, message.MetaClientInfo, message.MetaLogLevel)
	return message.Parse(edit.SetMeta(meta...).Bytes(), message.DefaultMaxDepth+2)
}

// Question is one thing that a modern server asks in the middle of a call, and the name that
// it gave it.
type Question struct {
	Name   string
	Method string
	Params json.RawMessage // nil if it has none
}

// Questions reads what such an answer asks, in the order of the names.
func Questions(m *message.Message) ([]Question, error) {
	raw := m.Result.Get("inputRequests")
	if raw == nil {
		return nil, nil
	}
	var asked map[string]struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil {
		return nil, errors.New("the server's inputRequests are malformed")
	}
	questions := make([]Question, 0, len(asked))
	for name, q := range asked {
		if q.Method == "" {
			return nil, errors.New("one of the server's inputRequests has no method")
		}
		questions = append(questions, Question{name, q.Method, q.Params})
	}
	slices.SortFunc(questions, func(a, b Question) int { return strings.Compare(a.Name, b.Name) })
	return questions, nil
}

// Request is the question as a legacy client is asked it.
func (q Question) Request(id []byte) (*message.Message, error) {
	request := map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(id), "method": q.Method}
	if q.Params != nil {
		request["params"] = q.Params
	}
	return message.Parse(frame(request), message.DefaultMaxDepth+2)
}

// Again is a call made once more with the input that the server wanted, by name, and the
// state that it gave out with the question; nil if it gave none.
func Again(call *message.Message, input map[string]json.RawMessage, state []byte) (*message.Message, error) {
	edit := call.Edit()
	if len(input) > 0 {
		edit.SetParam("inputResponses", frame(input))
	}
	if state != nil {
		edit.SetParam("requestState", state)
	}
	return message.Parse(edit.Bytes(), message.DefaultMaxDepth+4)
}
