package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// schema is a JSON Schema as a decoder yields it.
type schema map[string]any

func (s schema) child(name string) schema {
	child, _ := s[name].(map[string]any)
	return child
}

func (s schema) text(name string) string {
	text, _ := s[name].(string)
	return text
}

// required are the members that must be there: of the schema, and of the alternatives of
// an anyOf that are not errors. What stands in one of these is there unless the call fails.
func (s schema) required() map[string]bool {
	required := map[string]bool{}
	add := func(names any) {
		list, _ := names.([]any)
		for _, name := range list {
			if name, ok := name.(string); ok {
				required[name] = true
			}
		}
	}
	add(s["required"])
	alternatives, _ := s["anyOf"].([]any)
	for _, alternative := range alternatives {
		if a, ok := alternative.(map[string]any); ok {
			add(a["required"])
		}
	}
	return required
}

// declarations writes Go types for schemas.
type declarations struct {
	b     strings.Builder
	names map[string]bool
}

// structure writes the type of an object and returns its name. Members in without are
// left out.
func (t *declarations) structure(name, comment string, s schema, without ...string) error {
	if t.names[name] {
		return fmt.Errorf("there are two types that would be called %s", name)
	}
	t.names[name] = true
	required := s.required()
	properties := s.child("properties")
	var fields strings.Builder
	taken := map[string]bool{}
	for _, member := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(without, member) {
			continue
		}
		field, err := goName(member)
		if err != nil {
			return err
		}
		if taken[field] {
			return fmt.Errorf("%s has two members that would be called %s", name, field)
		}
		taken[field] = true
		its := schema(properties.child(member))
		kind, err := t.kind(name+field, its)
		if err != nil {
			return err
		}
		tag := member
		if !required[member] {
			tag += ",omitempty"
			if canBeLeftOut := strings.HasPrefix(kind, "[]") || strings.HasPrefix(kind, "map[") || kind == "any"; !canBeLeftOut {
				kind = pointer(kind)
			}
		}
		if described := its.text("description"); described != "" {
			fields.WriteString(commented("\t", described))
		}
		fmt.Fprintf(&fields, "\t%s %s `json:%q`\n", field, kind, tag)
	}
	fmt.Fprintf(&t.b, "\n%stype %s struct {\n%s}\n", commented("", comment), name, fields.String())
	return nil
}

// kind is the Go type of a schema. What it cannot say more exactly is any.
func (t *declarations) kind(name string, s schema) (string, error) {
	switch of := s["type"].(type) {
	case string:
		return t.named(of, name, s)
	case []any:
		if len(of) != 2 || !slices.Contains(of, any("null")) {
			return "any", nil
		}
		other, _ := of[0].(string)
		if other == "null" {
			other, _ = of[1].(string)
		}
		kind, err := t.named(other, name, s)
		if kind == "any" || err != nil {
			return kind, err
		}
		return pointer(kind), nil
	}
	return "any", nil
}

func (t *declarations) named(of, name string, s schema) (string, error) {
	switch of {
	case "string":
		return "string", nil
	case "integer":
		return "int64", nil
	case "number":
		return "float64", nil
	case "boolean":
		return "bool", nil
	case "array":
		kind, err := t.kind(name+"Item", s.child("items"))
		return "[]" + kind, err
	case "object":
		if len(s.child("properties")) == 0 {
			return "map[string]any", nil
		}
		return name, t.structure(name, name+" is part of another type.", s)
	}
	return "any", nil
}

// pointer is the type that can also be nothing.
func pointer(kind string) string {
	if strings.HasPrefix(kind, "*") {
		return kind
	}
	return "*" + kind
}

// initials are written in capitals in Go.
var initials = map[string]string{"id": "ID", "uri": "URI", "url": "URL"}

// goName makes the exported Go name of what is called save_snapshot or save-snapshot.
func goName(name string) (string, error) {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' || r == '.' || r == '/' }) {
		if capitals := initials[word]; capitals != "" {
			b.WriteString(capitals)
			continue
		}
		for i, r := range word {
			if i == 0 {
				r = unicode.ToUpper(r)
			}
			if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return "", fmt.Errorf("%q cannot be a name in Go", name)
			}
			b.WriteRune(r)
		}
	}
	if made := b.String(); made != "" && unicode.IsUpper(rune(made[0])) {
		return made, nil
	}
	return "", fmt.Errorf("%q cannot be an exported name in Go", name)
}

// commented is a text as a comment. Whatever the server says stays in it, and what Go does
// not take in a comment is left out.
func commented(indent, text string) string {
	var b strings.Builder
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == '\uFEFF' {
				return ' '
			}
			return r
		}, line)
		b.WriteString(indent + "// " + line + "\n")
	}
	return b.String()
}
