package message

import (
	"bytes"
	"slices"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// splice replaces Raw[start:end] by text.
type splice struct {
	start, end int
	text       []byte
}

// Editor collects changes to one message. Whatever it is not told to change keeps
// its bytes, order and white space. The zero Editor is not usable: see
// [Message.Edit]. Nor is one whose [Editor.Bytes] were taken.
type Editor struct {
	m       *Message
	splices []splice

	drop   []droppedPrefix
	params []string    // to leave params
	set    []MetaValue // into _meta
	front  []MetaValue // into params or result
}

// droppedPrefix is what the names of members begin with that leave every _meta.
type droppedPrefix struct{ prefix, folded string }

// MetaValue is a member that an [Editor] puts into _meta, params or result.
type MetaValue struct {
	Key   string
	Value []byte // raw JSON, on one line
}

// editors are kept for the next message.
var editors = sync.Pool{New: func() any { return new(Editor) }}

// Edit begins a set of changes.
func (m *Message) Edit() *Editor {
	e := editors.Get().(*Editor)
	e.m = m
	return e
}

// release makes the editor that of another message.
func (e *Editor) release() {
	*e = Editor{
		splices: emptied(e.splices), drop: emptied(e.drop), params: emptied(e.params),
		set: emptied(e.set), front: emptied(e.front),
	}
	editors.Put(e)
}

// emptied keeps the memory of a short list, and nothing that is in it.
func emptied[T any](list []T) []T {
	const short = 16
	if cap(list) > short {
		return nil
	}
	clear(list[:cap(list)])
	return list[:0]
}

// ID replaces the id of a request or response by raw JSON.
func (e *Editor) ID(raw []byte) *Editor {
	return e.replace(&e.m.top, "id", raw)
}

// Param replaces a member of params, if it is there.
func (e *Editor) Param(name string, raw []byte) *Editor {
	return e.replace(&e.m.Params, name, raw)
}

// SetParam replaces a member of params, or puts it in front of the others.
func (e *Editor) SetParam(name string, raw []byte) *Editor {
	if e.m.Params.find(name) == nil {
		e.front = append(e.front, MetaValue{name, raw})
		return e
	}
	return e.Param(name, raw)
}

// DropParams removes members of params.
func (e *Editor) DropParams(names ...string) *Editor {
	e.params = append(e.params, names...)
	return e
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
		folded, ok := foldedPrefixes.Load(prefix)
		if !ok {
			folded, _ = foldedPrefixes.LoadOrStore(prefix, fold(prefix))
		}
		e.drop = append(e.drop, droppedPrefix{prefix, folded.(string)})
	}
	return e
}

// foldedPrefixes are those of DropMeta, which are the few that the program names.
var foldedPrefixes sync.Map

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
		e.front = append(e.front, MetaValue{name, raw})
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
		for _, n := range e.m.nested {
			// A tool's arguments are its own affair. Other methods have none.
			if !n.arguments || e.m.Method != MethodToolsCall && e.m.Method != MethodPromptsGet {
				e.dropNested(n)
			}
		}
	}
	slices.SortStableFunc(e.splices, func(a, b splice) int { return a.start - b.start })
	e.splices = outermost(e.splices)
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

// outermost leaves out changes inside of what another change replaces.
func outermost(sorted []splice) []splice {
	kept, end := sorted[:0], 0
	for _, s := range sorted {
		if s.start < end {
			continue
		}
		kept, end = append(kept, s), s.end
	}
	return kept
}

// Bytes applies the changes to a new slice, and ends the editor's use.
func (e *Editor) Bytes() []byte {
	edited := e.Append(nil)
	e.release()
	return edited
}

func (e *Editor) editMeta() {
	m := e.m
	holder, name := &m.Params, "params"
	if m.Kind == Response {
		if !m.Result.Present() {
			return
		}
		holder, name = &m.Result, "result"
	}
	front := e.front
	inMeta, inHolder := len(m.Meta.members), len(holder.members)
	if len(e.drop) > 0 {
		inMeta = e.dropMembers(&m.Meta, e.drops)
	}
	if len(e.params) > 0 && holder == &m.Params {
		inHolder = e.dropMembers(holder, func(name []byte) bool { return slices.Contains(e.params, string(name)) })
	}
	if len(e.set) > 0 {
		inner := memberText(e.set, inMeta > 0)
		switch {
		case m.Meta.Present():
			e.insert(m.Meta.span.start+1, inner)
		case m.metaNil:
			e.replace(holder, "_meta", object(inner))
		default:
			front = append(front[:len(front):len(front)], MetaValue{"_meta", object(inner)})
		}
	}
	if len(front) == 0 {
		return
	}
	if holder.Present() {
		e.insert(holder.span.start+1, memberText(front, inHolder > 0))
		return
	}
	whole := object(memberText(front, false))
	if m.paramsNil {
		e.replace(&m.top, name, whole)
		return
	}
	e.insert(m.top.span.end-1, slices.Concat([]byte(`,"`+name+`":`), whole))
}

func object(members []byte) []byte { return slices.Concat([]byte{'{'}, members, []byte{'}'}) }

// memberText writes members, with a comma behind them if more follow.
func memberText(members []MetaValue, more bool) []byte {
	size := 1
	for _, v := range members {
		size += len(v.Key) + len(v.Value) + len(`"":,`)
	}
	text := make([]byte, 0, size)
	for i, v := range members {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendQuote(text, v.Key)
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
func (e *Editor) dropMembers(o *Object, drops func(name []byte) bool) int {
	if !o.Present() {
		return 0
	}
	kept := 0
	dropped := make([]bool, len(o.members))
	last := -1 // the last member that is kept
	for i, m := range o.members {
		dropped[i] = drops(m.name.in(o.raw))
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
func (e *Editor) dropNested(n nested) {
	w := nestedWalker{e: e, dec: jsontext.NewDecoder(bytes.NewBuffer(n.value.in(e.m.Raw)), options...), base: n.value.start}
	w.value(n.isMeta)
}

// nestedWalker reads a value that was found valid before.
type nestedWalker struct {
	e    *Editor
	dec  *jsontext.Decoder
	base int // of the value in the message
}

func (w *nestedWalker) at() int { return w.base + int(w.dec.InputOffset()) }

// value reads the next value. It reports false at an error, which ends the walk.
func (w *nestedWalker) value(isMeta bool) bool {
	switch w.dec.PeekKind() {
	case '{':
		return w.object(isMeta)
	case '[':
		if _, err := w.dec.ReadToken(); err != nil {
			return false
		}
		for w.dec.PeekKind() != ']' {
			if !w.value(isMeta) {
				return false
			}
		}
		_, err := w.dec.ReadToken()
		return err == nil
	}
	return w.dec.SkipValue() == nil
}

// object reads an object, and drops members of it if it is a _meta.
func (w *nestedWalker) object(isMeta bool) bool {
	if _, err := w.dec.ReadToken(); err != nil {
		return false
	}
	o := &Object{raw: w.e.m.Raw, span: span{start: w.at() - 1}}
	for w.dec.PeekKind() != '}' {
		quoted, err := w.dec.ReadValue()
		if err != nil {
			return false
		}
		end := w.at() - 1
		name := span{end - len(quoted) + 2, end}
		// White space and a colon stand between name and value.
		w.dec.PeekKind()
		if !w.value(isMetaName(name.in(w.e.m.Raw))) {
			return false
		}
		if isMeta {
			o.members = append(o.members, member{name, span{end + 1, w.at()}})
		}
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return false
	}
	o.span.end = w.at()
	if isMeta {
		w.e.dropMembers(o, w.e.drops)
	}
	return true
}
