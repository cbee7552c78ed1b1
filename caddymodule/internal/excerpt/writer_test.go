package excerpt

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
)

// served is what a handler's answer becomes.
type served struct {
	*httptest.ResponseRecorder
	refusal *answer.Refusal
	reasons []string
	err     error // of the last write
}

// serve lets a handler answer a request with this cut.
func serve(t *testing.T, cut *Cut, handler func(w *Writer) error) served {
	t.Helper()
	s := served{ResponseRecorder: httptest.NewRecorder()}
	w := NewWriter(s.ResponseRecorder, Settings{
		Cut:    cut,
		Header: func(h http.Header) { h.Set("Bound", h.Get("Bound")+"bound") },
		Refuse: func(w http.ResponseWriter, refusal *answer.Refusal) {
			s.refusal = refusal
			refusal.Write(w, cut.ID)
		},
		Report:     func(reason string) { s.reasons = append(s.reasons, reason) },
		MaxMessage: 1 << 10,
	})
	s.err = handler(w)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if w.Refused() != (s.refusal != nil) {
		t.Errorf("refused: %v, with %v", w.Refused(), s.refusal)
	}
	return s
}

// answering is a handler that writes a body in pieces, with these headers.
func answering(status int, body string, header ...string) func(w *Writer) error {
	return func(w *Writer) error {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		for rest := body; rest != ""; {
			n := min(len(rest), 17)
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				return err
			}
			w.Flush()
			rest = rest[n:]
		}
		return nil
	}
}

const (
	asJSON   = "application/json"
	asEvents = "text/event-stream"
)

func TestAnswersAreCut(t *testing.T) {
	all := `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}], "nextCursor":"2"}}` + "\n"
	for name, tc := range map[string]struct {
		cut        *Cut
		status     int
		media      string
		body, want string
		edited     bool // so that its headers change
	}{
		"JSON":               {ofList(), 200, asJSON, listed, shownOf, true},
		"JSON in lines":      {ofList(), 200, asJSON + "; charset=utf-8", "\n{\n" + listed[1:] + "\n", " { " + shownOf[1:], true},
		"all shown":          {ofList(), 200, asJSON, all, all, false},
		"an error":           {ofList(), 200, asJSON, `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"secret"}}`, "", false},
		"a refusal":          {ofList(), 404, asJSON, "{\"detail\":\"no \xff JSON-RPC\"}", "", false},
		"a refusal in words": {ofList(), 400, "text/plain", "session not found", "", false},
		"no body":            {ofList(), 202, "", "", "", false},
		"taken, in words":    {ofList(), 202, "", "Accepted", "", false},
		"taken, with a list": {ofList(), 202, asJSON, listed, shownOf, true},
		"no content":         {ofList(), 204, "", "", "", false},
		"events":             {ofList(), 200, asEvents, "data: " + listed + "\n\n", "data: " + shownOf + "\n\n", true},
		"events, otherwise":  {ofList(), 200, "Text/Event-Stream; x=y", "data: " + hidden + "\n\n: x\n\n", ": x\n\n", true},
		"events of an error": {ofList(), 500, asEvents, "data: " + listed + "\n\n", "data: " + shownOf + "\n\n", true},
		"events of a GET":    {ofGET(), 200, asEvents, "data: " + listed + "\n\n", "data: " + shownOf + "\n\n", true},
		"a page of a GET":    {ofGET(), 200, "text/html", "<p>secret", "", false},
		"JSON of a GET":      {ofGET(), 200, asJSON, listed, shownOf, true}, // some clients take whatever comes for their answer
		"of no known type":   {ofGET(), 200, "", listed, shownOf, true},
		"taken, as JSON":     {ofGET(), 202, asJSON, `{"jsonrpc":"2.0","id":1,"result":{}}`, "", false},
		"of a call":          {ofCall(), 200, asJSON, listed, "", false},
		"of a call, large":   {ofCall(), 200, asJSON, strings.Repeat(" ", 1<<11) + listed, "", false},
		"events of a call":   {ofCall(), 200, asEvents, "data: " + hidden + "\n\ndata: " + told + "\n\n", "data: " + told + "\n\n", true},
		"nothing withheld":   {nil, 200, asEvents, "data: " + hidden + "\n\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.want == "" {
				tc.want = tc.body
			}
			s := serve(t, tc.cut, answering(tc.status, tc.body, "Content-Type", tc.media, "Etag", `"x"`, "Content-Length", strconv.Itoa(len(tc.body)), "X-Other", "kept"))
			h := s.Result().Header
			if s.err != nil || s.Code != tc.status || s.Body.String() != tc.want {
				t.Errorf("%v %d %q", s.err, s.Code, s.Body)
			}
			if h.Get("X-Other") != "kept" || h.Get("Content-Type") != tc.media || h.Get("Bound") != "bound" {
				t.Errorf("%v", h)
			}
			length := h.Get("Content-Length")
			if (h.Get("Etag") == "") != tc.edited || length != "" && length != strconv.Itoa(len(tc.want)) || !tc.edited && length == "" {
				t.Errorf("%v of %d bytes", h, len(tc.want))
			}
		})
	}
}

// A notification that is acknowledged in some way was taken, so its answer is no failure.
func TestWhatAnswersNoRequestAndCannotBeReadLosesItsBody(t *testing.T) {
	for name, body := range map[string]string{
		"no message": `{"tools":[{"name":"secret"}]}`, "an array": "[" + listed + "]", "an event": "data: " + listed + "\n\n", "an update": hidden, "a word": `"ok"`,
	} {
		for _, status := range []int{200, 202} {
			s := serve(t, ofGET(), answering(status, body, "Content-Type", asJSON, "Etag", `"x"`, "Content-Length", strconv.Itoa(len(body))))
			if h := s.Result().Header; s.err != nil || s.Code != status || s.Body.Len() != 0 || h.Get("Content-Length") != "" || h.Get("Etag") != "" {
				t.Errorf("%s: %v %d %v %q", name, s.err, s.Code, h, s.Body)
			}
			if len(s.reasons) != 1 || strings.Contains(s.reasons[0], "secret") {
				t.Errorf("%s: reported %q", name, s.reasons)
			}
		}
	}
}

func TestWhatCannotBeCutIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		cut    *Cut
		status int
		body   string
		header []string
		reason string
	}{
		"compressed JSON":   {ofList(), 200, "secret", []string{"Content-Type", asJSON, "Content-Encoding", "gzip"}, "compressed"},
		"compressed events": {ofCall(), 200, "secret", []string{"Content-Type", asEvents, "Content-Encoding", "br"}, "compressed"},
		"compressed GET":    {ofGET(), 200, "secret", []string{"Content-Type", asEvents, "Content-Encoding", "zstd"}, "compressed"},
		"a part":            {ofList(), 206, listed, []string{"Content-Type", asJSON, "Content-Range", "bytes 1-2/3"}, "a part"},
		"another type":      {ofList(), 200, listed, []string{"Content-Type", "text/json"}, "Content-Type"},
		"no type":           {ofList(), 200, "secret", nil, "no valid message"},
		"no JSON":           {ofList(), 200, "secret", []string{"Content-Type", asJSON}, "no valid message"},
		"cut off":           {ofList(), 200, listed[:len(listed)-1], []string{"Content-Type", asJSON}, "no valid message"},
		"an array":          {ofList(), 200, "[" + listed + "]", []string{"Content-Type", asJSON}, "batch"},
		"doubled":           {ofList(), 200, strings.Replace(listed, "]", `],"tools":[]`, 1), []string{"Content-Type", asJSON}, "duplicate"},
		"too large":         {ofList(), 200, strings.Repeat(" ", 1<<10) + listed, []string{"Content-Type", asJSON}, "larger than 1024 bytes"},
		"no answer":         {ofList(), 200, hidden, []string{"Content-Type", asJSON}, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tc.cut, answering(tc.status, tc.body, append(tc.header, "Etag", `"secret"`, "Content-Length", "7")...))
			if s.Code != http.StatusBadGateway || s.refusal == nil || !strings.Contains(s.refusal.Error(), tc.reason) {
				t.Fatalf("%d %v", s.Code, s.refusal)
			}
			if s.err != nil && !errors.Is(s.err, errWithheld) {
				t.Error(s.err)
			}
			h := s.Result().Header
			if strings.Contains(s.Body.String()+h.Get("Etag"), "secret") || h.Get("Content-Encoding")+h.Get("Content-Range") != "" ||
				h.Get("Content-Length") != strconv.Itoa(s.Body.Len()) || h.Get("Content-Type") != asJSON || h.Get("Bound") != "bound" {
				t.Errorf("%v %s", h, s.Body)
			}
		})
	}
}

// What a proxy adds once the body is there are trailers (RFC 9110 section 6.5.1).
func TestTrailersOfAnAnswerThatIsKeptAreNoHeaders(t *testing.T) {
	s := serve(t, ofList(), func(w *Writer) error {
		err := answering(200, listed, "Content-Type", asJSON, "X-Early", "1", "Trailer", "X-Late")(w)
		w.Header().Set("X-Late", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		return err
	})
	if h := s.Result().Header; h.Get("X-Early") != "1" || len(h) != 4 || s.Body.String() != shownOf {
		t.Errorf("%v %s", h, s.Body)
	}
}

func TestWhatBreaksOffDoesNotPass(t *testing.T) {
	for media, want := range map[string]string{asJSON: "", asEvents: ": x\n\n"} {
		w := httptest.NewRecorder()
		broken := NewWriter(w, Settings{Cut: ofList()})
		if err := answering(200, ": x\n\ndata: "+listed, "Content-Type", media)(broken); err != nil {
			t.Fatal(err)
		}
		if w.Body.String() != want { // and Close is not called
			t.Errorf("%s: %q passes", media, w.Body)
		}
	}
}

func TestReleasedAnswerIsUntouched(t *testing.T) {
	s := serve(t, ofList(), func(w *Writer) error {
		w.Release()
		return answering(200, "data: "+listed+"\n\n", "Content-Type", asEvents)(w)
	})
	if s.Body.String() != "data: "+listed+"\n\n" || s.Result().Header.Get("Bound") != "" {
		t.Errorf("%v %s", s.Result().Header, s.Body)
	}
}

// Over a real connection: interim answers, flushing, and what takes the connection over.
func TestWriterKeepsWhatTheConnectionCanDo(t *testing.T) {
	cut := ofCall()
	more := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := NewWriter(rw, Settings{Cut: cut, Report: func(string) {}})
		if r.URL.Path == "/switch" {
			if _, _, err := w.Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("taken over though something is withheld: %v", err)
			}
			w.Release()
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			conn.Close()
			return
		}
		w.Header().Set("Link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", asEvents)
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).SetWriteDeadline(noDeadline); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "data: "+told+"\n\ndata: {")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-more
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	response, err := http.Get(server.URL + "/switch")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "ok" {
		t.Errorf("%s %v", body, err)
	}
	response.Body.Close()
	hints := 0
	r, _ := http.NewRequestWithContext(counting(t, &hints), http.MethodPost, server.URL, nil)
	if response, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, len("data: "+told+"\n\n"))
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "data: "+told+"\n\n" || hints != 1 {
		t.Errorf("%q %v, %d hints", first, err, hints)
	}
	close(more)
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) != 0 {
		t.Errorf("%q %v", rest, err)
	}
}
