package excerpt

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// read is what a reader makes of an event stream (HTML Living Standard, section 9.2.6): the
// data of each event, that of one without an empty line behind it included, and whether all
// lines are such as the standard knows.
func read(stream string) (data []string, known bool) {
	stream = strings.TrimPrefix(stream, "\uFEFF")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	known = true
	var event []string
	for _, line := range append(strings.Split(stream, "\n"), "") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "data":
			event = append(event, strings.TrimPrefix(value, " "))
		case "":
			if line == "" && event != nil {
				data, event = append(data, strings.Join(event, "\n")), nil
			}
		case "id", "event", "retry":
		default:
			known = false
		}
	}
	return data, known
}

// leaks finds in a message, as lenient a reader as takes names in any case, what it must not
// tell.
func leaks(data string, cut *Cut) bool {
	var m map[string]any
	if json.Unmarshal([]byte(data), &m) != nil {
		return false
	}
	params, _ := m["params"].(map[string]any)
	if uri, ok := params["uri"].(string); ok && m["method"] == "notifications/resources/updated" && !open("", uri) {
		return true
	}
	result, _ := m["result"].(map[string]any)
	for _, list := range cut.Lists {
		for member, value := range result {
			entries, isArray := value.([]any)
			if !strings.EqualFold(member, list.Member) {
				continue
			}
			if !isArray {
				return true
			}
			for _, entry := range entries {
				object, _ := entry.(map[string]any)
				named := false
				for _, key := range []string{"name", "uri", "uriTemplate"} {
					name, ok := object[key].(string)
					named = named || ok
					if key == nameKey(list) && (!ok || !open("", name)) {
						return true
					}
				}
				if !named {
					return true
				}
			}
		}
	}
	return false
}

func nameKey(list visibility.List) string {
	return map[string]string{"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}[list.Member]
}

// untouchable says whether a stream has nothing in it that may be cut.
func untouchable(stream string) bool {
	data, known := read(stream)
	for _, text := range data {
		if text == "" {
			continue
		}
		m, err := message.Parse([]byte(text), 0)
		if err != nil || m.Method == message.MethodUpdated {
			return false
		}
		for _, list := range visibility.Lists() {
			if list.In(m) {
				return false
			}
		}
		known = known && m.Result.Get("cacheScope") == nil
	}
	return known
}

// Nothing leaks in whatever pieces a stream comes, what is not cut keeps its bytes, and what
// comes out does not depend on the pieces.
func FuzzEvents(f *testing.F) {
	for _, stream := range []string{
		"id: 1\ndata: " + listed + "\n\n", "data: " + told + "\r\n\r\ndata: " + hidden + "\r\r", "\uFEFF: x\rdata:" + progress + "\n\n",
		"data: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"prompts\":[{\"name\":\"secret\"}]}}\n\n", "retry: 1\n\ndata\n\nData: " + listed + "\n\n",
		`data: {"jsonrpc":"2.0","id":1,"result":{"Tools":[{"name":"\u0073ecret"},{"Name":"a"}]}}` + "\n", "data: [" + listed + "]\n\n", "data: secret\n\n",
	} {
		f.Add(stream, uint64(0x10203), uint8(0))
		f.Add("event: endpoint\r"+stream, uint64(7), uint8(1))
		f.Add(stream, ^uint64(0), uint8(2))
	}
	f.Fuzz(func(t *testing.T, stream string, at uint64, kind uint8) {
		cut := []func() *Cut{ofList, ofGET, ofCall}[kind%3]()
		whole, _ := runUnbounded(cut, stream)
		var pieces []string
		for rest := stream; rest != ""; at = at>>5 | at<<59 {
			n := min(len(rest), int(at&31)+1)
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		out, reported := runUnbounded(cut, pieces...)
		if out != whole {
			t.Fatalf("in pieces %q\n%q, at once\n%q", pieces, out, whole)
		}
		data, known := read(out)
		for _, text := range data {
			if leaks(text, cut) {
				t.Fatalf("%q tells %q", stream, text)
			}
			if _, err := message.Parse([]byte(text), 0); strings.ContainsAny(text, "{[") && err != nil {
				t.Fatalf("%q passes what cannot be read: %q", stream, text)
			}
		}
		if !known {
			t.Fatalf("%q passes lines that mean nothing: %q", stream, out)
		}
		if untouchable(stream) && (out != stream || reported > 0) {
			t.Fatalf("%q becomes %q", stream, out)
		}
	})
}

// runUnbounded feeds a stream in these pieces, and returns what passes of it.
func runUnbounded(cut *Cut, pieces ...string) (out string, reported int) {
	e := &events{cut: cut, limit: 1 << 20, report: func(string) { reported++ }}
	for _, piece := range pieces {
		e.feed([]byte(piece))
		out += string(e.out)
		e.out = nil
	}
	e.end()
	return out + string(e.out), reported
}
