package caddymodule

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What of an answer may reach the client.
const (
	isCut      = "without what is hidden"
	isWithheld = "not at all"
	isLeft     = "as it is"
)

// hostile is an answer that a server might write so that more of a list passes than may. The
// tool admin is hidden, the tool open is not.
type hostile struct {
	status int
	header []string
	body   string
	want   string
}

const (
	inJSON   = "application/json"
	inEvents = "text/event-stream"
)

func answered(media, body, want string) hostile {
	return hostile{http.StatusOK, []string{"Content-Type", media}, body, want}
}

// resultOf is an answer with this result.
func resultOf(result string) string { return `{"jsonrpc":"2.0","id":1,"result":` + result + `}` }

func toolsOf(entries string) string {
	return resultOf(`{"tools":[` + entries + `,{"name":"open"}],"nextCursor":"2"}`)
}

// hostileEntries are entries of a list, for each of the ways in which an answer may come.
var hostileEntries = map[string]struct{ entries, want string }{
	"plainly":                   {`{"name":"admin"}`, isCut},
	"escaped":                   {`{"name":"\u0061dmin"}`, isCut},
	"escaped in part":           {`{"name":"adm\u0069n"},{"name":"a\u0064min"}`, isCut},
	"in other case":             {`{"name":"Admin"},{"name":"ADMIN"}`, isCut},
	"by an escaped member":      {`{"n\u0061me":"admin"}`, isCut},
	"by a member in other case": {`{"Name":"admin"},{"name":"open","NAME":"admin"}`, isCut},
	"by a look-alike member":    {`{"ſ":1,"name":"open","naMe":"admin"}`, isCut},
	"doubled":                   {`{"name":"open","name":"admin"}`, isWithheld},
	"doubled with an escape":    {`{"name":"open","n\u0061me":"admin"}`, isWithheld},
	"with no name":              {`{"title":"admin"},"admin",["admin"],null,1`, isCut},
	"with a name in an array":   {`{"name":["admin"]},{"name":{"name":"admin"}}`, isCut},
	"with a lone surrogate":     {`{"name":"admin","title":"\ud800"}`, isCut},
	"behind other letters":      {`{"name":"öffentlich 日本語 🙂"},{"name":"admin"}`, isCut},
	"deep":                      {strings.Repeat("[", 20_000) + `"admin"` + strings.Repeat("]", 20_000), isWithheld},
	"among very many":           {strings.Repeat(`{"name":"open"},{"name":"admin"},`, 50_000) + `{"name":"admin"}`, isCut},
}

// hostileResults are results that some reader might take for the list.
var hostileResults = map[string]struct{ message, want string }{
	"two lists":                 {resultOf(`{"tools":[{"name":"open"}],"Tools":[{"name":"admin"}]}`), isCut},
	"an escaped list":           {resultOf(`{"t\u006fols":[{"name":"admin"},{"name":"open"}]}`), isCut},
	"a doubled list":            {resultOf(`{"tools":[{"name":"open"}],"tools":[{"name":"admin"}]}`), isWithheld},
	"a list doubled by escapes": {resultOf(`{"tools":[{"name":"open"}],"t\u006fols":[{"name":"admin"}]}`), isWithheld},
	"a doubled result":          {`{"jsonrpc":"2.0","id":1,"result":{},"result":{"tools":[{"name":"admin"}]}}`, isWithheld},
	"a result in other case":    {`{"jsonrpc":"2.0","id":1,"result":{},"Result":{"tools":[{"name":"admin"}]}}`, isWithheld},
	"an error and a result":     {`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"},"result":{"tools":[{"name":"admin"}]}}`, isWithheld},
	"a request and a result":    {`{"jsonrpc":"2.0","id":1,"method":"ping","result":{"tools":[{"name":"admin"}]}}`, isWithheld},
	"an object for the list":    {resultOf(`{"tools":{"0":{"name":"admin"}},"open":1}`), isCut},
	"no version":                {`{"id":1,"result":{"tools":[{"name":"admin"}]}}`, isWithheld},
	"an array":                  {"[" + toolsOf(`{"name":"admin"}`) + "]", isWithheld},
	"another id":                {strings.Replace(toolsOf(`{"name":"admin"}`), `"id":1`, `"id":"other"`, 1), isCut},
	"an error":                  {`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"there is open, and that is all"}}`, isLeft},
}

// hostileAnswers are those in which the way is what is strange.
func hostileAnswers(t *testing.T) map[string]hostile {
	list, shown := toolsOf(`{"name":"admin"}`), toolsOf(`{"name":"open"}`)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, list)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var wide bytes.Buffer
	if err := binary.Write(&wide, binary.LittleEndian, utf16.Encode([]rune("\uFEFF"+list))); err != nil {
		t.Fatal(err)
	}
	rows := map[string]hostile{
		"gzip":                  {200, []string{"Content-Type", inJSON, "Content-Encoding", "gzip"}, zipped.String(), isWithheld},
		"gzip, by another name": {200, []string{"Content-Type", inJSON, "Content-Encoding", "X-GZIP"}, zipped.String(), isWithheld},
		"identity and gzip":     {200, []string{"Content-Type", inJSON, "Content-Encoding", "identity, gzip"}, zipped.String(), isWithheld},
		"identity":              {200, []string{"Content-Type", inJSON, "Content-Encoding", "Identity"}, list, isCut},
		"a part":                {206, []string{"Content-Type", inJSON, "Content-Range", "bytes 0-9/10"}, list, isWithheld},
		"a part of events":      {206, []string{"Content-Type", inEvents, "Content-Range", "bytes 0-9/10"}, "data: " + list + "\n\n", isWithheld},
		"created":               {201, []string{"Content-Type", inJSON}, list, isCut},
		"accepted":              {202, []string{"Content-Type", inJSON}, list, isCut},
		"a trailer":             {200, []string{"Content-Type", inJSON, "Trailer", "X-Late"}, list, isCut},
		"UTF-16":                answered(inJSON+"; charset=utf-16", wide.String(), isWithheld),
		"a mark before JSON":    answered(inJSON, "\uFEFF"+list, isWithheld),
		"two values":            answered(inJSON, shown+list, isWithheld),
		"events as JSON":        answered(inJSON, "data: "+list+"\n\n", isWithheld),
		"JSON as events":        answered(inEvents, list, isWithheld),
		"an error in words":     {500, []string{"Content-Type", "text/plain"}, "open is broken", isLeft},
	}
	for _, media := range []string{"Application/JSON", inJSON + ";charset=utf-8", inJSON + " ; q", ""} {
		rows["type "+media] = answered(media, list, isCut)
	}
	for _, media := range []string{"text/json", "application/json-seq", inJSON + ", " + inEvents, "application/x-ndjson", "*/*"} {
		rows["type "+media] = answered(media, list, isWithheld)
	}
	for _, media := range []string{"TEXT/Event-Stream", inEvents + ";charset=utf-8", inEvents + " ; q"} {
		rows["type "+media] = answered(media, "data: "+list+"\n\n", isCut)
	}
	for name, events := range map[string]string{
		"CR":                   "id: 1\rdata: %s\r\r",
		"CRLF":                 "id: 1\r\ndata: %s\r\n\r\n",
		"a mark":               "\uFEFFdata: %s\n\n",
		"a comment":            ": x\nevent: message\n:y\ndata:%s\n\n",
		"of another type":      "event: tools\ndata: %s\n\n",
		"of a type with space": "event:  message\ndata: %s\n\n",
		"typed afterwards":     "data: %s\nevent: x\nid: 4\n\n",
		"not ended":            "data: %s",
		"ended once":           "data: %s\n",
		"beside another field": "data2: admin\ndata: %s\n\n",
	} {
		rows["events: "+name] = answered(inEvents, fmt.Sprintf(events, list), isCut)
	}
	lines := strings.ReplaceAll(list, ",", ",\ndata: ")
	rows["events: in lines"] = answered(inEvents, "data: "+lines+"\n\n", isCut)
	rows["events: in lines that split a word"] = answered(inEvents, "data: "+strings.ReplaceAll(list, "admin", "adm\ndata: in")+"\n\n", isWithheld)
	return rows
}

func TestNoStrangeAnswerShowsWhatIsHidden(t *testing.T) {
	rows := hostileAnswers(t)
	for name, tc := range hostileEntries {
		list := toolsOf(tc.entries)
		rows["entries "+name] = answered(inJSON, list, tc.want)
		rows["entries "+name+", as an event"] = answered(inEvents, "id: 1\ndata: "+list+"\n\n", tc.want)
	}
	for name, tc := range hostileResults {
		rows["result: "+name] = answered(inJSON, tc.message, tc.want)
		rows["result: "+name+", as an event"] = answered(inEvents, "data: "+tc.message+"\n\n", tc.want)
	}
	o := inFront(t, "deny tool admin")
	for name, row := range rows {
		for _, piece := range []int{1 << 20, 1} { // bytes in a chunk
			if piece == 1 && len(row.body) > 4<<10 {
				continue
			}
			t.Run(fmt.Sprintf("%s in pieces of %d", name, piece), func(t *testing.T) {
				row.holds(t, row.through(t, o, piece))
			})
		}
	}
}

// through sends a request for the list past mcp_oauth to a server that answers in this way.
func (row hostile) through(t *testing.T, o *OAuth, piece int) *http.Response {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(row.header); i += 2 {
			w.Header()[row.header[i]] = []string{row.header[i+1]}
			if row.header[i+1] == "" {
				w.Header()[row.header[i]] = nil // and none is guessed
			}
		}
		w.WriteHeader(row.status)
		for rest := row.body; rest != ""; {
			n := min(piece, len(rest))
			_, _ = io.WriteString(w, rest[:n]) // the gateway may have enough
			w.(http.Flusher).Flush()
			rest = rest[n:]
		}
		w.Header().Set("X-Late", "admin")
	}))
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	r, _ := callOf(t, `"id":1,"method":"tools/list"`)
	w := httptest.NewRecorder()
	err = o.pass(w, r, admitted(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		proxy.ServeHTTP(w, r)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return w.Result()
}

// holds that of an answer has come through what may.
func (row hostile) holds(t *testing.T, got *http.Response) {
	t.Helper()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	body := string(text)
	brief := body[:min(len(body), 200)]
	if row.want == isLeft {
		if got.StatusCode != row.status || body != row.body {
			t.Errorf("%d %s", got.StatusCode, brief)
		}
		return
	}
	for _, form := range []string{body, unescaped(body), fmt.Sprint(got.Header, got.Trailer)} {
		if strings.Contains(strings.ToLower(form), "admin") {
			t.Errorf("%d: it shows %.200s", got.StatusCode, form)
		}
	}
	failed := strings.Contains(body, `"code":-32603`)
	switch {
	case row.want == isCut && (got.StatusCode != row.status || failed || !strings.Contains(body, "open")):
		t.Errorf("%d %s, want it cut", got.StatusCode, brief)
	case row.want == isWithheld && !failed && body != "":
		t.Errorf("%d %s, want it withheld", got.StatusCode, brief)
	}
}

// unescaped is a text as a reader of JSON takes what is escaped in it.
func unescaped(text string) string {
	quoted := `"` + strings.NewReplacer(`\"`, "'", `"`, "'", "\n", " ", "\r", " ").Replace(text) + `"`
	var plain string
	_ = json.Unmarshal([]byte(quoted), &plain) // what is no string shows nothing more
	return plain
}
