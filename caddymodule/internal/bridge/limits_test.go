package bridge

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"net/http/httptest"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/timeout"
)

func TestTooManyCallsOfAUserAre429(t *testing.T) {
	g := open(t, func(s *Settings) { s.MaxConcurrent = 2 }, trace)
	s := g.session("alice")
	first := g.later(t.Context(), tool(`1`, "hold", ``), s...)
	second := g.later(t.Context(), tool(`2`, "hold", ``), s...)
	g.until("both are in flight", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 2 })
	for _, resp := range []*reader{g.post(tool(`3`, "echo", ``), s...), g.modernTool(`3`, "echo", ``)} {
		if resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		resp.holds(http.StatusTooManyRequests, `"id":3`)
	}
	g.post(tool(`1`, "echo", ``), g.session("bob")...).holds(http.StatusOK, `"result"`)
	g.log.read(t, `"hold"`)
	g.find(s).end("enough")
	receive(t, first).body()
	receive(t, second).body()
	g.post(initializeRequest).holds(http.StatusOK, `"result"`)
}

func TestTooManySessionsOfAUserAre429(t *testing.T) {
	g := open(t, func(s *Settings) { s.MaxSessions = 2 })
	s := g.session("alice")
	g.session("alice")
	resp := g.post(initializeRequest)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	resp.holds(http.StatusTooManyRequests, `"id":"init"`)
	g.session("bob")
	g.do(t.Context(), http.MethodDelete, "", s...)
	// It counts until its process is gone.
	g.until("the process is gone", func() bool { return g.bridge.Processes() == 2 })
	g.session("alice")
	if got := g.log.await(t, "a refusal", func(r map[string]string) bool { return r["outcome"] == "refused" }); got["method"] != "initialize" || got["code"] != "-32603" {
		t.Errorf("audit: %v", got)
	}
}

func TestTooManyProcessesAre503(t *testing.T) {
	g := open(t, func(s *Settings) { s.MaxProcesses = 1 })
	s := g.session("alice")
	for _, resp := range []*reader{g.post(initializeRequest, "X-User", "bob"), g.modernTool(`1`, "echo", ``)} {
		if resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		resp.holds(http.StatusServiceUnavailable, `"code":-32603`)
	}
	g.do(t.Context(), http.MethodDelete, "", s...)
	g.gone()
	g.modernTool(`1`, "echo", ``).holds(http.StatusOK, `"result"`)
}

func TestIdleSessionsAndProcessesAreReaped(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	stream := g.get(t.Context(), s...) // an open GET keeps nothing alive
	g.modernTool(`1`, "echo", ``).holds(http.StatusOK, `"result"`)
	g.idles()
	stream.ends()
	g.gone()
	g.post(tool(`1`, "echo", ``), s...).holds(http.StatusNotFound, `-32001`)
}

func TestACallInFlightKeepsItsSession(t *testing.T) {
	g := open(t, nil, trace)
	s := g.session("alice")
	legacy := g.later(t.Context(), tool(`1`, "hold", `"mark":"legacy"`), append(s, "X-Call-Timeout", "1200ms")...)
	body, header := modernTool(`1`, "hold", `"mark":"modern"`, "X-Call-Timeout", "1200ms")
	modern := g.later(t.Context(), body, header...)
	g.log.read(t, `"legacy"`)
	g.log.read(t, `"modern"`)
	g.idles()
	receive(t, legacy).holds(http.StatusOK, "longer than the gateway allows")
	receive(t, modern).holds(http.StatusOK, "longer than the gateway allows")
}

// Whoever does not read costs what a stream keeps, and stalls nobody.
func TestAClientThatDoesNotReadStallsNobody(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	slow := g.get(t.Context(), s...) // its events are never read
	flood := fmt.Sprintf(`"burst":%d,"size":8000,%s`, 3000, saying(answered))
	g.post(tool(`1`, "say", saying(answered)), s...).body()
	deaf := g.post(tool(`2`, "hold", flood), s...) // nor are these
	for n := range 20 {
		g.post(tool(fmt.Sprint(10+n), "echo", ``), s...).body()
	}
	g.modernTool(`1`, "echo", ``).holds(http.StatusOK, `"result"`)
	sess := g.find(s)
	sess.mu.Lock()
	for _, in := range sess.calls {
		if events, bytes := in.stream.size(); events > maxWaiting || bytes > maxBacklog {
			t.Errorf("%d events, %d bytes are kept", events, bytes)
		}
	}
	sess.mu.Unlock()
	if events, bytes := sess.standalone.size(); events > maxWaiting || bytes > maxBacklog {
		t.Errorf("%d events, %d bytes are kept", events, bytes)
	}
	slow.Body.Close()
	deaf.Body.Close()
}

func TestARequestOfTheServerThatNobodyReadsIsAnswered(t *testing.T) {
	g := open(t, nil, trace)
	s := g.session("alice")
	lines := []string{answered}
	for n := range maxEvents + 3 {
		lines = append(lines, fmt.Sprintf(`{"jsonrpc":"2.0","id":"q%d","method":"ping"}`, n))
	}
	g.post(tool(`1`, "say", saying(lines...)), s...).body()
	sess := g.find(s)
	const refusal = "The client does not read its messages"
	for n := range 3 {
		g.log.read(t, fmt.Sprintf(`"id":"q%d"`, n), refusal)
	}
	if events, _ := sess.standalone.size(); events != maxEvents || g.log.count(refusal) != 3 {
		t.Errorf("%d events are kept and %d requests were answered, want %d and 3", events, g.log.count(refusal), maxEvents)
	}
}

func TestSilenceBecomesAnEventStreamWithComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(PerSession)
		w := httptest.NewRecorder()
		s := &stream{id: "c1", request: []byte(`1`)}
		x := b.newExchange(w, &admission.Call{Message: parsed(t, tool(`1`, "x", ``))})
		x.stream, x.prime, x.outlive = s, true, true
		time.AfterFunc(36*time.Second, func() { s.push(reply(t, `1`)) })
		last, err := x.run(httptest.NewRequest(http.MethodPost, "/", nil), time.Now().Add(time.Minute))
		if err != nil || !last.last {
			t.Errorf("ended with %v", err)
		}
		const want = "id: c1-0\ndata: \n\n: \n\n: \n\n: \n\nid: c1-1\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"
		if got := w.Body.String(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func TestAnAnswerJustBeforeTheSilenceIsOverIsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		s := &stream{id: "c1", request: []byte(`1`)}
		x := New(PerSession).newExchange(w, &admission.Call{Message: parsed(t, tool(`1`, "x", ``))})
		x.stream = s
		time.AfterFunc(silence-time.Millisecond, func() { s.push(reply(t, `1`)) })
		if _, err := x.run(httptest.NewRequest(http.MethodPost, "/", nil), time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
	})
}

func TestTheAuditSaysHowCallsEnded(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	for name, want := range map[string]string{"echo": "ok", "failing": "tool_error"} {
		body := tool(`1`, name, ``)
		g.post(body, s...).body()
		got := g.log.outcome(t, name)
		if got["outcome"] != want || got["user"] != aliceKey || got["client"] != "client" || got["era"] != "legacy" ||
			got["decision"] != "allow" || got["bytes_in"] != fmt.Sprint(len(body)) || got["bytes_out"] == "0" {
			t.Errorf("%s: %v", name, got)
		}
	}
	g.post(`{"jsonrpc":"2.0","id":1,"method":"unknown"}`, s...).body()
	if got := g.log.outcome(t, "unknown"); got["outcome"] != "error" || got["code"] != "-32601" {
		t.Errorf("an error: %v", got)
	}
	g.post(tool(`1`, "say", saying(`{"jsonrpc":"2.0","id":$id,"result":{"a":1,"a":2}}`)), s...).holds(http.StatusOK, `"code":-32603`)
	if got := g.log.outcome(t, "say"); got["outcome"] != "error" || got["code"] != "-32603" {
		t.Errorf("a malformed answer of a server that lives: %v", got)
	}
}

// A server may report much in a moment: what a client reads as it comes arrives whole.
func TestABurstOfNotificationsReachesAClientThatReads(t *testing.T) {
	const burst = 2000
	g := open(t, nil)
	s := g.session("alice")
	resp := g.post(tool(`1`, "say", fmt.Sprintf(`"burst":%d,"size":100,%s`, burst, saying(answered))), s...)
	resp.says("")
	got := 0
	for {
		_, data := resp.next()
		if data == "" || strings.Contains(data, `"done"`) {
			break
		}
		got++
	}
	if got != burst {
		t.Errorf("%d of %d notifications came", got, burst)
	}
}

// stuck is the answer to a client that reads nothing: a write, or what brings it on its way,
// waits until its time is over.
type stuck struct {
	header http.Header
	buffer bool // takes a write, so that only the flush waits
	over   chan struct{}
	once   sync.Once
}

func (s *stuck) Header() http.Header { return s.header }
func (s *stuck) WriteHeader(int)     {}

func (s *stuck) Write(b []byte) (int, error) {
	if s.buffer {
		return len(b), nil
	}
	return 0, s.FlushError()
}

func (s *stuck) FlushError() error {
	<-s.over
	return os.ErrDeadlineExceeded
}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		s.once.Do(func() { time.AfterFunc(time.Until(t), func() { close(s.over) }) })
	}
	return nil
}

// A slow client has more time for a large answer, in whichever form it comes.
func TestALargeAnswerMayTakeLonger(t *testing.T) {
	frame := make([]byte, 16<<20)
	for name, write := range map[string]func(http.ResponseWriter) error{
		"JSON": func(w http.ResponseWriter) error {
			x := &exchange{sse: newSSE(w)}
			return x.writeAnswer(frame)
		},
		"an event stream": func(w http.ResponseWriter) error {
			s := newSSE(w)
			s.add("c1", event{frame: frame})
			return s.flush()
		},
	} {
		w := &hurried{reception: reception{header: http.Header{}}}
		if err := write(w); err != nil || w.time < 4*time.Minute || w.time > 6*time.Minute {
			t.Errorf("16 MiB as %s: %v, in %v", name, err, w.time)
		}
	}
}

// hurried is a connection that notes how much time its client has.
type hurried struct {
	reception
	time time.Duration
}

func (h *hurried) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		h.time = time.Until(t)
	}
	return nil
}

// A client that does not read its answer costs a goroutine, and its call, for a while only.
func TestAClientThatDoesNotReadItsAnswerIsCutOff(t *testing.T) {
	g := open(t, nil)
	g.bridge.writes = timeout.NewQueue(10 * time.Millisecond)
	gate, err := admission.New(admission.Settings{Authenticate: authenticate})
	if err != nil {
		t.Fatal(err)
	}
	s := g.session("alice")
	for name, buffer := range map[string]bool{"in a write": false, "in the flush": true} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tool(`1`, "say", saying(`{"jsonrpc":"2.0","id":$id,"result":{"x":"`+strings.Repeat("x", 8<<10)+`"}}`))))
		for _, h := range [][]string{{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"}, s} {
			for i := 0; i < len(h); i += 2 {
				r.Header.Set(h[i], h[i+1])
			}
		}
		w := &stuck{header: http.Header{}, buffer: buffer, over: make(chan struct{})}
		call, refusal := gate.Admit(w, r)
		if refusal != nil {
			t.Fatal(refusal.Reason)
		}
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			g.bridge.ServeCall(w, r, call, g.settings)
		}()
		select {
		case <-returned:
		case <-time.After(patience):
			close(w.over)
			t.Errorf("%s: it waits without end", name)
		}
	}
}
