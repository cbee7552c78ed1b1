// Package message reads one JSON-RPC 2.0 message of the Model Context Protocol
// as bytes, and edits it as bytes.
//
// A gateway that decodes a message into a model and encodes it again loses what
// the model does not know: unknown members, large numbers, member order. Here a
// message is read strictly once, for its envelope: which kind it is, its id and
// method, the members of params, of result and of their _meta. All else is
// carried as the bytes it was, and an [Editor] splices the few values that a
// gateway must change.
//
// Strict means: valid UTF-8, no duplicate member name at any depth, bounded
// nesting, one value and nothing after it. A member of the envelope, of params
// or of _meta whose name differs from one of the protocol's own only by case, by
// folding or by escapes is refused too, because two readers of it would see two
// different messages. What stands in a tool's arguments is the tool's affair.
// A lone surrogate escape passes, since JavaScript writes them.
package message

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
)

// MaxID is how long an id or a progress token may be, in bytes. Each is repeated in messages
// that others send, and so costs whoever writes these more than its sender.
const MaxID = 16 << 10

// DefaultMaxDepth is how deep arrays and objects may nest.
const DefaultMaxDepth = 128

// Errors that [Parse] wraps. ErrSyntax calls for JSON-RPC error -32700, the
// others for -32600 (JSON-RPC 2.0 section 5.1).
var (
	ErrSyntax    = errors.New("not one valid JSON value")
	ErrDepth     = errors.New("nested too deep")
	ErrBatch     = errors.New("a JSON-RPC batch is not accepted: send one message")
	ErrLookAlike = errors.New("a member name resembles one of the protocol's own")
	ErrInvalid   = errors.New("not a JSON-RPC 2.0 message")
)

// Kind says what a message is.
type Kind uint8

const (
	// Request has a method and an id, and is answered.
	Request Kind = iota + 1
	// Notification has a method and no id.
	Notification
	// Response has an id and a result or an error.
	Response
)

func (k Kind) String() string {
	switch k {
	case Request:
		return "request"
	case Notification:
		return "notification"
	case Response:
		return "response"
	}
	return "invalid message"
}

// span is a part of Message.Raw. The zero span stands for "not there".
type span struct{ start, end int }

func (s span) in(raw []byte) []byte {
	if s.end == 0 {
		return nil
	}
	return raw[s.start:s.end]
}

// member is one name and value of an object. name excludes the quotes.
type member struct{ name, value span }

// Object is one of the objects in a message that are read to their members.
type Object struct {
	raw     []byte
	span    span
	members []member
}

// Present says whether the object is there.
func (o *Object) Present() bool { return o.span.end != 0 }

// Get returns the raw JSON of a member, or nil if there is none. The name must
// be one that needs no escapes.
func (o *Object) Get(name string) []byte {
	if m := o.find(name); m != nil {
		return m.value.in(o.raw)
	}
	return nil
}

// Raw returns the object as it is written; nil if it is not there.
func (o *Object) Raw() []byte { return o.span.in(o.raw) }

// All yields the members in order: each name, decoded, and its raw value.
func (o *Object) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, m := range o.members {
			quoted := o.raw[m.name.start-1 : m.name.end+1]
			name, _ := Unquote(quoted)
			if !yield(name, m.value.in(o.raw)) {
				return
			}
		}
	}
}

// String returns a member's decoded value if it is a string.
func (o *Object) String(name string) (string, bool) {
	return Unquote(o.Get(name))
}

func (o *Object) find(name string) *member {
	for i := range o.members {
		m := &o.members[i]
		if string(o.raw[m.name.start:m.name.end]) == name {
			return m
		}
	}
	return nil
}

// nested is a value outside of the objects that are read to their members, in which a
// _meta may stand.
type nested struct {
	value     span
	isMeta    bool // it is the value of a _meta itself
	arguments bool // it is params.arguments
}

// Message is one parsed message. It refers to the bytes it was parsed from, which
// must not change while it is in use.
type Message struct {
	Raw    []byte
	Kind   Kind
	Method string // decoded; "" in a response
	ID     []byte // raw JSON of the id; nil in a notification

	Params Object // of a request or notification
	Result Object // of a response, if its result is an object
	Error  Object // of a response, if it is an error
	Meta   Object // the _meta of Params or of Result

	top       Object
	nested    []nested // values that may hold a _meta further down
	paramsNil bool     // params is null
	metaNil   bool     // _meta is null

	topBuf    [4]member // as many as nearly all messages have
	paramsBuf [4]member
	metaBuf   [4]member
}

// IsError says whether the message is a response that reports an error.
func (m *Message) IsError() bool { return m.Kind == Response && m.Error.Present() }

// Name returns params.name of tools/call and prompts/get.
func (m *Message) Name() string {
	s, _ := m.Params.String("name")
	return s
}

// ProgressToken returns the raw token that a request attaches in its _meta or
// that a notifications/progress names in its params; nil if there is none.
func (m *Message) ProgressToken() []byte {
	if m.Method == MethodProgress {
		return m.Params.Get("progressToken")
	}
	return m.Meta.Get("progressToken")
}

// IDKey returns a form of a raw id that is equal for equal ids: a string id is
// decoded, a number is kept as it is written, unless that is an integer in the form of a
// float: some JSON libraries answer 1 by 1.0. It is "" for what can't be an id.
func IDKey(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	switch {
	case raw[0] == '"':
		s, ok := Unquote(raw)
		if !ok {
			return ""
		}
		return "s" + s
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		if n, ok := wholeFloat(raw); ok {
			return "n" + strconv.FormatInt(n, 10)
		}
		return "n" + string(raw)
	}
	return ""
}

// wholeFloat reads an integer that is written as a float, if that holds it exactly.
func wholeFloat(raw []byte) (int64, bool) {
	if !bytes.ContainsAny(raw, ".eE") {
		return 0, false
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(string(raw), 64)
	return int64(f), err == nil && math.Abs(f) < exact && math.Trunc(f) == f
}

// Integer reads a number that is an integer, in whatever form it is written.
func Integer(raw []byte) (int64, bool) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, true
	}
	return wholeFloat(raw)
}

func (m *Message) invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
