package message

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// splice replaces Raw[start:end] by text.
type splice struct {
	start, end int
	text       []byte
}

// Editor collects changes to one message. Whatever it is not told to change keeps
// its bytes, order and white space. The zero Editor is not usable: see
// [Message.Edit].
type Editor struct {
	m       *Message
	splices []splice
	buf     [8]splice

	drop   []droppedPrefix
	set    []MetaValue // into _meta
	result []MetaValue // into result
}

// droppedPrefix is what the names of members begin with that leave every _meta.
type droppedPrefix struct{ prefix, folded string }

// MetaValue is a member that an [Editor] puts into _meta or into result.
type MetaValue struct {
	Key   string
	Value []byte // raw JSON, on one line
}

// Edit begins a set of changes.
func (m *Message) Edit() *Editor {
	e := &Editor{m: m}
	e.splices = e.buf[:0]
	return e
}

// ID replaces the id of a request or response by raw JSON.
func (e *Editor) ID(raw []byte) *Editor {
	return e.replace(&e.m.top, "id", raw)
}

// Param replaces a member of params, if it is there.
func (e *Editor) Param(name string, raw []byte) *Editor {
	return e.replace(&e.m.Params, name, raw)
}

// ResultMember replaces a member of result, if it is there.
func (e *Editor) ResultMember(name string, raw []byte) *Editor {
	return e.replace(&e.m.Result, name, raw)
}

// ErrorMember replaces a member of error, if it is there.
func (e *Editor) ErrorMember(name string, raw []byte) *Editor {
	return e.replace(&e.m.Error, name, raw)
}

// MetaMember replaces a member of _meta in place, if it is there.
func (e *Editor) MetaMember(name string, raw []byte) *Editor {
	return e.replace(&e.m.Meta, name, raw)
}

func (e *Editor) replace(o *Object, name string, raw []byte) *Editor {
	if m := o.find(name); m != nil {
		e.splices = append(e.splices, splice{m.value.start, m.value.end, raw})
	}
	return e
}

// DropMeta removes the members whose name starts with one of the prefixes, after
// unescaping and simple case folding, from every _meta in params and in result; tool
// arguments are not looked into.
func (e *Editor) DropMeta(prefixes ...string) *Editor {
	for _, prefix := range prefixes {
		e.drop = append(e.drop, droppedPrefix{prefix, fold(prefix)})
	}
	return e
}

func (e *Editor) drops(name []byte) bool {
	for _, d := range e.drop {
		if hasPrefixFolded(name, d.prefix, d.folded) {
			return true
		}
	}
	return false
}

// SetMeta puts members in front of the others in _meta, and makes _meta, and params
// or result, where they are missing. A name that is there already must be dropped in
// the same edit, else the message would hold it twice. In a response that is an
// error it does nothing.
func (e *Editor) SetMeta(values ...MetaValue) *Editor {
	e.set = append(e.set, values...)
	return e
}

// DefaultResult puts a member in front of those of result, unless it is there.
func (e *Editor) DefaultResult(name string, raw []byte) *Editor {
	if e.m.Result.Present() && e.m.Result.find(name) == nil {
		e.result = append(e.result, MetaValue{name, raw})
	}
	return e
}

// DefaultMeta puts a member in front of those of _meta, unless it is there.
func (e *Editor) DefaultMeta(name string, raw []byte) *Editor {
	if e.m.Meta.find(name) == nil {
		e.set = append(e.set, MetaValue{name, raw})
	}
	return e
}

// Append applies the changes and appends the message to dst.
func (e *Editor) Append(dst []byte) []byte {
	e.editMeta()
	if len(e.drop) > 0 {
		for _, value := range e.m.nested {
			e.dropNested(value)
		}
	}
	slices.SortStableFunc(e.splices, func(a, b splice) int { return a.start - b.start })
	grown := len(e.m.Raw)
	for _, s := range e.splices {
		grown += len(s.text) - (s.end - s.start)
	}
	dst = slices.Grow(dst, grown+1) // room for the newline of a frame
	at := 0
	for _, s := range e.splices {
		dst = append(dst, e.m.Raw[at:s.start]...)
		dst = append(dst, s.text...)
		at = s.end
	}
	return append(dst, e.m.Raw[at:]...)
}

// Bytes applies the changes to a new slice.
func (e *Editor) Bytes() []byte { return e.Append(nil) }

func (e *Editor) editMeta() {
	m := e.m
	holder, name := &m.Params, "params"
	if m.Kind == Response {
		if !m.Result.Present() {
			return
		}
		holder, name = &m.Result, "result"
	}
	front := e.result
	kept := e.dropMembers(&m.Meta)
	if len(e.set) > 0 {
		inner := memberText(e.set, kept > 0)
		meta := slices.Concat([]byte{'{'}, inner, []byte{'}'})
		switch {
		case m.Meta.Present():
			e.insert(m.Meta.span.start+1, inner)
		case m.metaNil:
			e.replace(holder, "_meta", meta)
		default:
			front = append(front[:len(front):len(front)], MetaValue{"_meta", meta})
		}
	}
	if len(front) == 0 {
		return
	}
	if holder.Present() {
		e.insert(holder.span.start+1, memberText(front, len(holder.members) > 0))
		return
	}
	object := slices.Concat([]byte{'{'}, memberText(front, false), []byte{'}'})
	if m.paramsNil {
		e.replace(&m.top, name, object)
		return
	}
	object = slices.Concat([]byte(`,"`+name+`":`), object)
	e.insert(m.top.span.end-1, object)
}

// memberText writes members, with a comma behind them if more follow.
func memberText(members []MetaValue, more bool) []byte {
	var text []byte
	for i, v := range members {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, Quote(v.Key)...)
		text = append(text, ':')
		text = append(text, v.Value...)
	}
	if more {
		text = append(text, ',')
	}
	return text
}

func (e *Editor) insert(at int, text []byte) {
	// In front of a removal that starts at the same place.
	e.splices = slices.Insert(e.splices, 0, splice{at, at, text})
}

// dropMembers removes the members to be dropped with the commas that belong to
// them, and returns how many are kept.
func (e *Editor) dropMembers(o *Object) int {
	if len(e.drop) == 0 || !o.Present() {
		return len(o.members)
	}
	kept := 0
	dropped := make([]bool, len(o.members))
	last := -1 // the last member that is kept
	for i, m := range o.members {
		dropped[i] = e.drops(m.name.in(o.raw))
		if !dropped[i] {
			kept, last = kept+1, i
		}
	}
	if kept == 0 && len(o.members) > 0 {
		e.splices = append(e.splices, splice{o.span.start + 1, o.span.end - 1, nil})
		return 0
	}
	for i, m := range o.members {
		switch {
		case !dropped[i]:
		case i < last: // up to the quote that opens the next name
			e.splices = append(e.splices, splice{m.name.start - 1, o.members[i+1].name.start - 1, nil})
		default: // from the end of the value before
			e.splices = append(e.splices, splice{o.members[i-1].value.end, m.value.end, nil})
		}
	}
	return kept
}

// dropNested looks for further _meta objects inside a value, such as those of the
// answers in params.inputResponses, and edits them likewise.
func (e *Editor) dropNested(value span) {
	raw := value.in(e.m.Raw)
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), options...)
	var metaDepth []int        // depths at which a _meta object is open
	var open []*Object         // those objects
	closeAt := func(end int) { // the innermost object ends here
		o := open[len(open)-1]
		o.span.end = end
		e.dropMembers(o)
		open, metaDepth = open[:len(open)-1], metaDepth[:len(metaDepth)-1]
	}
	meta := false // the value that comes next is that of a _meta member
	for {
		depth := dec.StackDepth()
		inMeta := len(open) > 0 && metaDepth[len(metaDepth)-1] == depth
		kind, length := dec.StackIndex(depth)
		isName := kind == '{' && length%2 == 0 && dec.PeekKind() == '"'
		if inMeta && isName {
			name, err := dec.ReadValue()
			if err != nil {
				return
			}
			end := value.start + int(dec.InputOffset()) - 1
			nameSpan := span{end - len(name) + 2, end}
			val, err := dec.ReadValue()
			if err != nil {
				return
			}
			valEnd := value.start + int(dec.InputOffset())
			o := open[len(open)-1]
			o.members = append(o.members, member{nameSpan, span{valEnd - len(val), valEnd}})
			continue
		}
		token, err := dec.ReadToken()
		if err != nil {
			return // the end; the value was found valid before
		}
		end := value.start + int(dec.InputOffset())
		switch {
		case isName:
			meta = token.String() == "_meta"
			continue
		case token.Kind() == '{' && meta:
			open = append(open, &Object{raw: e.m.Raw, span: span{end - 1, end}})
			metaDepth = append(metaDepth, dec.StackDepth())
		case token.Kind() == '}' && inMeta:
			closeAt(end)
		}
		meta = false
	}
}
