package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

// written is what a child writes in place of the answer to a call, and what the client
// reads: in what is written ID stands for the id and the progress token of the call as the
// child knows them, the client calls them "id" and "token". In what is read <added>
// stands for the members that a modern client must find in a result and a legacy server
// does not write, and <info> for those of its _meta.
type written struct {
	name  string
	lines string
	reads []string // messages
	code  int      // in place of reads: of the error that the gateway answers
}

const (
	good     = `{"jsonrpc":"2.0","id":ID,"result":{"content":[]}}`
	goodRead = `{"jsonrpc":"2.0","id":"id","result":{<added>"content":[]}}`
)

func writtenLines() []written {
	const internal = -32603
	rows := []written{
		{name: "members that nobody knows", lines: `{"z":0,"id":ID,"result":{"x":` + odd + `,"content":[]} ,"jsonrpc" : "2.0"}`,
			reads: []string{`{"z":0,"id":"id","result":{<added>"x":` + odd + `,"content":[]} ,"jsonrpc" : "2.0"}`}},
		{name: "error", lines: `{"jsonrpc":"2.0","id":ID,"error":{"code":7.0,"message":"m","data":{"_meta":{"a":9223372036854775808}},"extra":1e400}}`,
			reads: []string{`{"jsonrpc":"2.0","id":"id","error":{"code":7.0,"message":"m","data":{"_meta":{"a":9223372036854775808}},"extra":1e400}}`}},
		{name: "progress", lines: `{"extra":1.0,"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1e400,"total":-0,"progressToken":ID,"x":"\ud800"}}` + "\n" + good,
			reads: []string{`{"extra":1.0,"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1e400,"total":-0,"progressToken":"token","x":"\ud800"}}`, goodRead}},
		{name: "notification that nobody knows", lines: `{"x":-0,"jsonrpc":"2.0","method":"notifications/com.example","params":{"x":1e400,"_meta":{"io.github.snapgate/x":1}}}` + "\n" + good,
			reads: []string{`{"x":-0,"jsonrpc":"2.0","method":"notifications/com.example","params":{"x":1e400,"_meta":{}}}`, goodRead}},
		{name: "log", lines: `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":1e400,"x":[1.0]}}` + "\n" + good,
			reads: []string{`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":1e400,"x":[1.0]}}`, goodRead}},

		{name: "identity", lines: `{"jsonrpc":"2.0","id":ID,"result":{"content":[],"_meta":{"io.github.snapgate/identity":{},"a":1,"IO.github.\u017fnapgate/x":2}}}`,
			reads: []string{`{"jsonrpc":"2.0","id":"id","result":{<added>"content":[],"_meta":{<info>"a":1}}}`}},
		{name: "identity further down", lines: `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"_meta":{"io.github.snapgate/user":1}},{"_m\u0065ta":{"b":1,"io.github.snapgate/user":1}}]}}`,
			reads: []string{`{"jsonrpc":"2.0","id":"id","result":{<added>"content":[{"_meta":{}},{"_m\u0065ta":{"b":1}}]}}`}},
		{name: "identity in progress", lines: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"_meta":{"io.github.snapgate/user":1},"progressToken":ID,"progress":1}}` + "\n" + good,
			reads: []string{`{"jsonrpc":"2.0","method":"notifications/progress","params":{"_meta":{},"progressToken":"token","progress":1}}`, goodRead}},

		{name: "progress of another", lines: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1ID,"progress":1}}` + "\n" + good, reads: []string{goodRead}},
		{name: "progress under a string", lines: `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"ID","progress":1}}` + "\n" + good, reads: []string{goodRead}},
		{name: "second answer", lines: good + "\n" + strings.Replace(good, "[]", `["second"]`, 1), reads: []string{goodRead}},
	}
	for name, value := range map[string]string{
		"2^63": `9223372036854775808`, "1e400": `1e400`, "1.0": `1.0`, "1": `1`, "-0": `-0`, "lone surrogates": `"\ud800\udc00\ud800"`, "unicode": "\"é\u2028\U0001f600\"",
	} {
		rows = append(rows, written{name: name, lines: strings.Replace(good, "[]", `[`+value+`]`, 1), reads: []string{strings.Replace(goodRead, "[]", `[`+value+`]`, 1)}})
	}
	// An answer that two readers read differently, or that is none, is no answer.
	for name, line := range map[string]string{
		"two members": `{"jsonrpc":"2.0","id":ID,"result":{"a":1,"a":2}}`, "two members, one coded": `{"jsonrpc":"2.0","id":ID,"result":{"a":1,"\u0061":2}}`,
		"two results": `{"jsonrpc":"2.0","id":ID,"result":{},"result":{}}`, "two ids": `{"jsonrpc":"2.0","id":ID,"id":1,"result":{}}`,
		"Result beside result": `{"jsonrpc":"2.0","id":ID,"Result":{},"result":{}}`, "ID beside id": `{"jsonrpc":"2.0","id":ID,"Id":1,"result":{}}`,
		"_Meta in result": `{"jsonrpc":"2.0","id":ID,"result":{"_Meta":{}}}`, "resultType with long s": `{"jsonrpc":"2.0","id":ID,"result":{"re` + longS + `ultType":"x"}}`,
		"result and error": `{"jsonrpc":"2.0","id":ID,"result":{},"error":{"code":1,"message":"m"}}`, "neither": `{"jsonrpc":"2.0","id":ID}`,
		"invalid UTF-8": "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"x\":\"\xff\"}}", "jsonrpc of another version": `{"jsonrpc":"1.0","id":ID,"result":{}}`,
		"129 levels":        `{"jsonrpc":"2.0","id":ID,"result":{"x":` + strings.Repeat(`[`, 127) + strings.Repeat(`]`, 127) + `}}`,
		"control character": "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"x\":\"\x01\"}}",
	} {
		rows = append(rows, written{name: name, lines: line, code: internal})
	}
	// What is for nobody is passed over.
	for name, line := range map[string]string{
		"text": `listening on port 80`, "byte order mark": bom + good, "batch": `[` + good + `]`, "empty line": ``, "a number": `1`,
		"id of nobody": `{"jsonrpc":"2.0","id":1ID,"result":{}}`, "id below zero": `{"jsonrpc":"2.0","id":-ID,"result":{}}`, "id that is a string": `{"jsonrpc":"2.0","id":"ID","result":{}}`,
		"id between two": `{"jsonrpc":"2.0","id":ID.5,"result":{}}`, "id that is null": `{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}`,
		"no id": `{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}`, "error with method": `{"jsonrpc":"2.0","id":ID,"method":"x","result":{}}`,
	} {
		rows = append(rows, written{name: name, lines: line + "\n" + good, reads: []string{goodRead}})
	}
	// The same number, as a server writes it whose JSON knows but one kind.
	float := strings.Replace(good, `"id":ID`, `"id":ID.0`, 1)
	return append(rows, written{name: "id that is a float", lines: float, reads: []string{goodRead}})
}

func TestWhatAChildWritesIsReadAsItIs(t *testing.T) {
	t.Parallel()
	const info = `"io.modelcontextprotocol/serverInfo":{"name":"standin","version":"1"}`
	pairs := map[string]struct {
		era         string
		client      func(*gateway, testing.TB, string) *peer
		added, info string // in place of <added> and <info>
	}{
		"legacy of legacy": {"legacy", (*gateway).legacy, ``, ``},
		"modern of modern": {"modern", (*gateway).modern, ``, ``},
		"modern of legacy": {"legacy", (*gateway).modern, `"resultType":"complete",`, info + `,`},
		"legacy of modern": {"modern", (*gateway).legacy, ``, ``},
	}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, standin("-era", pair.era))
			p := pair.client(g, t, g.token(t, "alice"))
			pid := p.call(1, "pid", nil)
			for _, row := range writtenLines() {
				t.Run(row.name, func(t *testing.T) {
					a := p.post(p.message("id", "tools/call", object{"name": "write", "arguments": object{"bytes": []byte(row.lines)}, "_meta": object{
						"progressToken": "token", "io.modelcontextprotocol/logLevel": "debug",
					}}))
					if row.code != 0 {
						if r := a.reply(t); r.Error == nil || r.Error.Code != row.code || string(r.ID) != `"id"` {
							t.Errorf("answer %d %s", a.status, a.body)
						}
						return
					}
					want := strings.Join(row.reads, "\n")
					if pair.info != "" && !strings.Contains(want, "<info>") { // then the gateway makes a _meta
						want = strings.ReplaceAll(want, "<added>", "<added>"+`"_meta":{`+info+`},`)
					}
					want = strings.NewReplacer("<added>", pair.added, "<info>", pair.info).Replace(want)
					if got := strings.Join(a.messages(), "\n"); a.status != http.StatusOK || got != want {
						t.Errorf("status %d, the client reads\n%s\nwant\n%s", a.status, got, want)
					}
				})
			}
			if got := p.call(1, "pid", nil); got != pid {
				t.Errorf("process %s after it all, was %s", got, pid)
			}
		})
	}
}
