package seal

import (
	"errors"
	"strings"
	"testing"
)

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Seal("purpose", map[string]string{"id": "x"})
	if err != nil {
		t.Fatal(err)
	}
	var value map[string]string
	if err := s.Open("purpose", token, &value); err != nil || value["id"] != "x" {
		t.Errorf("opened %v, %v", value, err)
	}
}

func TestTokensOfOneValueDiffer(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.Seal("p", 1)
	b, _ := s.Seal("p", 1)
	if a == b {
		t.Error("two tokens are equal: a nonce was used twice")
	}
}

func TestOpenRefusesWhatWasNotMadeHere(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	other, err := New()
	if err != nil {
		t.Fatal(err)
	}
	token, _ := s.Seal("purpose", "value")
	foreign, _ := other.Seal("purpose", "value")
	last := "A"
	if strings.HasSuffix(token, last) {
		last = "B"
	}
	for name, tc := range map[string]struct{ purpose, token string }{
		"nothing":         {"purpose", ""},
		"rubbish":         {"purpose", "!!"},
		"too short":       {"purpose", "AAAA"},
		"another key":     {"purpose", foreign},
		"another purpose": {"other", token},
		"a changed end":   {"purpose", token[:len(token)-2] + last + last},
		"a changed start": {"purpose", "AAAA" + token[4:]},
		"cut short":       {"purpose", token[:len(token)-4]},
		"padded":          {"purpose", token + "="},
		"endless":         {"purpose", strings.Repeat("A", 1<<20)},
	} {
		var value string
		if err := s.Open(tc.purpose, tc.token, &value); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error = %v, value %q", name, err, value)
		}
	}
}
