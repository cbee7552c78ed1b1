package bridge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
)

// hearer is a sink that keeps the methods of what it is told.
type hearer []string

func (s *hearer) Deliver(e backend.Event) {
	method := "the answer"
	if e.Message != nil {
		method = e.Message.Method
		if uri, ok := e.Message.Params.String("uri"); ok {
			method += " " + uri
		}
	}
	*s = append(*s, method)
}

func TestAListenThatIsPassedOnTellsOfWhatMayBeRead(t *testing.T) {
	notifications := []string{
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:secret"}}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{}}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:open"}}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/list_changed","params":{"uri":"a:secret"}}`,
	}
	for name, tc := range map[string]struct {
		visible func(kind, name string) bool
		want    []string
	}{
		"some": {func(kind, name string) bool { return kind == "resource" && name == "a:open" },
			[]string{"notifications/resources/updated a:open", "notifications/resources/list_changed a:secret", "the answer"}},
		"all": {nil, []string{"notifications/resources/updated a:secret", "notifications/resources/updated", "notifications/resources/updated a:open", "notifications/resources/list_changed a:secret", "the answer"}},
	} {
		var got hearer
		sink := readUpdates{&got, tc.visible}
		for _, text := range notifications {
			m, err := message.Parse([]byte(text), 0)
			if err != nil {
				t.Fatal(err)
			}
			sink.Deliver(backend.Event{Message: m})
		}
		sink.Deliver(backend.Event{Last: true})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: told of %q, want %q", name, got, tc.want)
		}
	}
}

// A session outlives tokens and reloads, and its subscriptions with it. What a token may not
// read any more is not told on a stream that is opened with it.
func TestASessionIsToldOfWhatItsNewestStreamMayRead(t *testing.T) {
	const updated = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:secret"}}`
	m, err := message.Parse([]byte(updated), 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{calls: map[string]*inCall{}, asked: map[string]asking{}, standalone: &stream{id: standaloneID}}
	told := func() bool {
		before := s.standalone.next
		s.deliver(nil, m, m.Raw)
		return s.standalone.next != before
	}
	of := func(text string, visible func(kind, name string) bool) *admission.Call {
		call := &admission.Call{Hears: visible}
		if text != "" {
			if call.Message, err = message.Parse([]byte(text), 0); err != nil {
				t.Fatal(err)
			}
		}
		return call
	}
	nothing := func(string, string) bool { return false }
	const subscribe = `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:secret"}}`
	for _, step := range []struct {
		name string
		call *admission.Call
		want bool
	}{
		{"subscribed", of(subscribe, nil), true},
		{"a stream with fewer scopes", of("", nothing), false},
		{"another call with more", of(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, nil), false},
		{"a stream with more", of("", nil), true},
	} {
		if s.readsAs(step.call); told() != step.want {
			t.Errorf("%s: told is %v", step.name, !step.want)
		}
	}
}

// What a session was to be told is kept for the next stream. That may be of a token that may
// read less.
func TestWhatWasKeptIsToldToThoseWhoMayReadIt(t *testing.T) {
	const updated = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:secret"}}`
	const changed = `{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}`
	b := New(PerSession)
	s := &session{bridge: b, over: make(chan struct{}), calls: map[string]*inCall{}, asked: map[string]asking{}, standalone: &stream{id: standaloneID}}
	b.sessions["one"] = s
	settings := Settings{Launch: func(*principal) (Launch, error) { return Launch{}, nil }}.Prepared()
	for _, text := range []string{updated, changed} {
		s.deliver(nil, parsed(t, text), []byte(text))
	}
	s.standalone.end()
	nothing := func(string, string) bool { return false }
	for _, read := range []struct {
		from    string
		visible func(kind, name string) bool
	}{{"", nothing}, {"s-0", nothing}, {"s-0", nil}} { // written for the first time, and again
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		r.Header.Set("Last-Event-Id", read.from)
		if refusal := b.follow(w, r, &admission.Call{SessionID: "one", Hears: read.visible}, settings); refusal != nil {
			t.Fatal(refusal)
		}
		if got, may := w.Body.String(), read.visible == nil; strings.Contains(got, updated) != may || !strings.Contains(got, changed) {
			t.Errorf("from %q, it may read %v: %s", read.from, may, got)
		}
	}
}

// In a session without a stream of its own an update goes to the stream of a call, which may be
// of a token that may read less than the one that subscribed.
func TestACallIsToldOfWhatItsTokenMayRead(t *testing.T) {
	const updated = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:%s"}}`
	b := New(PerSession)
	for name, want := range map[string][]string{
		"with fewer scopes": {"open", "answer"},
		"with all":          {"secret", "open", "answer"},
	} {
		s := &session{bridge: b, calls: map[string]*inCall{}, asked: map[string]asking{}, standalone: &stream{id: standaloneID}}
		call := &admission.Call{Message: parsed(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)}
		if name == "with fewer scopes" {
			call.Hears = func(_, uri string) bool { return uri != "a:secret" }
		}
		r, w := httptest.NewRequest(http.MethodPost, "/", nil), httptest.NewRecorder()
		refusal := s.exchange(r, call, Settings{}.Prepared(), b.newExchange(w, call), time.Minute, func(in *inCall) (*backend.Call, error) {
			for _, what := range []string{"secret", "open"} {
				m := parsed(t, fmt.Sprintf(updated, what))
				s.deliver(nil, m, m.Raw)
			}
			in.stream.push(event{frame: []byte(`"answer"`), last: true})
			return nil, nil
		})
		if refusal != nil {
			t.Fatal(refusal)
		}
		for _, part := range []string{"secret", "open", "answer"} {
			if strings.Contains(w.Body.String(), part) != slices.Contains(want, part) {
				t.Errorf("%s: told %q, want %q", name, w.Body, want)
			}
		}
	}
}

// What has just come is known: only what was kept is read again, and that once.
func TestWhatHasJustComeIsNotReadAgain(t *testing.T) {
	m := parsed(t, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:open"}}`)
	only := func(uri string) func(string, string) bool {
		return func(_, name string) bool { return name == uri }
	}
	fresh := event{frame: []byte("unreadable"), msg: m}
	if !mayHear(only("a:open"), fresh) || mayHear(only("a:secret"), fresh) {
		t.Error("it is not judged by its message")
	}
	kept := event{frame: m.Raw, msg: traits(m)}
	if !mayHear(only("a:open"), kept) || mayHear(only("a:secret"), kept) {
		t.Error("what was kept is not judged by its frame")
	}
	if mayHear(only("a:open"), event{frame: []byte("unreadable"), msg: traits(m)}) {
		t.Error("it is told though nobody knows what it says")
	}
	lists := &stream{request: []byte("1"), about: policy.Request{Method: message.MethodToolsList}}
	call := &admission.Call{Sees: func(string) func(string, string) bool { return only("t") }}
	for _, e := range []event{fresh, kept} {
		e.frame = []byte("as it was")
		if got := again(call, lists)(e); string(got.frame) != "as it was" {
			t.Errorf("a notification is taken for a list: %s", got.frame)
		}
	}
}
