package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// node is a value of a JSON document with the place where it stands.
type node struct {
	start, end int // of its bytes
	kind       kind
	text       string   // of a string
	members    []member // of an object
	items      []node   // of an array
}

type kind int

const (
	other kind = iota // number, true, false, null
	text
	array
	object
)

// member is a member of an object.
type member struct {
	key   node
	value node
	comma int // where the comma after it stands; -1 if there is none
}

// maxDepth is how deep values may be nested.
const maxDepth = 200

const byteOrderMark = "\ufeff"

// parse reads JSON, also with comments and commas after the last value, as VS Code has it.
func parse(data []byte) (node, error) {
	p := &parser{data: data}
	if bytes.HasPrefix(data, []byte(byteOrderMark)) {
		p.at = len(byteOrderMark)
	}
	root, err := p.value(0)
	if err == nil {
		if err = p.space(); err == nil && p.at < len(data) {
			err = errors.New("there is more after the end of the document")
		}
	}
	if err != nil {
		line := 1 + bytes.Count(data[:p.at], []byte("\n"))
		return node{}, fmt.Errorf("line %d: %w", line, err)
	}
	return root, nil
}

type parser struct {
	data []byte
	at   int
}

func (p *parser) peek() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

// space passes over white space and comments.
func (p *parser) space() error {
	for p.at < len(p.data) {
		rest := p.data[p.at:]
		switch {
		case isSpace(rest[0]):
			p.at++
		case bytes.HasPrefix(rest, []byte("//")):
			if n := bytes.IndexAny(rest, "\r\n"); n >= 0 { // as editors have it, for which a CR alone ends a line
				p.at += n
			} else {
				p.at = len(p.data)
			}
		case bytes.HasPrefix(rest, []byte("/*")):
			n := bytes.Index(rest[2:], []byte("*/"))
			if n < 0 {
				return errors.New("a comment does not end")
			}
			p.at += n + 4
		default:
			return nil
		}
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func (p *parser) value(depth int) (node, error) {
	if depth > maxDepth {
		return node{}, fmt.Errorf("it is nested deeper than %d values", maxDepth)
	}
	if err := p.space(); err != nil {
		return node{}, err
	}
	switch p.peek() {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.string()
	}
	start := p.at
	for p.at < len(p.data) && !isSpace(p.data[p.at]) && !strings.ContainsRune(`,:[]{}"/`, rune(p.data[p.at])) {
		p.at++
	}
	if !json.Valid(p.data[start:p.at]) {
		p.at = start
		return node{}, errors.New("a value is expected here")
	}
	return node{start: start, end: p.at, kind: other}, nil
}

func (p *parser) string() (node, error) {
	start := p.at
	for p.at++; p.at < len(p.data); p.at++ {
		switch p.data[p.at] {
		case '\\':
			p.at++
		case '"':
			p.at++
			n := node{start: start, end: p.at, kind: text}
			return n, json.Unmarshal(p.data[start:p.at], &n.text)
		case '\n':
			return node{}, errors.New("a string does not end on its line")
		}
	}
	p.at = start
	return node{}, errors.New("a string does not end")
}

func (p *parser) array(depth int) (node, error) {
	n := node{start: p.at, kind: array}
	for p.at++; ; {
		if err := p.space(); err != nil {
			return n, err
		}
		if p.peek() == ']' {
			break
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, item)
		comma, err := p.comma(']')
		if err != nil {
			return n, err
		}
		if comma < 0 {
			break
		}
	}
	p.at++
	n.end = p.at
	return n, nil
}

func (p *parser) object(depth int) (node, error) {
	n := node{start: p.at, kind: object}
	for p.at++; ; {
		if err := p.space(); err != nil {
			return n, err
		}
		if p.peek() == '}' {
			break
		}
		if p.peek() != '"' {
			return n, errors.New("a name in double quotes is expected here")
		}
		m, err := p.member(depth)
		if err != nil {
			return n, err
		}
		n.members = append(n.members, m)
		if m.comma < 0 {
			break
		}
	}
	p.at++
	n.end = p.at
	return n, nil
}

func (p *parser) member(depth int) (m member, err error) {
	if m.key, err = p.string(); err != nil {
		return m, err
	}
	if err := p.space(); err != nil {
		return m, err
	}
	if p.peek() != ':' {
		return m, errors.New("a colon is expected here")
	}
	p.at++
	if m.value, err = p.value(depth + 1); err != nil {
		return m, err
	}
	m.comma, err = p.comma('}')
	return m, err
}

// comma passes over a comma, and returns its place; or stops before the closing bracket,
// and returns -1.
func (p *parser) comma(closing byte) (int, error) {
	if err := p.space(); err != nil {
		return -1, err
	}
	switch p.peek() {
	case ',':
		p.at++
		return p.at - 1, nil
	case closing:
		return -1, nil
	}
	return -1, fmt.Errorf("a comma or %c is expected here", closing)
}

// size counts the members of all objects in a value.
func (n node) size() int {
	count := len(n.members)
	for _, m := range n.members {
		count += m.value.size()
	}
	for _, item := range n.items {
		count += item.size()
	}
	return count
}

// find returns the place of a member, or -1. A name that is there twice cannot be
// edited: clients differ in which they take.
func (n node) find(name string) (int, error) {
	found := -1
	for i, m := range n.members {
		if m.key.text != name {
			continue
		}
		if found >= 0 {
			return -1, fmt.Errorf("%q is there twice: remove one", name)
		}
		found = i
	}
	return found, nil
}
