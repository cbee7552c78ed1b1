package install

import (
	"bytes"
	"encoding/json"
	"strings"
)

// splice is one change of a document: what stands between start and end is replaced.
type splice struct {
	start, end int
	text       string
}

// apply makes changes that are in the order of their places and do not overlap.
func apply(data []byte, changes ...splice) []byte {
	var b bytes.Buffer
	at := 0
	for _, c := range changes {
		b.Write(data[at:c.start])
		b.WriteString(c.text)
		at = c.end
	}
	b.Write(data[at:])
	return b.Bytes()
}

// style is how a document is written.
type style struct {
	newline string
	unit    string // of indentation
}

func styleOf(data []byte, root node) style {
	s := style{newline: "\n", unit: "  "}
	if bytes.Contains(data, []byte("\r\n")) {
		s.newline = "\r\n"
	}
	if len(root.members) > 0 {
		if indent, alone := indentAt(data, root.members[0].key.start); alone && indent != "" {
			s.unit = indent
		}
	}
	return s
}

// indentAt returns the white space at the beginning of the line of a place, and
// whether there is nothing else before the place.
func indentAt(data []byte, at int) (indent string, alone bool) {
	line := data[bytes.LastIndexByte(data[:at], '\n')+1 : at]
	rest := bytes.TrimLeft(line, " \t")
	return string(line[:len(line)-len(rest)]), len(rest) == 0
}

// insert adds a member at the end of an object. Comments behind the last member stay
// with it.
func (s style) insert(data []byte, into node, name string, value func(indent string) string) []byte {
	closing := into.end - 1
	tail := len(bytes.TrimRight(data[:closing], " \t\r\n"))
	outer, _ := indentAt(data, into.start)
	indent, inline := outer+s.unit, false
	if n := len(into.members); n > 0 {
		last, alone := indentAt(data, into.members[n-1].key.start)
		if alone {
			indent = last
		}
		inline = !alone && !bytes.ContainsAny(data[into.start:into.end], "\r\n")
	}
	text := s.newline + indent + quote(name) + ": " + value(indent)
	if inline {
		text = " " + quote(name) + ": " + compact(value(""))
	}
	if n := len(into.members); n > 0 && into.members[n-1].comma >= 0 {
		text += "," // as the one that was last has it
	}
	if !inline && !bytes.Contains(data[tail:closing], []byte("\n")) {
		text += s.newline + outer
	}
	if n := len(into.members); n > 0 && into.members[n-1].comma < 0 {
		end := into.members[n-1].value.end
		return apply(data, splice{end, end, ","}, splice{tail, tail, text})
	}
	return apply(data, splice{tail, tail, text})
}

// remove takes a member out of an object, with its comma and the white space before it.
// It undoes what insert does. Whole is the document, of which from is a part.
func remove(data []byte, whole, from node, i int) []byte {
	m := from.members[i]
	start := len(bytes.TrimRight(data[:m.key.start], " \t\r\n"))
	if len(from.members) == 1 && m.comma < 0 && start == from.start+1 &&
		len(bytes.TrimSpace(data[m.value.end:from.end-1])) == 0 {
		return apply(data, splice{start, from.end - 1, ""}) // {}
	}
	for _, start := range []int{start, m.key.start} {
		var left []byte
		switch {
		case m.comma >= 0:
			left = apply(data, splice{start, m.value.end, ""}, splice{m.comma, m.comma + 1, ""})
		case i > 0:
			comma := from.members[i-1].comma
			left = apply(data, splice{comma, comma + 1, ""}, splice{max(start, comma+1), m.value.end, ""})
		default:
			left = apply(data, splice{start, m.value.end, ""})
		}
		// A comment before it may need its line break: or it would take in what follows, the
		// end of the object or a whole member.
		if root, err := parse(left); err == nil && root.size() == whole.size()-1-m.value.size() {
			return left
		}
	}
	return data
}

func quote(text string) string {
	return strings.TrimSuffix(encode(text, "", ""), "\n")
}

// encode writes a value as JSON, with nothing escaped that need not be.
func encode(value any, prefix, unit string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, unit)
	if err := encoder.Encode(value); err != nil {
		panic(err) // strings and lists of strings only
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func compact(value string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(value)); err != nil {
		return value
	}
	return b.String()
}
