package message

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// Members reads an object that stands somewhere in a parsed message, one level deep: the
// raw value of each member by its decoded name. own are the names that the caller looks
// at: a member that differs from one of them only by case, folding or escapes is refused
// with [ErrLookAlike], for another reader might take it for that.
func Members(raw []byte, own ...string) (map[string][]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), options...)
	if dec.PeekKind() != '{' {
		return nil, fmt.Errorf("%w: it must be an object", ErrInvalid)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntax(err)
	}
	members := map[string][]byte{}
	for dec.PeekKind() != '}' {
		quoted, err := dec.ReadValue()
		if err != nil {
			return nil, syntax(err)
		}
		name, _ := Unquote(quoted)
		for _, known := range own {
			if fold(name) == fold(known) && string(quoted) != `"`+known+`"` {
				return nil, fmt.Errorf("%w: %s is not %q", ErrLookAlike, quoted, known)
			}
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, syntax(err)
		}
		members[name] = bytes.Clone(value)
	}
	return members, nil
}

// Strings reads an array of strings that stands somewhere in a parsed message. It reports
// false if it is anything else.
func Strings(raw []byte) ([]string, bool) {
	var all []string
	ok := elements(raw, func(value []byte, _, _ int) bool {
		s, isString := Unquote(value)
		all = append(all, s)
		return isString
	})
	return all, ok
}

// elements calls yield with each element of an array, and where it begins and ends in raw,
// until that returns false. It reports whether it came to the end of an array.
func elements(raw []byte, yield func(value []byte, start, end int) bool) bool {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), options...)
	if dec.PeekKind() != '[' {
		return false
	}
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return false
		}
		end := int(dec.InputOffset())
		if !yield(value, end-len(value), end) {
			return false
		}
	}
	return true
}

// FilterResult removes those elements of an array in result that are not to be kept, with
// the commas that belong to them. All others keep their bytes. What is no array becomes an
// empty one: nobody could tell what of it may be seen. A member whose name differs from this
// one only by case, folding or escapes is treated likewise, for a client might read it.
func (e *Editor) FilterResult(name string, keep func(element []byte) bool) *Editor {
	for value := range e.m.resultsLike(name) {
		e.filter(value, keep)
	}
	return e
}

// HasResult says whether result has a member of this name, or of one that differs from it
// only by case, folding or escapes.
func (m *Message) HasResult(name string) bool {
	for range m.resultsLike(name) {
		return true
	}
	return false
}

// resultsLike yields the values of such members.
func (m *Message) resultsLike(name string) iter.Seq[span] {
	return func(yield func(span) bool) {
		folded := fold(name)
		for _, member := range m.Result.members {
			quoted := m.Raw[member.name.start-1 : member.name.end+1]
			decoded, _ := Unquote(quoted)
			if fold(decoded) == folded && !yield(member.value) {
				return
			}
		}
	}
}

func (e *Editor) filter(array span, keep func(element []byte) bool) {
	var all []span
	var dropped []bool
	last := -1 // the last element that is kept
	ok := elements(array.in(e.m.Raw), func(value []byte, start, end int) bool {
		kept := keep(value)
		if kept {
			last = len(all)
		}
		all, dropped = append(all, span{array.start + start, array.start + end}), append(dropped, !kept)
		return true
	})
	switch {
	case !ok:
		e.splices = append(e.splices, splice{array.start, array.end, []byte("[]")})
		return
	case last < 0 && len(all) > 0:
		e.splices = append(e.splices, splice{array.start + 1, array.end - 1, nil})
		return
	}
	for i, element := range all {
		switch {
		case !dropped[i]:
		case i < last: // up to the next one
			e.splices = append(e.splices, splice{element.start, all[i+1].start, nil})
		default: // from the end of the one before
			e.splices = append(e.splices, splice{all[i-1].end, element.end, nil})
		}
	}
}
