package jsjson

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ErrSyntax means that the text is not one JSON value.
var ErrSyntax = errors.New("not valid JSON")

// manyMembers is the size from which an object's names are looked up in a map
// while it is read, so that a hostile object cannot cost quadratic time.
const manyMembers = 16

// Parse reads one JSON value (RFC 8259). Nesting is limited to the 10,000 levels
// of encoding/json. The error is [ErrSyntax].
func Parse(data []byte) (Value, error) {
	if !json.Valid(data) {
		return Value{}, ErrSyntax
	}
	p := parser{data: data}
	return p.value(), nil
}

// parser walks text that json.Valid has accepted, so it checks nothing again.
type parser struct {
	data []byte
	pos  int
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) value() Value {
	p.space()
	switch c := p.data[p.pos]; c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return Value{kind: String, text: p.str()}
	case 't':
		p.pos += len("true")
		return Value{kind: Bool, truth: true}
	case 'f':
		p.pos += len("false")
		return Value{kind: Bool}
	case 'n':
		p.pos += len("null")
		return Value{}
	default:
		return p.num()
	}
}

func (p *parser) num() Value {
	start := p.pos
	for p.pos < len(p.data) && isNumberByte(p.data[p.pos]) {
		p.pos++
	}
	// Out of range is not an error here: ParseFloat then yields the infinity or
	// the zero that JavaScript yields too.
	f, _ := strconv.ParseFloat(string(p.data[start:p.pos]), 64)
	return Value{kind: Number, number: f}
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (p *parser) array() Value {
	v := Value{kind: Array}
	p.pos++
	for p.space(); p.data[p.pos] != ']'; p.space() {
		if p.data[p.pos] == ',' {
			p.pos++
		}
		v.items = append(v.items, p.value())
	}
	p.pos++
	return v
}

func (p *parser) object() Value {
	v := Value{kind: Object}
	var seen map[string]int
	p.pos++
	for p.space(); p.data[p.pos] != '}'; p.space() {
		if p.data[p.pos] == ',' {
			p.pos++
			p.space()
		}
		name := p.str()
		p.space()
		p.pos++ // the colon
		member := Member{name: name, Value: p.value()}
		if len(v.members) == manyMembers && seen == nil {
			seen = make(map[string]int)
			for i, m := range v.members {
				seen[m.name] = i
			}
		}
		if i := indexOf(v.members, seen, name); i >= 0 {
			v.members[i] = member
			continue
		}
		if seen != nil {
			seen[name] = len(v.members)
		}
		v.members = append(v.members, member)
	}
	p.pos++
	integersFirst(v.members)
	return v
}

func indexOf(members []Member, seen map[string]int, name string) int {
	if seen != nil {
		if i, ok := seen[name]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(members, func(m Member) bool { return m.name == name })
}

// integersFirst puts array indices first, in rising order, and leaves the others
// in the order they came (ECMA-262 section 10.1.11.1, OrdinaryOwnPropertyKeys).
func integersFirst(members []Member) {
	slices.SortStableFunc(members, func(a, b Member) int {
		i, isIndexA := arrayIndex(a.name)
		j, isIndexB := arrayIndex(b.name)
		switch {
		case isIndexA && isIndexB:
			return int(i - j)
		case isIndexA:
			return -1
		case isIndexB:
			return 1
		default:
			return 0
		}
	})
}

// arrayIndex says whether the name is a canonical decimal from 0 to 2^32-2.
func arrayIndex(name string) (int64, bool) {
	if name == "" || len(name) > 10 || name[0] == '0' && len(name) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(name) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n < 1<<32-1
}

// str reads a string whose opening quote is at pos.
func (p *parser) str() string {
	p.pos++
	start := p.pos
	for c := p.data[p.pos]; c != '"' && c != '\\' && c < utf8.RuneSelf; c = p.data[p.pos] {
		p.pos++
	}
	if p.data[p.pos] == '"' {
		s := string(p.data[start:p.pos])
		p.pos++
		return s
	}
	out := append([]byte(nil), p.data[start:p.pos]...)
	for p.data[p.pos] != '"' {
		switch c := p.data[p.pos]; {
		case c == '\\':
			out = p.escape(out)
		case c < utf8.RuneSelf:
			out = append(out, c)
			p.pos++
		default:
			r, size := utf8.DecodeRune(p.data[p.pos:])
			out = utf8.AppendRune(out, r)
			p.pos += size
		}
	}
	p.pos++
	return string(out)
}

func (p *parser) escape(out []byte) []byte {
	c := p.data[p.pos+1]
	if c != 'u' {
		p.pos += 2
		return append(out, unescaped(c))
	}
	unit := p.unit(p.pos)
	p.pos += 6
	if isHigh(unit) && p.data[p.pos] == '\\' && p.data[p.pos+1] == 'u' {
		if low := p.unit(p.pos); isLow(low) {
			p.pos += 6
			return utf8.AppendRune(out, 0x10000+(unit-0xD800)<<10+(low-0xDC00))
		}
	}
	return appendCodeUnit(out, unit)
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // a quote, a slash or a backslash stands for itself
		return c
	}
}

// unit reads the UTF-16 code unit of the \uXXXX at pos.
func (p *parser) unit(pos int) rune {
	n, _ := strconv.ParseUint(string(p.data[pos+2:pos+6]), 16, 16)
	return rune(n)
}
