package install

import (
	"strings"
	"testing"
)

// documents are configurations as people and programs write them.
var documents = map[string]string{
	"empty":                   "{}",
	"empty with line break":   "{\n}\n",
	"empty servers":           "{\n  \"mcpServers\": {}\n}\n",
	"pretty":                  "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"x\"\n    }\n  }\n}\n",
	"tabs":                    "{\n\t\"z\": 1,\n\t\"mcpServers\": {\n\t\t\"a\": {\"command\": \"x\"}\n\t},\n\t\"b\": [1,2]\n}",
	"four spaces":             "{\n    \"mcpServers\": {\n        \"a\": {}\n    }\n}\n",
	"one line":                `{"a":1,"mcpServers":{"a":{"command":"x"}},"b":2}`,
	"one line, no servers":    `{"a":1}`,
	"carriage returns":        "{\r\n  \"mcpServers\": {\r\n    \"a\": {}\r\n  }\r\n}\r\n",
	"byte order mark":         "\ufeff{\n  \"a\": 1\n}\n",
	"comments":                "// top\n{\n  /* a */ \"mcpServers\": { // servers\n    // about a\n    \"a\": {} // behind a\n    // at the end\n  } /* } */\n}\n// end\n",
	"comment in empty":        "{\n  \"mcpServers\": {\n    // none yet\n  }\n}\n",
	"trailing commas":         "{\n  \"mcpServers\": {\n    \"a\": {}, // last\n  },\n}\n",
	"odd strings and numbers": "{\n  \"x\": \"}, \\\"{ // no\\u00e9\", \"n\": [-1.5e3, true, null],\n  \"mcpServers\": {\"http://x/*\": {}}\n}\n",
}

func mustParse(t *testing.T, data []byte) node {
	t.Helper()
	root, err := parse(data)
	if err != nil {
		t.Fatalf("%v in %q", err, data)
	}
	return root
}

func TestWhatIsInsertedIsRemovedWithoutATrace(t *testing.T) {
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			data := []byte(document)
			root := mustParse(t, data)
			into := func(root node) node {
				if i, _ := root.find("mcpServers"); i >= 0 {
					return root.members[i].value
				}
				return root
			}
			style := styleOf(data, root)
			entry := Entry{Command: "/bin/snapshotd", Args: []string{"--db", "<&>"}}
			after := style.insert(data, into(root), "new", entry.text(Client{typed: true}, style))
			again := mustParse(t, after)
			place, err := into(again).find("new")
			if err != nil || place != len(into(root).members) {
				t.Fatalf("at %d, %v: %s", place, err, after)
			}
			got := read(into(again).members[place].value)
			if got.command != "/bin/snapshotd" || len(got.args) != 2 || got.args[1] != "<&>" {
				t.Errorf("read back %+v from %s", got, after)
			}
			if style.newline == "\r\n" && strings.Count(string(after), "\n") != strings.Count(string(after), "\r\n") {
				t.Errorf("line ends are mixed: %q", after)
			}
			want := document
			if name == "empty with line break" {
				want = "{}\n"
			}
			if left := remove(after, again, into(again), place); string(left) != want {
				t.Errorf("left %q\nwant %q\nfrom %q", left, want, after)
			}
		})
	}
}

func TestInsertKeepsToTheStyle(t *testing.T) {
	for name, want := range map[string]string{
		"tabs":            "\n\t\t\"a\": {\"command\": \"x\"},\n\t\t\"new\": {\n\t\t\t\"command\": \"c\",\n\t\t\t\"args\": []\n\t\t}\n\t},",
		"one line":        `{"a":{"command":"x"}, "new": {"command":"c","args":[]}},`,
		"comments":        "\"a\": {}, // behind a\n    // at the end\n    \"new\": {\n",
		"trailing commas": "\"a\": {}, // last\n    \"new\": {\n      \"command\": \"c\",\n      \"args\": []\n    },\n  },\n",
		"empty servers":   "\"mcpServers\": {\n    \"new\": {\n      \"command\": \"c\",\n      \"args\": []\n    }\n  }\n",
	} {
		data := []byte(documents[name])
		root := mustParse(t, data)
		i, err := root.find("mcpServers")
		if err != nil {
			t.Fatal(err)
		}
		style := styleOf(data, root)
		got := string(style.insert(data, root.members[i].value, "new", Entry{Command: "c"}.text(Client{}, style)))
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestRemovingAnyMemberLeavesTheOthers(t *testing.T) {
	for _, document := range []string{
		`{"a":1,"b":2,"c":3}`, `{"a":1,"b":2,"c":3,}`, "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}",
		"{ // one\n\"a\": 1 /* x */, // two\n \"b\": 2, // three\n\"c\": 3 }", "{\n// one\n\"a\":1\n// two\n,\n\"b\":2 // three\n,\"c\":3\n// four\n}",
	} {
		root := mustParse(t, []byte(document))
		for i, m := range root.members {
			left := mustParse(t, remove([]byte(document), root, root, i))
			if len(left.members) != 2 {
				t.Errorf("%q without %s: %d members", document, m.key.text, len(left.members))
			}
			if found, err := left.find(m.key.text); found >= 0 || err != nil {
				t.Errorf("%q still has %s, %v", document, m.key.text, err)
			}
		}
	}
}

func TestWhatIsNoJSONIsRefusedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "line 1: a value is expected",
		"{\n\"a\": }":                       "line 2: a value is expected",
		"{\n\n\"a\" 1}":                     "line 3: a colon is expected",
		"{\"a\": 1 \"b\": 2}":               "line 1: a comma or } is expected",
		"[1 2]":                             "line 1: a comma or ] is expected",
		"{\"a\": 1}\n}":                     "line 2: there is more after the end",
		"{a: 1}":                            "line 1: a name in double quotes",
		"{\"a\": \"x\ny\"}":                 "line 1: a string does not end",
		"{\"a\": \"x":                       "line 1: a string does not end",
		"{\"a\": 1 /* }":                    "line 1: a comment does not end",
		"{\"a\": 01}":                       "line 1: a value is expected",
		"{\"a\": 'x'}":                      "line 1: a value is expected",
		"{,}":                               "line 1: a name in double quotes",
		"{\"a\": \"\\x\"}":                  "line 1: ",
		strings.Repeat("[", 300):            "line 1: it is nested deeper",
		"{\"a\": 1,\n // end":               "line 2: a name in double quotes",
		"{\"a\": tru}":                      "line 1: a value is expected",
		"\x00":                              "line 1: a value is expected",
		"{\"a\":{\"b\":[{\"c\":1,\n,}]}}":   "line 2: a name in double quotes",
		"{\"a\": \"\u00e9\", \"b\": +1}":    "line 1: a value is expected",
		"{\"a\": 1, /* ok */ \"b\": / 2}":   "line 1: a value is expected",
		"\ufeff\ufeff{}":                    "line 1: a value is expected",
		"{\"a\": NaN}":                      "line 1: a value is expected",
		"{\"a\": [1,,2]}":                   "line 1: a value is expected",
		"{\"a\": {\"b\": 1}":                "line 1: a comma or } is expected",
		"{\"very\": \"well\"} // and\nmore": "line 2: there is more after the end",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.30q: got %v, want %s", text, err, want)
		}
	}
}

// FuzzParse holds that nothing is read beyond the document and what is edited stays
// a document.
func FuzzParse(f *testing.F) {
	for _, document := range documents {
		f.Add([]byte(document))
	}
	f.Add([]byte("{\"a\": {}, // a\r\"b\": 1 // b\r}"))
	f.Add([]byte("{\"a\": {} // a\r}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := parse(data)
		if err != nil || root.kind != object {
			return
		}
		style := styleOf(data, root)
		after := style.insert(data, root, "new", Entry{Command: "c"}.text(Client{}, style))
		again, err := parse(after)
		if err != nil {
			t.Fatalf("%v: %q became %q", err, data, after)
		}
		if again.size() != root.size()+3 { // command and args, too
			t.Fatalf("%d members of %d: %q became %q", len(again.members), len(root.members), data, after)
		}
		left := remove(after, again, again, len(again.members)-1)
		if last, err := parse(left); err != nil || last.size() != root.size() {
			t.Fatalf("%v: %q became %q and then %q", err, data, after, left)
		}
	})
}
