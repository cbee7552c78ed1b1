package excerpt

import (
	"bytes"
	"net/http"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// events edits an event stream (HTML Living Standard, section 9.2.6) in whatever pieces it
// comes.
type events struct {
	cut    *Cut
	limit  int // of one event, in bytes
	report func(reason string)

	out []byte // what may pass, until it is taken

	begun    bool   // past a byte order mark
	kept     []byte // an event that is not whole yet, from its first line on
	line     int    // where in kept its last line begins
	afterCR  bool   // the last byte ended a line; a line feed would belong to that
	passedCR bool   // and it passed
	skipping bool   // the event was too large, and the rest of it is dropped
}

// byteOrderMark may stand at the beginning of a stream, and nowhere else.
var byteOrderMark = []byte("\uFEFF")

// feed takes the next piece of the stream. What may pass by then is in out.
func (e *events) feed(p []byte) {
	data, at, start := p, 0, 0 // at is how far it is read, start where an event begins
	if len(e.kept) > 0 {
		at = len(e.kept)
		e.kept = append(e.kept, p...)
		data = e.kept
	}
	if !e.begun {
		if len(data) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, data) {
			e.keep(data, 0)
			return
		}
		e.begun, at = true, 0
		if bytes.HasPrefix(data, byteOrderMark) {
			e.pass(data[:len(byteOrderMark)])
			at = len(byteOrderMark)
		}
		start, e.line = at, at
	}
	for at < len(data) {
		if e.afterCR {
			e.afterCR = false
			if data[at] == '\n' {
				at++
				if e.line = at; start == at-1 {
					if e.passedCR {
						e.pass(data[start:at])
					}
					start = at
				}
				continue
			}
		}
		i := lineEnd(data[at:])
		if i < 0 {
			break
		}
		end := at + i
		at = e.pastLineEnd(data, end)
		passed := len(e.out)
		start = e.lineRead(data, start, end, at)
		e.passedCR = bytes.HasSuffix(e.out[passed:], []byte("\r"))
		e.line = at
	}
	e.keep(data, start)
	if len(e.kept) > e.limit && !e.skipping {
		e.tooLarge(e.kept)
		e.skipping = true
		e.keep(e.kept, 0)
	}
}

// lineEnd finds the first of the bytes that end a line.
func lineEnd(data []byte) int { return bytes.IndexAny(data, "\r\n") }

// pastLineEnd returns where the next line begins, as far as that can be told.
func (e *events) pastLineEnd(data []byte, end int) int {
	next := end + 1
	if data[end] == '\r' {
		if e.afterCR = next == len(data); !e.afterCR && data[next] == '\n' {
			next++
		}
	}
	return next
}

// lineRead takes a line that is whole, and returns where the event begins that is not yet.
func (e *events) lineRead(data []byte, start, end, next int) int {
	switch line := data[e.line:end]; {
	case len(line) == 0:
		if !e.skipping {
			e.event(data[start:next])
		}
		e.skipping = false
		return next
	case e.skipping:
		return next
	case line[0] == ':' && start == e.line: // between events: a sign of life
		e.pass(data[start:next])
		return next
	}
	return start
}

// maxIdle is how much memory is kept between two events, in bytes.
const maxIdle = 64 << 10

// keep remembers what is left from start on.
func (e *events) keep(data []byte, start int) {
	rest := data[start:]
	e.line = max(0, e.line-start)
	if e.skipping && len(rest) > 0 {
		rest, e.line = rest[e.line:], 0
		rest = rest[:min(1, len(rest))] // that the line is not empty is all that matters
	}
	if len(rest) == 0 && cap(e.kept) > maxIdle {
		e.kept = nil
		return
	}
	if start == 0 && len(rest) > 0 && len(e.kept) == len(rest) && &rest[0] == &e.kept[0] {
		return // it is there already: to move it with each piece would take longer with each
	}
	e.kept = append(e.kept[:0], rest...)
}

// end takes the end of the stream. An event without an empty line behind it is none for most
// readers, but some take it.
func (e *events) end() {
	if len(e.kept) > 0 && !e.skipping {
		e.event(e.kept)
	}
	e.kept = nil
}

func (e *events) pass(raw []byte) { e.out = append(e.out, raw...) }

// event passes one event, with the empty line behind it, as far as it may.
func (e *events) event(raw []byte) {
	if len(raw) > e.limit {
		e.tooLarge(raw)
		return
	}
	data, stray, typed := dataOf(raw)
	var edited []byte
	// Without data it tells an id, or a time to wait. One of another type may be no message,
	// as the first of the transport of 2024-11-05; without brackets it cannot be one.
	if len(data) > 0 && (!typed || bytes.ContainsAny(data, "{[")) {
		var passes bool
		var err error
		edited, passes, err = e.cut.judge(data)
		switch {
		case err != nil && !typed && e.cut.answers(data):
			e.fail(raw, "The server's answer is no valid message", "the answer of the server is no valid message: "+err.Error())
			return
		case err != nil:
			e.report("an event of the server is no valid message: " + err.Error())
			fallthrough
		case !passes:
			e.withhold(raw)
			return
		}
	}
	if edited == nil && !stray {
		e.pass(raw)
		return
	}
	e.rewrite(raw, edited)
}

// tooLarge is for an event of which there is a part, or all.
func (e *events) tooLarge(raw []byte) {
	const reason = "an event of the server is too large"
	if e.cut.ID != nil {
		e.fail(raw, "The server's answer is too large", reason)
		return
	}
	e.report(reason)
	e.withhold(raw)
}

// fail answers the request in place of the server.
func (e *events) fail(raw []byte, text, reason string) {
	e.report(reason)
	e.marks(raw)
	e.pass([]byte("data: "))
	e.pass(answer.New(http.StatusBadGateway, protocol.CodeInternal, "%s", text).Frame(e.cut.ID))
	e.pass([]byte("\n\n"))
}

// withhold leaves of an event where its reader would resume the stream, and when.
func (e *events) withhold(raw []byte) {
	if !e.marks(raw) {
		return
	}
	if bytes.HasSuffix(e.out, []byte("\r")) {
		e.pass([]byte("\n")) // this one belongs to the end of the last line
	}
	e.pass([]byte("\n"))
}

// marks passes those lines of an event that mean something without data, and says whether
// there are any.
func (e *events) marks(raw []byte) (any bool) {
	for line := range lines(raw) {
		if name, _ := field(line.text); (name == "id" || name == "retry") && line.whole() {
			e.pass(line.raw)
			any = true
		}
	}
	return any
}

// rewrite passes an event with other data, or with its own if that is nil. Lines that mean
// nothing to a reader who keeps to the standard are left out: another might see something in
// them.
func (e *events) rewrite(raw, data []byte) {
	written := false
	for line := range lines(raw) {
		switch name, _ := field(line.text); {
		case name == "unknown", name == "data" && written:
		case name == "data" && data != nil:
			written = true
			e.pass([]byte("data: "))
			e.pass(data)
			e.pass(line.raw[len(line.text):])
		default:
			e.pass(line.raw)
		}
	}
}

// dataOf is the data of an event, whether there are lines that mean nothing, and whether it is
// of another type than messages are. Without data lines the data is nil.
func dataOf(raw []byte) (data []byte, stray, typed bool) {
	several := false
	for line := range lines(raw) {
		switch name, value := field(line.text); name {
		case "data":
			switch {
			case data == nil:
				data = value
			case !several:
				several = true
				data = append(append(bytes.Clone(data), '\n'), value...)
			default:
				data = append(append(data, '\n'), value...)
			}
		case "event":
			typed = len(value) > 0 && string(value) != "message"
		case "unknown":
			stray = true
		}
	}
	return data, stray, typed
}
