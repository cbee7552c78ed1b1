package jsjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) Value {
	t.Helper()
	v, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return v
}

// The wanted texts are what Node.js 20 prints for JSON.stringify(JSON.parse(in)).
func TestCompactIsJSONStringify(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"order kept", `{"b":1,"a":2,"c":3}`, `{"b":1,"a":2,"c":3}`},
		{"integer keys first", `{"b":1,"10":2,"2":3,"a":4,"0":5}`, `{"0":5,"2":3,"10":2,"b":1,"a":4}`},
		{"not array indices", `{"x":1,"01":2,"4294967295":3,"-1":4,"4294967294":5,"1.5":6}`,
			`{"4294967294":5,"x":1,"01":2,"4294967295":3,"-1":4,"1.5":6}`},
		{"last of a repeated key, in the first's place", `{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		{"empty", `{"a":[],"b":{},"c":""}`, `{"a":[],"b":{},"c":""}`},
		{"literals", ` [ true , false , null ] `, `[true,false,null]`},
		{"integers", `[0,-0,1,-1,100,1.0,1e2,9007199254740993]`, `[0,0,1,-1,100,1,100,9007199254740992]`},
		{"fractions", `[0.1,1.50,1e-6,1e-7,1.25e-10,123456.789]`, `[0.1,1.5,0.000001,1e-7,1.25e-10,123456.789]`},
		{"large", `[1e20,1e21,1.5e300,123456789012345680000]`, `[100000000000000000000,1e+21,1.5e+300,123456789012345680000]`},
		{"out of range", `[1e999,-1e999,1e-999]`, `[null,null,0]`},
		{"escapes", `"\b\f\n\r\t\"\\\/\u0000\u001f\u007f"`, `"\b\f\n\r\t\"\\/\u0000\u001f` + "\x7f" + `"`},
		{"no HTML escapes", `"<>&\u2028\u2029\u00e9"`, "\"<>&\u2028\u2029é\""},
		{"surrogate pair", `"\ud83d\ude00 😀"`, `"😀 😀"`},
		{"lone surrogates", `"\ud800 \udfff \ud83dx \uDBFF\u0041"`, `"\ud800 \udfff \ud83dx \udbffA"`},
		{"near surrogates", "\"\\ud7ff\\ue000\"", "\"\ud7ff\ue000\""},
		{"keys are quoted", `{"a\"b\n":1,"\ud800":2}`, `{"a\"b\n":1,"\ud800":2}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := parse(t, test.in).Compact(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestIndentedIsJSONStringifyWithTwoSpaces(t *testing.T) {
	in := `{"z":{"list":[1,[],{},[{"k":null}]],"empty":{}},"1":"a"}`
	want := `{
  "1": "a",
  "z": {
    "list": [
      1,
      [],
      {},
      [
        {
          "k": null
        }
      ]
    ],
    "empty": {}
  }
}`
	if got := parse(t, in).Indented(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManyMembersKeepOrderAndLastValue(t *testing.T) {
	var in, want strings.Builder
	in.WriteString("{")
	want.WriteString("{")
	for i := range 100 {
		fmt.Fprintf(&in, `"k%d":0,`, i)
		sep := ","
		if i == 99 {
			sep = ""
		}
		fmt.Fprintf(&want, `"k%d":%d%s`, i, map[bool]int{true: 7}[i == 3 || i == 80], sep)
	}
	in.WriteString(`"k3":7,"k80":7}`)
	want.WriteString("}")
	if got := parse(t, in.String()).Compact(); got != want.String() {
		t.Errorf("got  %s\nwant %s", got, want.String())
	}
}

func TestTextIsValidUTF8(t *testing.T) {
	v := parse(t, `{"\udc00":"a\ud800b"}`)
	if got := v.Members()[0].Name(); got != "\uFFFD" {
		t.Errorf("name %q", got)
	}
	if got := v.Members()[0].Value.Text(); got != "a\uFFFDb" {
		t.Errorf("text %q", got)
	}
	if got := parse(t, "\"a\xffb\"").Text(); got != "a\uFFFDb" {
		t.Errorf("invalid UTF-8 became %q", got)
	}
}

func TestGetMakesNoDifferenceBetweenAbsentAndNull(t *testing.T) {
	v := parse(t, `{"a":null,"b":[1]}`)
	if v.Get("a").Kind() != Null || v.Get("x").Kind() != Null || len(v.Get("b").Items()) != 1 {
		t.Errorf("got %v %v %v", v.Get("a"), v.Get("x"), v.Get("b"))
	}
	if parse(t, `3`).Get("a").Kind() != Null {
		t.Error("a number has members")
	}
}

func TestEmpty(t *testing.T) {
	for text, want := range map[string]bool{
		`null`: true, `""`: true, `[]`: true, `{}`: true,
		`0`: false, `false`: false, `" "`: false, `[null]`: false, `{"a":null}`: false,
	} {
		if got := parse(t, text).Empty(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestParseRefusesWhatIsNotOneValue(t *testing.T) {
	for _, text := range []string{"", " ", "{", `{"a"}`, "[1,]", "1 2", "nul", `"\x"`, "\"\n\"", "NaN"} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	}
}

func TestTrimSpaceIsJavaScripts(t *testing.T) {
	if got := TrimSpace("\uFEFF\u00a0 \n\u2003a b\u0085\u3000\v"); got != "a b\u0085" {
		t.Errorf("got %q", got)
	}
}

func TestFormatNumber(t *testing.T) {
	for in, want := range map[string]string{
		`5`: "5", `5.0`: "5", `5.5`: "5.5", `-3`: "-3", `1e21`: "1e+21", `-1e-7`: "-1e-7", `1e999`: "Infinity", `-1e999`: "-Infinity",
	} {
		if got := FormatNumber(parse(t, in).Float()); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// FuzzParse holds that whatever encoding/json accepts is read and written as JSON
// again, and that writing is a fixed point.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",{"2":null}]}`, `"\ud800\u0000"`, `[1e999,-0.0]`, " {} ", "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if (err == nil) != json.Valid(data) {
			t.Fatalf("Parse: %v", err)
		}
		if err != nil {
			return
		}
		again, err := Parse([]byte(v.Indented()))
		if err != nil {
			t.Fatalf("own text refused: %v", err)
		}
		if again.Compact() != v.Compact() {
			t.Fatalf("%s\nbecame %s", v.Compact(), again.Compact())
		}
	})
}
