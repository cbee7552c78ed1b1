package jsjson

// Kind is the type of a [Value].
type Kind uint8

// The JSON types. The zero Value is JSON null.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is one JSON value as JavaScript holds it after JSON.parse.
type Value struct {
	kind    Kind
	truth   bool
	number  float64
	text    string // of a String, in WTF-8: UTF-8 that may hold lone surrogates
	items   []Value
	members []Member
}

// Member is one name and value of an object.
type Member struct {
	name  string
	Value Value
}

// Name is the member's name as valid UTF-8.
func (m Member) Name() string { return wellFormed(m.name) }

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// Float is the value of a Number, 0 for any other kind. It is infinite where the
// text was out of a double's range.
func (v Value) Float() float64 { return v.number }

// Text is the value of a String as valid UTF-8, lone surrogates replaced by
// U+FFFD; "" for any other kind.
func (v Value) Text() string { return wellFormed(v.text) }

// Items are the elements of an Array, nil for any other kind.
func (v Value) Items() []Value { return v.items }

// Members are the members of an Object in JavaScript's order of property
// enumeration, nil for any other kind.
func (v Value) Members() []Member { return v.members }

// Get returns the named member of an Object. A name that is absent yields JSON
// null, as does an explicit null: the callers make no difference between them.
func (v Value) Get(name string) Value {
	for _, m := range v.members {
		if m.name == name {
			return m.Value
		}
	}
	return Value{}
}

// Empty says whether the value holds nothing: null, "", [] or {}.
func (v Value) Empty() bool {
	switch v.kind {
	case Null:
		return true
	case String:
		return v.text == ""
	case Array:
		return len(v.items) == 0
	case Object:
		return len(v.members) == 0
	default:
		return false
	}
}
