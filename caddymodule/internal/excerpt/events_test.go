package excerpt

import (
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// open is what the reader of these tests may use.
func open(_, name string) bool { return !strings.Contains(name, "secret") }

// ofList is the cut of a request for tools.
func ofList() *Cut {
	list, _ := visibility.ListOf("tools/list")
	return &Cut{ID: []byte(`1`), Lists: []visibility.List{list}, Updates: true, Visible: open}
}

// ofGET is that of a GET, ofCall that of a request where lists are shown whole.
func ofGET() *Cut  { return &Cut{Lists: visibility.Lists(), Updates: true, Visible: open} }
func ofCall() *Cut { return &Cut{ID: []byte(`1`), Updates: true, Visible: open} }

// run feeds a stream in these pieces, and returns what passes with each and at the end.
func run(cut *Cut, pieces ...string) (passed []string, reasons []string) {
	e := &events{cut: cut, limit: 1 << 10, report: func(reason string) { reasons = append(reasons, reason) }}
	for _, piece := range pieces {
		e.feed([]byte(piece))
		passed = append(passed, string(e.out))
		e.out = nil
	}
	e.end()
	return append(passed, string(e.out)), reasons
}

// everyWay runs a stream whole, byte by byte, and cut in two at each place, and holds that it
// always becomes the same.
func everyWay(t *testing.T, cut *Cut, stream, want string) {
	t.Helper()
	ways := [][]string{{stream}, strings.Split(stream, "")}
	for i := range stream {
		ways = append(ways, []string{stream[:i], stream[i:]})
	}
	if len(stream) > 0 && stream[0] == 0xEF { // Split would go by runes
		ways[1] = append([]string{stream[:1], stream[1:2], stream[2:3]}, strings.Split(stream[3:], "")...)
	}
	for _, way := range ways {
		passed, _ := run(cut, way...)
		if got := strings.Join(passed, ""); got != want {
			t.Fatalf("in pieces %q\n%q becomes\n%q, want\n%q", way, stream, got, want)
		}
	}
}

const (
	listed   = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret"},{"name":"a"}],"nextCursor":"2"}}`
	shownOf  = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"2"}}`
	progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`
	hidden   = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:secret"}}`
	told     = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}`
)

func TestWhatIsNoListPassesByteForByte(t *testing.T) {
	for name, stream := range map[string]string{
		"nothing":               "",
		"comments":              ": a\n\n:b\n:\n\n",
		"an id, and no data":    "id: 7\ndata: \n\nid: 8\n\nretry: 1000\nid\n\n",
		"a message":             "event: message\nid: 1\ndata: " + progress + "\n\n",
		"without spaces":        "id:1\ndata:" + progress + "\n\n",
		"carriage returns":      "id: 1\rdata: " + progress + "\r\r: x\r\rdata: " + told + "\r\r",
		"both":                  "id: 1\r\ndata: " + progress + "\r\n\r\n: x\r\n\r\ndata: " + told + "\r\n\r\n",
		"mixed":                 "data: " + told + "\r\n\ndata: " + told + "\n\r\n\rdata: " + told + "\n\n\n",
		"data in lines":         "data: {\"jsonrpc\":\"2.0\",\ndata:   \"method\":\"x\"\nid: 3\ndata: }\n\n",
		"an address":            "event: endpoint\ndata: /messages?sessionId=1\n\nevent:ping\rdata:1\r\r",
		"a comment within":      "id: 1\n: between\ndata: " + told + "\n\n",
		"a byte order mark":     "\uFEFFdata: " + progress + "\n\n: x\n\n",
		"a list with all shown": `data: {"jsonrpc":"2.0","id":1,"result":{"tools":[ {"name":"a"} ] ,"cacheScope":"private"}}` + "\n\n",
		"an error":              `data: {"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"secret"}}` + "\n\n",
		"a request":             `data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}` + "\n\n",
		"another result":        `data: {"jsonrpc":"2.0","id":1,"result":{"content":[{"tools":[{"name":"secret"}]}],"structuredContent":{"tools":["secret"]}}}` + "\n\n",
		"no empty line behind":  "id: 1\ndata: " + told,
		"no line end behind":    ": and then",
	} {
		t.Run(name, func(t *testing.T) {
			for _, cut := range []*Cut{ofList(), ofGET(), ofCall()} {
				everyWay(t, cut, stream, stream)
			}
		})
	}
}

func TestEventsAreCutInWhateverLinesTheyCome(t *testing.T) {
	lines := "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[\nid: 5\ndata:{\"name\":\"secret\"},\ndata: {\"name\":\"a\"}],\"nextCursor\":\"2\"}}\nevent: message\n\n"
	for name, tc := range map[string]struct{ stream, want string }{
		"LF":                   {"id: 5\ndata: " + listed + "\n\n: x\n\n", "id: 5\ndata: " + shownOf + "\n\n: x\n\n"},
		"CR":                   {"id: 5\rdata: " + listed + "\r\r: x\r\r", "id: 5\rdata: " + shownOf + "\r\r: x\r\r"},
		"CRLF":                 {"id: 5\r\ndata: " + listed + "\r\n\r\n: x\r\n\r\n", "id: 5\r\ndata: " + shownOf + "\r\n\r\n: x\r\n\r\n"},
		"several data lines":   {lines, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[ {\"name\":\"a\"}],\"nextCursor\":\"2\"}}\nid: 5\nevent: message\n\n"},
		"of another type":      {"event: x\ndata: " + listed + "\n\n", "event: x\ndata: " + shownOf + "\n\n"},
		"behind a mark":        {"\uFEFFdata:" + listed + "\n\n", "\uFEFFdata: " + shownOf + "\n\n"},
		"no empty line behind": {"id: 5\ndata: " + listed, "id: 5\ndata: " + shownOf},
		"by another spelling":  {`data: {"jsonrpc":"2.0","id":1,"result":{"t\u006fols":[{"name":"secret"}]}}` + "\n\n", `data: {"jsonrpc":"2.0","id":1,"result":{"t\u006fols":[]}}` + "\n\n"},
		"for everyone":         {`data: {"jsonrpc":"2.0","id":1,"result":{"tools":[],"cacheScope":"public"}}` + "\n\n", `data: {"jsonrpc":"2.0","id":1,"result":{"tools":[],"cacheScope":"private"}}` + "\n\n"},
		"an update":            {"data: " + told + "\n\nevent: message\ndata: " + hidden + "\n\ndata: " + told + "\n\n", "data: " + told + "\n\ndata: " + told + "\n\n"},
		"an update in CRLF":    {"data: " + told + "\r\n\r\ndata: " + hidden + "\r\n\r\ndata: " + told + "\r\n\r\n", "data: " + told + "\r\n\r\ndata: " + told + "\r\n\r\n"},
		"an update with an id": {"event: message\nid: 6\nretry: 10\ndata: " + hidden + "\n\n", "id: 6\nretry: 10\n\n"},
		"an update in CR":      {"id: 6\rdata: " + hidden + "\r\rid: 7\rdata: " + told + "\r\r", "id: 6\r\n\nid: 7\rdata: " + told + "\r\r"},
		"an update, mixed":     {"id: 6\rdata: " + hidden + "\r\n\r\n: x\n\n", "id: 6\r\n\n: x\n\n"},
		"strange lines":        {"Data: " + listed + "\ndata2: secret\ndata: " + told + "\nsecret\n\n", "data: " + told + "\n\n"},
		"strange lines in all": {"x: y\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"m\"}\n\n", "data: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"m\"}\n\n"},
		"a mark elsewhere":     {": x\n\n\uFEFFdata: " + listed + "\n\n", ": x\n\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cut := range []*Cut{ofList(), ofGET()} {
				everyWay(t, cut, tc.stream, tc.want)
			}
		})
	}
}

// Any stream may tell the result of another request.
func TestEveryListIsCutFromEveryStream(t *testing.T) {
	for member, name := range map[string]string{"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"} {
		const before, after = `data: {"jsonrpc":"2.0","id":"any","result":{"`, "}}\n\n"
		stream := before + member + `":[{"` + name + `":"secret"},{"` + name + `":"b"}]` + after
		for _, id := range [][]byte{nil, []byte("1")} {
			cut := ofGET()
			cut.ID = id
			everyWay(t, cut, stream, before+member+`":[{"`+name+`":"b"}]`+after)
		}
	}
	everyWay(t, ofCall(), "data: "+listed+"\n\n", "data: "+listed+"\n\n") // where lists are shown whole
}

// Each event passes with its last byte, and a comment with its line.
func TestNothingIsHeldBackOnceItIsWhole(t *testing.T) {
	stream := ": alive\n\nid: 1\ndata: " + listed + "\n\n: alive\r\ndata: " + told + "\r\n\r\ndata:\r\r"
	whole := []string{": alive\n", "\n", "id: 1\ndata: " + shownOf + "\n\n", ": alive\r", "\n", "data: " + told + "\r\n\r", "\n", "data:\r\r"}
	passed, _ := run(ofList(), strings.Split(stream, "")...)
	var got []string
	for _, piece := range passed {
		if piece != "" {
			got = append(got, piece)
		}
	}
	if strings.Join(got, "|") != strings.Join(whole, "|") {
		t.Errorf("passed %q, want %q", got, whole)
	}
}

const (
	unreadable = `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"The server's answer is no valid message"}}`
	oversize   = `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"The server's answer is too large"}}`
)

func TestWhatCannotBeReadDoesNotPass(t *testing.T) {
	const rest = "data: " + told + "\n\n"
	for name, tc := range map[string]struct{ event, answered, otherwise string }{
		"no JSON":             {"id: 2\ndata: secret\n\n", "id: 2\n\n", "id: 2\n\n"},
		"a doubled member":    {`data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret"}],"tools":[]}}` + "\n\n", "data: " + unreadable + "\n\n", ""},
		"a look-alike":        {"id: 2\n" + `data: {"jsonrpc":"2.0","id":1,"Result":{"tools":[{"name":"secret"}]},"result":{}}` + "\n\n", "id: 2\ndata: " + unreadable + "\n\n", "id: 2\n\n"},
		"for another request": {`data: {"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"secret"}],"tools":[]}}` + "\n\n", "", ""},
		"an array":            {"data: [" + listed + "]\n\n", "data: " + unreadable + "\n\n", ""},
		"no UTF-8":            {"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"secret\xff\"}]}}\n\n", "data: " + unreadable + "\n\n", ""},
		"nothing but a name":  {"event: message\ndata: \"secret\"\n\n", "", ""},
		"an array, typed":     {"event: x\nid: 2\ndata: [\"secret\"]\n\n", "id: 2\n\n", "id: 2\n\n"}, // it is no answer
		"another type":        {"event: x\nid: 2\ndata: x {\"tools\":[{\"name\":\"secret\"}]}\n\n", "id: 2\n\n", "id: 2\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			everyWay(t, ofList(), tc.event+rest, tc.answered+rest)
			everyWay(t, ofCall(), tc.event+rest, tc.answered+rest)
			everyWay(t, ofGET(), tc.event+rest, tc.otherwise+rest)
			if _, reasons := run(ofGET(), tc.event); len(reasons) != 1 || strings.Contains(reasons[0], "secret") {
				t.Errorf("reported: %q", reasons)
			}
		})
	}
}

func TestEventThatIsTooLargeIsBounded(t *testing.T) {
	large := `{"jsonrpc":"2.0","id":1,"result":{"tools":[` + strings.Repeat(`{"name":"secret"},`, 100) + `{}]}}`
	const rest = "data: " + told + "\n\n"
	for name, stream := range map[string]string{
		"in one line":    "id: 4\ndata: " + large + "\n\n",
		"with CRLF":      "id: 4\r\ndata: " + large + "\r\n\r\n",
		"in many lines":  "id: 4\ndata: " + strings.ReplaceAll(large, ",", ",\ndata: ") + "\n\n",
		"without an end": "id: 4\n" + strings.Repeat("data: x\n", 200) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			for cut, want := range map[*Cut]string{ofList(): "data: " + oversize + "\n\n", ofCall(): "data: " + oversize + "\n\n", ofGET(): "\n"} {
				passed, reasons := run(cut, strings.Split(stream+rest, "")...)
				got := strings.ReplaceAll(strings.Join(passed, ""), "\r", "")
				if got != "id: 4\n"+want+rest || len(reasons) != 1 {
					t.Errorf("becomes %q, reported %q", got, reasons)
				}
				if whole, _ := run(cut, stream+rest); strings.ReplaceAll(strings.Join(whole, ""), "\r", "") != got {
					t.Errorf("in one piece it becomes %q", whole)
				}
			}
		})
	}
	e := &events{cut: ofGET(), limit: 1 << 10, report: func(string) {}}
	for range 1 << 12 {
		e.feed([]byte(strings.Repeat("data: secret ", 64)))
	}
	if len(e.out) != 0 || cap(e.kept) > 8<<10 {
		t.Errorf("%d bytes passed, %d are kept", len(e.out), cap(e.kept))
	}
}

func TestKindsAreThoseOfPolicy(t *testing.T) {
	for _, list := range visibility.Lists() {
		cut := &Cut{ID: []byte(`1`), Lists: []visibility.List{list}, Visible: func(kind, _ string) bool {
			if kind != policy.KindTool && kind != policy.KindPrompt && kind != policy.KindResource {
				t.Errorf("asked about a %q", kind)
			}
			return true
		}}
		if edited, passes, err := cut.judge([]byte(`{"jsonrpc":"2.0","id":1,"result":{"` + list.Member + `":[]}}`)); edited != nil || !passes || err != nil {
			t.Errorf("%s: %s %v %v", list.Member, edited, passes, err)
		}
	}
}

// BenchmarkLargeEvent is the cost of an event that comes in many pieces. It must grow with the
// event, not with its square.
func BenchmarkLargeEvent(b *testing.B) {
	line := []byte("data: " + strings.Repeat("a", 1017) + "\n")
	for name, size := range map[string]int{"2MiB": 2 << 20, "16MiB": 16<<20 - len(line)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				e := &events{cut: ofList(), limit: MaxMessage, report: func(string) {}}
				for range size / len(line) {
					e.feed(line)
				}
			}
		})
	}
}
