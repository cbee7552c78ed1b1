package message

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// reader pairs a decoder with the buffer it reads, so that both are reused.
type reader struct {
	dec jsontext.Decoder
	buf bytes.Buffer
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// Strings may hold lone surrogate escapes, which the decoder counts as invalid
// UTF-8; the raw bytes are held valid by a check of our own.
var options = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(false)}

// Parse reads one message. maxDepth bounds the nesting; 0 means
// [DefaultMaxDepth]. Raw newlines between values are replaced by spaces in a copy,
// so that Message.Raw is always one line.
//
// The error wraps one of ErrSyntax, ErrDepth, ErrBatch, ErrLookAlike and
// ErrInvalid. With ErrDepth, ErrLookAlike and ErrInvalid the message returned
// holds the id if it was read before the fault, so that the answer can name it.
func Parse(data []byte, maxDepth int) (*Message, error) {
	if maxDepth == 0 {
		maxDepth = DefaultMaxDepth
	}
	m := &Message{}
	if !utf8.Valid(data) {
		return m, fmt.Errorf("%w: not UTF-8", ErrSyntax)
	}
	if tooDeep(data, maxDepth) {
		return m, fmt.Errorf("%w: more than %d levels", ErrDepth, maxDepth)
	}
	m.Raw = oneLine(data)
	m.top.members = m.topBuf[:0]
	m.Params.members = m.paramsBuf[:0]
	m.Meta.members = m.metaBuf[:0]

	rd := readers.Get().(*reader)
	rd.buf = *bytes.NewBuffer(m.Raw)
	rd.dec.Reset(&rd.buf, options...)
	err := m.read(&rd.dec)
	rd.buf = bytes.Buffer{}
	rd.dec.Reset(&rd.buf)
	readers.Put(rd)
	if err != nil {
		return m, err
	}
	return m, m.classify()
}

func (m *Message) read(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '{':
	case '[':
		return ErrBatch
	case jsontext.KindInvalid:
		_, err := dec.ReadValue()
		return syntax(err)
	default:
		if _, err := dec.ReadValue(); err != nil {
			return syntax(err)
		}
		return m.invalid("a message is an object")
	}
	if err := m.readObject(dec, &m.top, levelEnvelope); err != nil {
		return err
	}
	rest := m.Raw[dec.InputOffset():]
	if len(bytes.TrimLeft(rest, " \t")) != 0 {
		return fmt.Errorf("%w: something follows the value", ErrSyntax)
	}
	return nil
}

// readObject reads the object that comes next to its members, and those of its
// members that are objects of the envelope likewise.
func (m *Message) readObject(dec *jsontext.Decoder, o *Object, lvl level) error {
	o.raw = m.Raw
	if _, err := dec.ReadToken(); err != nil {
		return syntax(err)
	}
	start := int(dec.InputOffset()) - 1
	for dec.PeekKind() != '}' {
		quoted, err := dec.ReadValue()
		if err != nil {
			return syntax(err)
		}
		end := int(dec.InputOffset()) - 1
		name := span{end - len(quoted) + 2, end}
		if own := imitates(name.in(m.Raw), lvl); own != "" {
			return fmt.Errorf("%w: %s is not %q", ErrLookAlike, quoted, own)
		}
		value, err := m.readMember(dec, name, lvl)
		if err != nil {
			return err
		}
		o.members = append(o.members, member{name, value})
		if lvl == levelEnvelope && string(name.in(m.Raw)) == "id" {
			m.ID = value.in(m.Raw)
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntax(err)
	}
	o.span = span{start, int(dec.InputOffset())}
	return nil
}

func (m *Message) readMember(dec *jsontext.Decoder, name span, lvl level) (span, error) {
	if dec.PeekKind() == '{' {
		if child, childLevel := m.child(name.in(m.Raw), lvl); child != nil {
			err := m.readObject(dec, child, childLevel)
			return child.span, err
		}
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return span{}, syntax(err)
	}
	end := int(dec.InputOffset())
	value := span{end - len(raw), end}
	isMeta := isMetaName(name.in(m.Raw))
	if isMeta && len(raw) > 1 || mayHoldMeta(raw) {
		m.nested = append(m.nested, nested{value, isMeta, lvl == levelParams && string(name.in(m.Raw)) == "arguments"})
	}
	return value, nil
}

// isMetaName says whether a member's name, as written, could be taken for _meta.
func isMetaName(raw []byte) bool {
	const name = "_meta"
	return hasPrefixFolded(raw, name, metaFolded) && (len(raw) == len(name) || bytes.IndexByte(raw, '\\') >= 0)
}

var metaFolded = fold("_meta")

// child names the objects of a message that are read to their members.
func (m *Message) child(name []byte, lvl level) (*Object, level) {
	switch lvl {
	case levelEnvelope:
		switch string(name) {
		case "params":
			return &m.Params, levelParams
		case "result":
			return &m.Result, levelResult
		case "error":
			return &m.Error, levelError
		}
	case levelParams, levelResult:
		if string(name) == "_meta" {
			return &m.Meta, levelMeta
		}
	}
	return nil, 0
}

// mayHoldMeta finds values in which a further _meta may stand, spelled plainly, in other
// letters or with escapes.
func mayHoldMeta(raw []byte) bool {
	if raw[0] != '{' && raw[0] != '[' {
		return false
	}
	if bytes.Contains(raw, []byte(`\u`)) {
		return true
	}
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '_')
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
		if len(rest) >= 5 && bytes.EqualFold(rest[:4], []byte("meta")) && rest[4] == '"' {
			return true
		}
	}
}

// classify checks the envelope (JSON-RPC 2.0 sections 4 and 5, and what MCP
// narrows: an id is a string or a number, params an object).
func (m *Message) classify() error {
	if v := m.top.Get("jsonrpc"); string(v) != `"2.0"` {
		m.ID = nil
		return m.invalid(`"jsonrpc" must be "2.0"`)
	}
	if id := m.top.find("id"); id != nil && IDKey(m.ID) == "" {
		// Only an error may carry a null id: its sender could not read ours.
		m.ID = nil
		if string(id.value.in(m.Raw)) != "null" || !m.Error.Present() {
			return m.invalid(`"id" must be a string or a number`)
		}
	}
	if size := len(m.ID); size > MaxID {
		m.ID = nil
		return m.invalid(`"id" has %d bytes, at most %d are allowed`, size, MaxID)
	}
	method := m.top.Get("method")
	result, fault := m.top.Get("result"), m.top.Get("error")
	if method == nil {
		return m.classifyResponse(result, fault)
	}
	if result != nil || fault != nil {
		return m.invalid(`"method" cannot stand beside "result" or "error"`)
	}
	if err := m.setMethod(method); err != nil {
		return err
	}
	m.Kind = Notification
	if m.ID != nil {
		m.Kind = Request
	}
	return m.checkParams()
}

func (m *Message) classifyResponse(result, fault []byte) error {
	switch {
	case result == nil && fault == nil:
		return m.invalid(`neither "method" nor "result" nor "error"`)
	case result != nil && fault != nil:
		return m.invalid(`"result" cannot stand beside "error"`)
	case fault != nil && !m.Error.Present():
		return m.invalid(`"error" must be an object`)
	case m.ID == nil && fault == nil:
		return m.invalid(`a response needs the "id" of its request`)
	case m.top.find("params") != nil:
		return m.invalid(`"params" cannot stand beside "result" or "error"`)
	}
	m.Kind = Response
	return m.checkMeta(&m.Result)
}

func (m *Message) setMethod(raw []byte) error {
	if len(raw) < 3 || raw[0] != '"' {
		return m.invalid(`"method" must be a string`)
	}
	plain := raw[1 : len(raw)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		m.Method = interned(plain)
		return nil
	}
	method, ok := Unquote(raw)
	if !ok {
		return m.invalid(`"method" must be a string`)
	}
	m.Method = method
	return nil
}

func (m *Message) checkParams() error {
	params := m.top.Get("params")
	m.paramsNil = string(params) == "null"
	if params != nil && !m.Params.Present() && !m.paramsNil {
		return m.invalid(`"params" must be an object`)
	}
	if size := len(m.Meta.Get(MetaProgressToken)); size > MaxID {
		return m.invalid(`"progressToken" has %d bytes, at most %d are allowed`, size, MaxID)
	}
	return m.checkMeta(&m.Params)
}

func (m *Message) checkMeta(holder *Object) error {
	meta := holder.Get("_meta")
	m.metaNil = string(meta) == "null"
	if meta != nil && !m.Meta.Present() && !m.metaNil {
		return m.invalid(`"_meta" must be an object`)
	}
	return nil
}

// Unquote decodes a raw JSON string.
func Unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	plain := raw[1 : len(raw)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return string(plain), true
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil && len(s) == 0 {
		return "", false
	}
	return string(s), true // a lone surrogate has become U+FFFD
}

// Quote returns s as a raw JSON string.
func Quote(s string) []byte { return appendQuote(nil, s) }

func appendQuote(to []byte, s string) []byte {
	b, err := jsontext.AppendQuote(to, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(to, string(bytes.ToValidUTF8([]byte(s), []byte("\uFFFD"))))
	}
	return b
}

func syntax(err error) error {
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		// The error's own text quotes the input; the place is enough.
		if errors.Is(syn.Err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%w: duplicate member name at byte %d", ErrSyntax, syn.ByteOffset)
		}
		return fmt.Errorf("%w: at byte %d", ErrSyntax, syn.ByteOffset)
	}
	return fmt.Errorf("%w: it ends too early", ErrSyntax)
}

// tooDeep counts nesting outside strings. Most messages are cleared by the number
// of their brackets alone.
func tooDeep(data []byte, limit int) bool {
	if bytes.Count(data, []byte{'{'})+bytes.Count(data, []byte{'['}) <= limit {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// oneLine returns data without the line breaks that JSON allows between values: a
// space in their place changes nothing. One inside a string stays, and the parse
// that follows refuses it.
func oneLine(data []byte) []byte {
	data = bytes.TrimRight(data, " \t\r\n")
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 {
		return data
	}
	flat := bytes.Clone(data)
	quoted := false
	for i := 0; i < len(flat); i++ {
		switch c := flat[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '\n' || c == '\r'):
			flat[i] = ' '
		}
	}
	return flat
}
