package identitytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// member is one member of an object as it is written: the key with its quotes, so
// that it may have escapes.
type member struct{ key, value string }

// field is a member whose key is plain text.
func field(name string, value any) member { return member{quote(name), jsonOf(value)} }

func quote(s string) string { return jsonOf(s) }

func jsonOf(value any) string {
	if raw, ok := value.(json.RawMessage); ok {
		return string(raw)
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic("identitytest: " + err.Error()) // values are the kit's own
	}
	return string(text)
}

func object(members ...member) string {
	text := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, m.key...), ':'), m.value...)
	}
	return string(append(text, '}'))
}

// message is a request or notification in parts, so that anything can be put
// anywhere.
type message struct {
	method    string
	params    map[string]json.RawMessage
	meta      []member
	arguments []member // added to the call's own
	before    []member // _meta, in params
	behind    []member // _meta, in params
	envelope  []member
}

// line is the message with an id; without one if id is 0.
func (m message) line(id int64) []byte {
	head := []member{field("jsonrpc", "2.0")}
	if id != 0 {
		head = append(head, field("id", id))
	}
	head = append(append(head, m.envelope...), field("method", m.method))
	return []byte(object(append(head, member{`"params"`, m.paramsText()})...))
}

func (m message) paramsText() string {
	var parts []member
	for _, name := range slices.Sorted(maps.Keys(m.params)) {
		if value := m.params[name]; name != "arguments" || len(m.arguments) == 0 {
			parts = append(parts, field(name, value))
		}
	}
	if len(m.arguments) > 0 {
		parts = append(parts, member{`"arguments"`, m.argumentsText()})
	}
	parts = append(parts, m.before...)
	if len(m.meta) > 0 {
		parts = append(parts, member{`"_meta"`, object(m.meta...)})
	}
	return object(append(parts, m.behind...)...)
}

// argumentsText leaves out what an added argument replaces: a name that stands there
// twice would be no message of the gateway's.
func (m message) argumentsText() string {
	var own map[string]json.RawMessage
	_ = json.Unmarshal(m.params["arguments"], &own) // none, if they are no object
	parts := slices.Clone(m.arguments)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !slices.ContainsFunc(m.arguments, func(a member) bool { return a.key == quote(name) }) {
			parts = append(parts, field(name, own[name]))
		}
	}
	return object(parts...)
}

// answer is what the server said to a request.
type answer struct {
	raw    []byte
	result json.RawMessage
	// refusal is "" for a result that is no tool error.
	refusal string
}

// readAnswer reads a line of the server that answers.
func readAnswer(line []byte) (answer, error) {
	var m struct {
		Result json.RawMessage
		Error  *struct {
			Code    json.Number
			Message string
		}
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return answer{}, fmt.Errorf("an answer that is no message: %w", err)
	}
	a := answer{raw: line, result: m.Result}
	var tool struct {
		IsError bool `json:"isError"`
		Content []struct{ Text string }
	}
	switch {
	case m.Error != nil:
		a.refusal = fmt.Sprintf("error %s: %s", m.Error.Code, shortened(m.Error.Message))
	case m.Result == nil:
		return answer{}, fmt.Errorf("an answer with neither result nor error: %s", shortened(string(line)))
	case json.Unmarshal(m.Result, &tool) == nil && tool.IsError:
		a.refusal = "a tool error"
		if len(tool.Content) > 0 {
			a.refusal += ": " + shortened(tool.Content[0].Text)
		}
	}
	return a, nil
}

// shortened is a text for a report, on one line.
func shortened(s string) string {
	const most = 160
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, ""))
}
