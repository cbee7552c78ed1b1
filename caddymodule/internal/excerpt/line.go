package excerpt

import (
	"bytes"
	"iter"
)

// line is one of an event.
type line struct {
	text []byte
	raw  []byte // with what ends it
}

func (l line) whole() bool { return len(l.raw) > len(l.text) }

// lines yields those of an event, the empty one behind it included.
func lines(raw []byte) iter.Seq[line] {
	return func(yield func(line) bool) {
		for len(raw) > 0 {
			end := lineEnd(raw)
			next := end + 1
			switch {
			case end < 0:
				end, next = len(raw), len(raw)
			case raw[end] == '\r' && next < len(raw) && raw[next] == '\n':
				next++
			}
			if !yield(line{raw[:end], raw[:next]}) {
				return
			}
			raw = raw[next:]
		}
	}
}

// field is the name of what a line says, and its value. The name is "" for a comment and for
// an empty line. The value is not nil.
func field(text []byte) (name string, value []byte) {
	before, value, found := bytes.Cut(text, []byte(":"))
	if !found {
		value = []byte{}
	}
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(before) {
	case "":
		return "", value
	case "data":
		return "data", value
	case "id":
		return "id", value
	case "event":
		return "event", value
	case "retry":
		return "retry", value
	}
	return "unknown", value
}
