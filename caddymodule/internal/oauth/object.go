package oauth

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxNesting bounds how deep a token's claims may nest.
const maxNesting = 32

var (
	errNotObject  = errors.New("is not one JSON object")
	errTooNested  = errors.New("is nested too deeply")
	errTrailing   = errors.New("has something after the JSON object")
	errBadJSON    = errors.New("is not valid JSON with unique names") // a jsontext error may quote the input
	errBadLiteral = errors.New("has a number out of range")
)

// decodeObject reads one JSON object, as RFC 7515 section 4 and RFC 7519 section
// 4 want it: a name that occurs twice is refused, since two readers could
// each believe another one. Whole numbers become int64 or uint64 and so keep
// every digit; other numbers become float64.
func decodeObject(raw []byte) (map[string]any, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if dec.PeekKind() != '{' {
		return nil, errNotObject
	}
	value, err := decodeValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errTrailing
	}
	return value.(map[string]any), nil
}

func decodeValue(dec *jsontext.Decoder) (any, error) {
	if dec.StackDepth() > maxNesting {
		return nil, errTooNested
	}
	token, err := dec.ReadToken()
	if err != nil {
		return nil, errBadJSON
	}
	switch token.Kind() {
	case '{':
		return decodeMembers(dec)
	case '[':
		return decodeElements(dec)
	case '"':
		return token.String(), nil
	case '0':
		return decodeNumber(token.String())
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

func decodeMembers(dec *jsontext.Decoder) (any, error) {
	object := make(map[string]any)
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, errBadJSON
		}
		key := name.String()
		if object[key], err = decodeValue(dec); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errBadJSON
	}
	return object, nil
}

func decodeElements(dec *jsontext.Decoder) (any, error) {
	list := []any{}
	for dec.PeekKind() != ']' {
		value, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errBadJSON
	}
	return list, nil
}

func decodeNumber(literal string) (any, error) {
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n, nil
	}
	if n, err := strconv.ParseUint(literal, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return nil, errBadLiteral
	}
	return f, nil
}
