package integration_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// catalog is what the server of these tests lists: for each method the entries of both pages,
// of which the first is for those with the scope and the second for nobody.
var catalog = map[string]struct {
	member string
	pages  [2][3]string
}{
	"tools/list":               {"tools", [2][3]string{{`{"name":"more"}`, `{"name":"die"}`, `{"name":"a", "n":0.10}`}, {`{"name":"echo"}`, `{"name":"die"}`, `{"name":"b"}`}}},
	"prompts/list":             {"prompts", [2][3]string{{`{"name":"review"}`, `{"name":"debug"}`, `{"name":"a"}`}, {`{"name":"review"}`, `{"name":"debug"}`, `{"name":"b"}`}}},
	"resources/list":           {"resources", [2][3]string{{`{"uri":"file:///srv/secret/1"}`, `{"uri":"file:///srv/keys/1"}`, `{"uri":"file:///srv/a"}`}, {`{"uri":"file:///srv/x/../secret/2"}`, `{"uri":"file:///srv/keys/2"}`, `{"uri":"file:///srv/b"}`}}},
	"resources/templates/list": {"resourceTemplates", [2][3]string{{`{"uriTemplate":"file:///srv/secret/{n}"}`, `{"uriTemplate":"file:///srv/keys/{n}"}`, `{"uriTemplate":"file:///srv/{n}"}`}, {`{"uriTemplate":"file:///srv/secret/{m}"}`, `{"uriTemplate":"file:///srv/keys/{m}"}`, `{"uriTemplate":"file:///srv/{m}"}`}}},
}

// listOf is the answer that a server gives to a request for a list, or what is left of it for
// one without the scope (1) or with it (2).
func listOf(method, id, cursor string, reader int) string {
	of, page, next := catalog[method], 0, `,"nextCursor":"2"`
	if cursor != "" {
		page, next = 1, ""
	}
	entries := of.pages[page][:]
	switch reader {
	case 1:
		entries = entries[2:]
	case 2:
		entries = []string{entries[0], entries[2]}
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"%s":[%s]%s,"vendor":1e400}}`, id, of.member, strings.Join(entries, ","), next)
}

// listing is a server that answers in the way that the header X-Way says.
func listing(t *testing.T) *upstream {
	t.Helper()
	return upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Cursor string }
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		if other := r.Header.Get("X-List"); other != "" {
			m.Method = other
		}
		if m.ID == nil {
			m.ID = json.RawMessage("7")
		}
		answer := listOf(m.Method, string(m.ID), m.Params.Cursor, 0)
		w.Header().Set("Etag", `"all"`)
		eol := "\n"
		switch r.Header.Get("X-Way") {
		case "JSON":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, answer)
			return
		case "CR":
			eol = "\r"
		case "CRLF":
			eol = "\r\n"
		}
		w.Header().Set("Content-Type", "text/event-stream")
		text := strings.ReplaceAll(": here\n\nid: 1\ndata:\n\nid: 2\nevent: message\ndata: "+progressOf(1)+"\n\nid: 3\ndata: "+strings.ReplaceAll(answer, `},`, "},\ndata: ")+"\n\n", "\n", eol)
		for i := range text { // each byte in a chunk of its own
			fmt.Fprint(w, text[i:i+1])
			if i%7 == 0 {
				w.(http.Flusher).Flush()
			}
		}
	})
}

func progressOf(token int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%d,"progress":1}}`, token)
}

// ruledProxy is a site with rules, in front of a server.
func ruledProxy(u *upstream) site {
	s := ruled("	tool more tools:more")
	s.command, s.proxy = nil, u.host
	return s
}

func TestProxiedListsShowWhatTheirReaderMayUse(t *testing.T) {
	t.Parallel()
	for name, protocols := range map[string]string{"HTTP/1": "h1", "HTTP/2": "h2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := listing(t)
			s := ruledProxy(u)
			s.protocols = protocols
			g := start(t, s)
			poor, rich := g.token(t, "alice", "tools:use"), g.token(t, "alice", "tools:use", "tools:more")
			for method := range catalog {
				for _, way := range []string{"JSON", "LF", "CR", "CRLF"} {
					for _, cursor := range []string{"", "2"} {
						for reader, p := range map[int]*peer{1: g.anyone(t, poor), 2: g.modern(t, rich)} {
							a := p.post(p.message(7, method, object{"cursor": cursor}), set("X-Way", way), set("Accept-Encoding", "gzip"))
							if got := u.only(t).header.Get("Accept-Encoding"); got != "identity" {
								t.Errorf("the server is asked for %q", got)
							}
							checkList(t, a, way, listOf(method, "7", cursor, reader))
						}
					}
				}
			}
		})
	}
}

// checkList holds that an answer has this list as it was written, and all else that is no list.
func checkList(t *testing.T, a answer, way, want string) {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Etag") != "" {
		t.Errorf("%s: %d %v", way, a.status, a.header)
	}
	if way == "JSON" {
		if a.body != want || a.header.Get("Content-Length") != fmt.Sprint(len(want)) {
			t.Errorf("%v %s\nwant %s", a.header, a.body, want)
		}
		return
	}
	eol := map[string]string{"LF": "\n", "CR": "\r", "CRLF": "\r\n"}[way]
	before := strings.ReplaceAll(": here\n\nid: 1\ndata:\n\nid: 2\nevent: message\ndata: "+progressOf(1)+"\n\nid: 3\ndata: ", "\n", eol)
	got, ok := strings.CutPrefix(a.body, before)
	// What stood in several lines is in one, with a space for each end.
	if !ok || strings.ReplaceAll(strings.TrimSuffix(got, eol+eol), ", ", ",") != strings.ReplaceAll(want, ", ", ",") {
		t.Errorf("%s: %q\nwant %q and %q", way, a.body, before, want)
	}
}

// Some servers know the requests of a session by their ids only, and give the answer to one of
// two with the same id where the other is waited for.
func TestProxiedListIsCutInAnswerToWhateverRequest(t *testing.T) {
	t.Parallel()
	u := listing(t)
	g := start(t, ruledProxy(u))
	p := g.anyone(t, g.token(t, "alice", "tools:use"))
	for _, body := range []string{p.toolCall(7, "pid", nil), p.message(7, "ping", nil), p.message(7, "prompts/list", nil), initializeMessage(legacyVersion), `{"jsonrpc":"2.0","method":"notifications/initialized"}`} {
		for _, way := range []string{"JSON", "LF", "CR", "CRLF"} {
			a := p.post(body, set("X-Way", way), set("X-List", "tools/list"))
			if a.status != http.StatusOK || strings.Contains(a.body, "die") || !strings.Contains(a.body, `"nextCursor":"2"`) {
				t.Errorf("%s, %s: %d %s", body, way, a.status, a.body)
			}
		}
	}
}

// What no rule is about is not asked for in another way, and passes as it is.
func TestProxiedAnswersThatNoRuleHidesPassAsTheyAre(t *testing.T) {
	t.Parallel()
	const body = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"die"}]}}`
	u := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"x"`)
		if r.Header.Get("Accept-Encoding") != "gzip" {
			fmt.Fprint(w, body)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, body)
		z.Close()
	})
	for name, s := range map[string]site{
		"without rules": {},
		"not filtered":  {mcp: []string{"scopes {", "	deny tool die", "	filter off", "}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.proxy = u.host
			g := start(t, s)
			p := g.modern(t, g.token(t, "alice"))
			message := p.message(1, "tools/list", nil)
			for asked, encoding := range map[string]string{"identity": "", "gzip": "gzip"} {
				a := p.post(message, set("Accept-Encoding", asked))
				if got := a.header.Get("Content-Encoding"); got != encoding || a.header.Get("Etag") != `"x"` {
					t.Errorf("%v", a.header)
				}
				text := a.body
				if encoding != "" {
					text = unzip(t, a.body)
				}
				if text != body {
					t.Errorf("%d %s", a.status, text)
				}
			}
		})
	}
}

func unzip(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProxiedListIsCutBehindEncode(t *testing.T) {
	t.Parallel()
	u := listing(t)
	s := ruledProxy(u)
	s.routes = []string{"encode {", "	minimum_length 1", "	match {", "		header Content-Type application/json*", "		header Content-Type text/event-stream*", "	}", "}"}
	g := start(t, s)
	p := g.modern(t, g.token(t, "alice", "tools:use"))
	for _, way := range []string{"JSON", "LF"} {
		a := p.post(p.message(7, "tools/list", nil), set("X-Way", way), set("Accept-Encoding", "gzip"))
		if a.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %d %v", way, a.status, a.header)
		}
		text := unzip(t, a.body)
		if way == "JSON" && text != listOf("tools/list", "7", "", 1) || strings.Contains(text, "die") || !strings.Contains(text, `"nextCursor":"2"`) {
			t.Errorf("%s: %s", way, text)
		}
	}
}

// A list of which nobody can tell what is in it is not shown, and the log says why.
func TestProxiedListThatCannotBeReadIsWithheld(t *testing.T) {
	t.Parallel()
	list := `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"die"}]}}`
	answers := map[string]struct {
		header []string // Content-Type, Content-Encoding
		body   string
		reason string
	}{
		"compressed":        {[]string{"application/json", "gzip"}, list, "compressed"},
		"compressed events": {[]string{"text/event-stream", "br"}, "data: " + list + "\n\n", "compressed"},
		"another type":      {[]string{"text/plain"}, list, "Content-Type"},
		"no message":        {[]string{"application/json"}, `{"tools":[{"name":"die"}]}`, "no valid message"},
		"cut short":         {[]string{"application/json"}, list[:len(list)-2], "no valid message"},
		"a batch":           {[]string{"application/json"}, "[" + list + "]", "batch"},
		"doubled":           {[]string{"application/json"}, strings.Replace(list, `"result"`, `"result":{},"result"`, 1), "duplicate"},
		"too large":         {[]string{"application/json"}, strings.Replace(list, "{", "{"+strings.Repeat(" ", 16<<20), 1), "larger than"},
	}
	u := upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		a := answers[r.Header.Get("X-Way")]
		w.Header().Set("Content-Type", a.header[0])
		if len(a.header) > 1 {
			w.Header().Set("Content-Encoding", a.header[1])
		}
		w.Header().Set("Etag", `"die"`)
		_, _ = io.WriteString(w, a.body) // the gateway does not read all of it
	})
	g := start(t, ruledProxy(u))
	p := g.modern(t, g.token(t, "alice", "tools:use", "tools:more"))
	for name, tc := range answers {
		a := p.post(p.message(1, "tools/list", nil), set("X-Way", name))
		if a.status != http.StatusBadGateway || a.code() != -32603 || strings.Contains(a.body, "die") || a.header.Get("Etag") != "" || a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
		g.logs.await(t, 1, func(e entry) bool {
			reason, _ := e["reason"].(string)
			return e["msg"] == "refused" && e["status"] == 502.0 && strings.Contains(reason, tc.reason)
		})
	}
	records := g.logs.await(t, len(answers), func(e entry) bool { return e["method"] == "tools/list" && e["outcome"] == "refused" })
	if len(records) != len(answers) {
		t.Errorf("%d audit records of %d calls", len(records), len(answers))
	}
	if passed, _ := g.logs.find(func(e entry) bool { return e["outcome"] == "passed" }); len(passed) != 0 {
		t.Errorf("audit records %v", passed)
	}
}
