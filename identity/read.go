package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxSize bounds an identity in bytes of JSON. The gateway takes tokens of at most
	// 16 KiB, so that what it stamps is far below, whatever claims are listed.
	MaxSize = 256 << 10

	// maxDepth bounds how deep an identity is nested, as the gateway does with messages.
	maxDepth = 128
)

// known are the members of an identity.
var known = []string{"issuer", "subject", "user", "client_id", "scopes", "expires", "claims"}

// FromMeta returns the identity in a request's _meta, as go-sdk's GetMeta or any
// decoder into map[string]any yields it. The error is [ErrMissing] if there is
// none, or wraps [ErrInvalid].
func FromMeta(meta map[string]any) (*Identity, error) {
	value, ok := meta[MetaKey]
	if !ok || value == nil {
		return nil, ErrMissing
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return Parse(raw)
}

// FromParams returns the identity in the params of a request or notification, as
// they stand in the message. Unlike a decoder into a struct, which takes "_META" for
// "_meta" and the last of two members for the one, it believes neither. The error is
// [ErrMissing] if there is no identity, and nil params have none, or wraps
// [ErrInvalid].
func FromParams(params []byte) (*Identity, error) {
	meta, err := member(params, "_meta")
	if err != nil || meta == nil {
		return nil, orMissing(err)
	}
	raw, err := member(meta, MetaKey)
	if err != nil || raw == nil {
		return nil, orMissing(err)
	}
	return Parse(raw)
}

func orMissing(err error) error {
	if err == nil {
		return ErrMissing
	}
	return fmt.Errorf("%w: %v", ErrInvalid, err)
}

// member is the one member of that name in an object, nil if there is none, or it
// is null, or raw is no object.
func member(raw []byte, name string) (found json.RawMessage, err error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	seen := false
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if key != name {
			continue
		}
		if seen {
			return nil, fmt.Errorf("%q stands there twice", name)
		}
		seen = true
		if !bytes.Equal(value, []byte("null")) {
			found = value
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return found, nil
}

// Parse reads an identity from its JSON form and validates it. A member that stands
// there twice, at any depth, or differs from one of the identity's own only in case
// is refused, because another reader of the same bytes could see another user;
// others are ignored. The error wraps [ErrInvalid].
func Parse(raw []byte) (*Identity, error) {
	if err := unambiguous(raw); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	var id Identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if err := id.Validate(); err != nil {
		return nil, err
	}
	return &id, nil
}

// unambiguous says what about the JSON could be read in two ways.
func unambiguous(raw []byte) error {
	if len(raw) > MaxSize {
		return fmt.Errorf("%d bytes, more than %d", len(raw), MaxSize)
	}
	if !utf8.Valid(raw) {
		return errors.New("not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	// As text any number will do; the decoder's own kind has no room for large ones.
	decoder.UseNumber()
	return value(decoder, 0)
}

// value walks over one value. That the JSON is well-formed, and that nothing follows
// it, is json.Unmarshal's to check.
func value(decoder *json.Decoder, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	seen := make(map[string]bool)
	for decoder.More() {
		if delim == '{' {
			if err := name(decoder, seen, depth); err != nil {
				return err
			}
		}
		if err := value(decoder, depth+1); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// name reads the name of a member of an object, in which those of seen came before.
func name(decoder *json.Decoder, seen map[string]bool, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	key, ok := token.(string)
	if !ok {
		return fmt.Errorf("%v in place of a name", token)
	}
	if seen[key] {
		return fmt.Errorf("%q stands there twice", key)
	}
	seen[key] = true
	if depth > 0 || slices.Contains(known, key) {
		return nil
	}
	for _, own := range known {
		if strings.EqualFold(key, own) {
			return fmt.Errorf("%q looks like %q", key, own)
		}
	}
	return nil
}
