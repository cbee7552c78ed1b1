package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	members, err := Members([]byte(`{ "type" : "ref/prompt", "x\u0041": [1, {"Type":2}], "name":"a\n" }`), "type", "name")
	if err != nil || len(members) != 3 || string(members["type"]) != `"ref/prompt"` || string(members["xA"]) != `[1, {"Type":2}]` || string(members["name"]) != `"a\n"` {
		t.Errorf("%q, %v", members, err)
	}
	for _, raw := range []string{`{"Type":1}`, `{"type":1,"TYPE":2}`, `{"t\u0079pe":1}`, `{"\u006eame":1}`, `{"uſed":1}`} {
		if _, err := Members([]byte(raw), "type", "name", "used"); !errors.Is(err, ErrLookAlike) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for _, raw := range []string{``, `null`, `[]`, `"x"`, `1`} {
		if _, err := Members([]byte(raw)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestStrings(t *testing.T) {
	if got, ok := Strings([]byte(` ["a" , "\u00e9\/", ""]`)); !ok || !slices.Equal(got, []string{"a", "é/", ""}) {
		t.Errorf("%q %v", got, ok)
	}
	for _, raw := range []string{``, `null`, `{}`, `["a",1]`, `[["a"]]`, `"a"`} {
		if got, ok := Strings([]byte(raw)); ok {
			t.Errorf("%s: %q", raw, got)
		}
	}
}

func TestFilterResultKeepsTheBytesOfTheRest(t *testing.T) {
	odd := func(element []byte) bool {
		var n int
		return json.Unmarshal(element, &n) != nil || n%2 == 1
	}
	for list, want := range map[string]string{
		`[]`:                    `[]`,
		`[ ]`:                   `[ ]`,
		`[1]`:                   `[1]`,
		`[2]`:                   `[]`,
		`[ 2 ]`:                 `[]`,
		`[2,4,6]`:               `[]`,
		`[1,2]`:                 `[1]`,
		`[2,1]`:                 `[1]`,
		`[ 2 , 4 , 1 ]`:         `[ 1 ]`,
		`[ 1 , 2 , 4 ]`:         `[ 1 ]`,
		`[1, 2, 3 ,4,5]`:        `[1, 3 ,5]`,
		`[2,1,4,3,6]`:           `[1,3]`,
		`[{"a" : 1e400},2,"]"]`: `[{"a" : 1e400},"]"]`,
		`{"a":2}`:               `[]`,
		`null`:                  `[]`,
		`2`:                     `[]`,
	} {
		const before, after = `{"jsonrpc":"2.0", "id":1 ,"result":{"x" : 0.10,"tools":`, ` ,"nextCursor":"2","_meta":{}}}`
		m, err := Parse([]byte(before+list+after), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(m.Edit().FilterResult("tools", odd).FilterResult("none", odd).Bytes()); got != before+want+after {
			t.Errorf("%s becomes %s, want %s", list, got, before+want+after)
		}
	}
}

// A client that reads names laxly must find no list that was not filtered.
func TestFilterResultTakesLookAlikesForTheList(t *testing.T) {
	for _, name := range []string{`tools`, `Tools`, `TOOLS`, `t\u006fols`, `tool\u017f`, `toolſ`} {
		m, err := Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{"`+name+`":[1,2],"tool":[2]}}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		got := string(m.Edit().FilterResult("tools", func(e []byte) bool { return string(e) == "1" }).Bytes())
		if want := `{"jsonrpc":"2.0","id":1,"result":{"` + name + `":[1],"tool":[2]}}`; got != want || !m.HasResult("tools") || m.HasResult("prompts") {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What leaves an element that goes anyway must not disturb the rest.
func TestFilterResultBesideOtherEdits(t *testing.T) {
	m, err := Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"n":"a","_meta":{"x/1":1}},{"n":"b","_meta":{"x/1":1,"y":2}},{"n":"a"}],"cacheScope":"public"}}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	got := m.Edit().ID([]byte("7")).DropMeta("x/").FilterResult("tools", func(e []byte) bool { return !bytes.Contains(e, []byte(`"a"`)) }).
		ResultMember("cacheScope", []byte(`"private"`)).ResultMember("cacheScope", []byte(`"private"`)).DefaultMeta("z", []byte("3")).Bytes()
	const want = `{"jsonrpc":"2.0","id":7,"result":{"_meta":{"z":3},"tools":[{"n":"b","_meta":{"y":2}}],"cacheScope":"private"}}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// Whatever is filtered, the result is JSON of exactly the elements that were kept.
func FuzzFilterResult(f *testing.F) {
	f.Add(`[1, 2,{"a":[3]} ,"x"]`, uint16(5))
	f.Add(`[ ]`, uint16(0))
	f.Fuzz(func(t *testing.T, list string, mask uint16) {
		m, err := Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{"l":`+list+`,"n":1}}`), 0)
		if err != nil || !strings.HasPrefix(strings.TrimSpace(list), "[") || len(m.Result.members) != 2 {
			return
		}
		var want []string
		i := 0
		edited := m.Edit().FilterResult("l", func(element []byte) bool {
			kept := mask>>(i%16)&1 == 1
			if i++; kept {
				want = append(want, string(element))
			}
			return kept
		}).Bytes()
		again, err := Parse(edited, 0)
		if err != nil {
			t.Fatalf("%s becomes %s: %v", m.Raw, edited, err)
		}
		var got []string
		elements(again.Result.Get("l"), func(value []byte, _, _ int) bool {
			got = append(got, string(value))
			return true
		})
		if !slices.Equal(got, want) || string(again.Result.Get("n")) != "1" {
			t.Fatalf("%s becomes %s, want %q", m.Raw, edited, want)
		}
	})
}
