package oauth

import (
	"reflect"
	"strings"
	"testing"
)

func TestDecodeObject(t *testing.T) {
	got, err := decodeObject([]byte(` {"a":1,"b":-2.5,"c":[true,null,"x\u00e9"],"d":{"e":18446744073709551615},"f":1e3,"g":9007199254740993} `))
	want := map[string]any{
		"a": int64(1), "b": -2.5, "c": []any{true, nil, "xé"}, "d": map[string]any{"e": uint64(18446744073709551615)},
		"f": 1000.0, "g": int64(9007199254740993),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v", got, err)
	}
	for _, bad := range []string{
		``, `null`, `[]`, `"x"`, `1`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}x`, `{"a":1}{}`, `{"a":1,"a":2}`,
		`{"a":{"b":1,"b":2}}`, `{"a":01}`, `{"a":1e999}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":"` + "\n" + `"}`, `{'a':1}`,
		"\ufeff{}", `{"a":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat("}", 41),
	} {
		if got, err := decodeObject([]byte(bad)); err == nil {
			t.Errorf("%q is accepted as %v", bad, got)
		}
	}
}

// No input may panic, and a token part must never come back in an error.
func FuzzDecodeObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}]}`))
	f.Add([]byte(`{"a":1,"\u0061":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := decodeObject(raw)
		if (got == nil) == (err == nil) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}
