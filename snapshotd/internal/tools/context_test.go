package tools

import (
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
)

func TestFormatContext(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"all of them, in the server's order",
			`{"notes":"free text","code_state":{"b":1,"a":[]},"blockers":["b1"],"decisions":["d1","d2"],"files":["f1","f2"],"more":{"z":1,"y":null}}`,
			"Files:\n- f1\n- f2\n\nDecisions:\n- d1\n- d2\n\nBlockers:\n- b1\n\nCode State:\n{\n  \"b\": 1,\n  \"a\": []\n}\n\n" +
				"notes:\nfree text\n\nmore:\n{\n  \"z\": 1,\n  \"y\": null\n}"},
		{"empty blocks left out", `{"files":[],"decisions":null,"code_state":{},"x":"","y":[],"z":{},"w":null}`, ""},
		{"nothing", `{}`, ""},
		{"false and zero say something", `{"done":false,"count":0}`, "done:\nfalse\n\ncount:\n0"},
		{"further members in JavaScript's order", `{"b":"1","2":"2","a":"3","1":"4"}`, "1:\n4\n\n2:\n2\n\nb:\n1\n\na:\n3"},
		{"items that are no strings", `{"files":[{"path":"a","n":1.0},3,null,["x"]]}`, "Files:\n- {\"path\":\"a\",\"n\":1}\n- 3\n- null\n- [\"x\"]"},
		{"lists that are no lists", `{"files":"a.go","blockers":{"x":1},"decisions":2}`, "Files:\na.go\n\nDecisions:\n2\n\nBlockers:\n{\n  \"x\": 1\n}"},
		{"code state that is text", `{"code_state":"works"}`, "Code State:\nworks"},
		{"trimmed as a whole", `{"a":" x ","b":"y\n\n"}`, "a:\n x \n\nb:\ny"},
		{"lone surrogates", `{"a":"\ud800","b":{"c":"\ud800"}}`, "a:\n\uFFFD\n\nb:\n{\n  \"c\": \"\\ud800\"\n}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, err := jsjson.Parse([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := formatContext(v); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
