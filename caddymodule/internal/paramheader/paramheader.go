// Package paramheader checks the Mcp-Param-* header fields of MCP 2026-07-28, by which
// a client repeats arguments of a tool call so that proxies can route by them. Which
// arguments those are stands in the tool's input schema, as x-mcp-header; so a gateway
// remembers the schemas that it sees in the answers to tools/list. A field that no
// schema asks for means nothing.
//
// What is not repeated faithfully is refused: a proxy would have acted on another value
// than the server.
package paramheader

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

const prefix = "Mcp-Param-"

// Table knows the tools of one server. The zero Table knows none. It keeps only tools
// that have such arguments.
type Table struct {
	mu    sync.RWMutex
	tools map[string][]binding
}

// binding joins an argument, by its path, to a header field.
type binding struct {
	path  []string
	field string
}

// object is a JSON object. Names of members that differ by case are others.
type object map[string]json.RawMessage

// read returns no members for what is no object.
func read(raw json.RawMessage) object {
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return nil
	}
	return o
}

// Learn takes the tools member of an answer to tools/list. What is malformed is passed
// over, and nothing beside it: the client sees the list as it is.
func (t *Table) Learn(tools []byte) {
	var listed []json.RawMessage
	if json.Unmarshal(tools, &listed) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, raw := range listed {
		tool := read(raw)
		name, ok := message.Unquote(tool["name"])
		if !ok {
			continue
		}
		delete(t.tools, name)
		if bindings := bindings(read(tool["inputSchema"]), nil, nil); len(bindings) > 0 {
			if t.tools == nil {
				t.tools = map[string][]binding{}
			}
			t.tools[name] = bindings
		}
	}
}

// bindings finds the properties of a schema that are repeated.
func bindings(schema object, path []string, found []binding) []binding {
	for name, raw := range read(schema["properties"]) {
		at, property := append(path[:len(path):len(path)], name), read(raw)
		if field, _ := message.Unquote(property["x-mcp-header"]); field != "" {
			found = append(found, binding{at, http.CanonicalHeaderKey(prefix + field)})
		}
		found = bindings(property, at, found)
	}
	return found
}

// Check says whether the header fields of a call repeat its arguments, which are raw
// JSON or nil. The error names the field.
func (t *Table) Check(header http.Header, tool string, arguments []byte) error {
	t.mu.RLock()
	bindings := t.tools[tool]
	t.mu.RUnlock()
	body := body{raw: arguments}
	for _, b := range bindings {
		if err := b.check(header, &body); err != nil {
			return fmt.Errorf("the header %s %w", b.field, err)
		}
	}
	return nil
}

func (b binding) check(header http.Header, body *body) error {
	values := header.Values(b.field)
	argument := body.lookUp(b.path)
	switch {
	case argument == nil && len(values) == 0:
		return nil
	case argument == nil:
		return fmt.Errorf("repeats an argument that is not in the body")
	case len(values) != 1:
		return fmt.Errorf("must stand in the request once: the body has the argument")
	}
	value, ok := protocol.DecodeHeader(values[0])
	if !ok {
		return fmt.Errorf("is malformed")
	}
	if !equal(value, argument) {
		return fmt.Errorf("does not match the body")
	}
	return nil
}

// body is the arguments of a call, of which each object is read once.
type body struct {
	raw     []byte
	objects map[string]object // by the path to each
}

// lookUp returns an argument's raw JSON, nil if it is absent or null.
func (b *body) lookUp(path []string) []byte {
	raw := b.raw
	for i, name := range path {
		at := fmt.Sprintf("%q", path[:i])
		o, known := b.objects[at]
		if !known {
			if b.objects == nil {
				b.objects = map[string]object{}
			}
			o = read(raw)
			b.objects[at] = o
		}
		raw = o[name]
	}
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// equal compares a field's value with an argument: strings and booleans as they are,
// integers by value. Nothing else can be repeated.
func equal(value string, argument []byte) bool {
	if len(argument) == 0 {
		return false
	}
	switch c := argument[0]; {
	case c == '"':
		s, ok := message.Unquote(argument)
		return ok && s == value
	case c == 't' || c == 'f':
		return value == string(argument)
	case c == '-' || '0' <= c && c <= '9':
		a, okA := integer(value)
		b, okB := integer(strings.TrimSpace(string(argument)))
		return okA && okB && a == b
	}
	return false
}

// integer reads a number that JavaScript holds exactly, in whatever form it is written.
func integer(s string) (int64, bool) {
	const most = 1<<53 - 1
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false // ParseFloat knows forms that JSON does not
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > most {
		return 0, false
	}
	return int64(f), true
}
