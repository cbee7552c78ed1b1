package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

func parsed(t testing.TB, text string) *message.Message {
	t.Helper()
	m, err := message.Parse([]byte(text), 0)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

func notice(t testing.TB, n int) event {
	text := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":%d}}`, n)
	return event{frame: []byte(text), msg: parsed(t, text)}
}

func question(t testing.TB, id string) event {
	text := `{"jsonrpc":"2.0","id":` + id + `,"method":"roots/list"}`
	return event{frame: []byte(text), msg: parsed(t, text)}
}

func reply(t testing.TB, id string) event {
	text := `{"jsonrpc":"2.0","id":` + id + `,"result":{}}`
	return event{frame: []byte(text), msg: parsed(t, text), last: true}
}

// numbers are the event numbers that a writer is given.
func numbers(s *stream, w *writer) string {
	events, _ := s.take(w)
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprint(e.number))
	}
	return strings.Join(list, " ")
}

func TestTheNewestWriterReceives(t *testing.T) {
	s := &stream{id: "s"}
	first := s.attach(4)
	s.push(notice(t, 1))
	if got := numbers(s, first); got != "1" {
		t.Errorf("the first was given %q", got)
	}
	second := s.attach(4)
	s.push(notice(t, 2))
	if old, fresh := numbers(s, first), numbers(s, second); old != "" || fresh != "2" {
		t.Errorf("the first was given %q, the second %q", old, fresh)
	}
	s.detach(second)
	s.push(notice(t, 3))
	if got := numbers(s, first); got != "3" {
		t.Errorf("once it is alone again the first is given %q", got)
	}
}

func TestTheOldestOfTooManyWritersIsLetGo(t *testing.T) {
	s := &stream{id: "s"}
	oldest := s.attach(2)
	<-oldest.wake
	s.attach(2)
	s.attach(2)
	<-oldest.wake
	if _, done := s.take(oldest); !done {
		t.Error("the oldest goes on")
	}
}

func TestWhatWasPushedBeforeAnybodyReadIsKept(t *testing.T) {
	s := &stream{id: "s"}
	s.push(notice(t, 1))
	s.push(notice(t, 2))
	if got := numbers(s, s.attach(1)); got != "1 2" {
		t.Errorf("given %q", got)
	}
}

func TestAStreamIsBoundedInEventsAndBytes(t *testing.T) {
	s := &stream{id: "s"}
	for n := range 10 * maxEvents {
		s.push(notice(t, n))
	}
	if events, _ := s.size(); events != maxEvents {
		t.Errorf("%d events are kept, want %d", events, maxEvents)
	}
	for range 10 {
		s.push(event{frame: make([]byte, maxBytes/2)})
	}
	if _, bytes := s.size(); bytes > maxBytes {
		t.Errorf("%d bytes are kept, want at most %d", bytes, maxBytes)
	}
	s.push(event{frame: make([]byte, 5*maxBytes), last: true})
	if events, bytes := s.size(); events != 1 || bytes != 5*maxBytes {
		t.Errorf("an answer over the bound is kept alone: %d events, %d bytes", events, bytes)
	}
}

func TestNotificationsAreForgottenBeforeRequests(t *testing.T) {
	var lost []string
	s := &stream{id: "s", lost: func(e event) { lost = append(lost, string(e.frame)) }}
	s.push(question(t, `"q"`))
	for n := range maxEvents + 10 {
		s.push(notice(t, n))
	}
	if len(lost) != 11 || strings.Contains(strings.Join(lost, ""), "roots/list") {
		t.Errorf("lost %d: %s", len(lost), lost)
	}
	for n := range maxEvents + 5 {
		s.push(question(t, fmt.Sprint(n)))
	}
	if got := strings.Count(strings.Join(lost, ""), "roots/list"); got != 6 {
		t.Errorf("%d requests were reported lost, want 6", got)
	}
}

func TestWhatWasWrittenIsForgottenFirst(t *testing.T) {
	s := &stream{id: "s", lost: func(e event) { t.Errorf("lost event %d", e.number) }}
	w := s.attach(1)
	for n := range maxEvents {
		s.push(notice(t, n))
	}
	s.take(w)
	for n := range maxEvents {
		s.push(notice(t, n))
	}
	if first, _, _ := strings.Cut(numbers(s, w), " "); first != fmt.Sprint(maxEvents+1) {
		t.Errorf("the next event given is %s", first)
	}
}

func TestReplayGoesOnAfterTheEventTheClientHas(t *testing.T) {
	s := &stream{id: "s"}
	w := s.attach(1)
	for n := range 5 {
		s.push(notice(t, n))
	}
	s.take(w)
	for after, want := range map[int64]string{0: "1 2 3 4 5", 3: "4 5", 5: "", 99: ""} {
		if got := numbers(s, s.resume(after, 1)); got != want {
			t.Errorf("after %d it goes on with %q, want %q", after, got, want)
		}
	}
}

// A client that was away for too long gets what is left.
func TestAReplayBeginsWithWhatIsStillKept(t *testing.T) {
	s := &stream{id: "s"}
	w := s.attach(1)
	for n := range maxEvents + 10 {
		s.push(notice(t, n))
		s.take(w)
	}
	if events, _ := s.size(); events != maxEvents {
		t.Errorf("%d events are kept, want %d", events, maxEvents)
	}
	got := strings.Fields(numbers(s, s.resume(3, 1)))
	if len(got) != maxEvents || got[0] != "11" || got[maxEvents-1] != fmt.Sprint(maxEvents+10) {
		t.Errorf("after 3 it goes on with %v", got)
	}
}

func TestWhatCouldNotBeWrittenIsGivenToTheNextWriter(t *testing.T) {
	s := &stream{id: "s"}
	w := s.attach(1)
	for n := range 3 {
		s.push(notice(t, n))
	}
	s.take(w)
	s.fail(w, 2)
	if got := numbers(s, s.attach(1)); got != "2 3" {
		t.Errorf("given %q", got)
	}
}

// A connection that broke off may notice so long after the client has come back for
// the rest on another.
func TestALateFailureToWriteDoublesNothing(t *testing.T) {
	s := &stream{id: "c1"}
	old := s.attach(1)
	for n := range 3 {
		s.push(notice(t, n))
	}
	events, _ := s.take(old)

	resumed := s.resume(1, 1)
	if got := numbers(s, resumed); got != "2 3" {
		t.Fatalf("resumed with %q", got)
	}
	s.fail(old, events[1].number) // the old connection fails only now
	if got := numbers(s, resumed); got != "" {
		t.Errorf("the resumed stream is given %q once more", got)
	}
}

// The client asks for the rest on a new connection while the old one still counts as
// attached.
func TestAReplayIsNotTakenByTheOldConnection(t *testing.T) {
	s := &stream{id: "s"}
	old := s.attach(4)
	for n := range 3 {
		s.push(notice(t, n))
	}
	s.take(old)

	resumed := s.resume(1, 4)
	s.push(notice(t, 4))
	stolen := numbers(s, old)
	if got := numbers(s, resumed); got != "2 3 4" || stolen != "" {
		t.Errorf("the new connection was given %q, the old one %q", got, stolen)
	}
}

func TestNothingFollowsTheEnd(t *testing.T) {
	s := &stream{id: "c1"}
	w := s.attach(1)
	s.push(reply(t, `1`))
	s.push(reply(t, `1`))
	s.push(notice(t, 1))
	s.end()
	events, done := s.take(w)
	if len(events) != 1 || !done || !events[0].last {
		t.Errorf("given %d events, done %v", len(events), done)
	}
	select {
	case <-s.finished():
	default:
		t.Error("it is not finished")
	}
}

// A request of the server that comes between the answer to a call and the end of its
// exchange has no reader any more: the server must be told.
func TestARequestAfterTheEndIsLostNotSwallowed(t *testing.T) {
	var lost []event
	s := &stream{id: "c1", lost: func(e event) { lost = append(lost, e) }}
	s.push(reply(t, `1`))
	s.push(question(t, `"q"`))
	if len(lost) != 1 {
		t.Errorf("%d requests were reported lost, want 1", len(lost))
	}
}

func TestTheEndWakesWhoWaitsForIt(t *testing.T) {
	s := &stream{}
	over := s.finished()
	select {
	case <-over:
		t.Fatal("finished before the end")
	default:
	}
	s.end()
	<-over
	<-s.finished()
}

func TestAStreamWithoutIDsForgetsWhatItWrote(t *testing.T) {
	s := &stream{}
	w := s.attach(1)
	for n := range 3 {
		s.push(notice(t, n))
	}
	if got := numbers(s, w); got != "1 2 3" {
		t.Errorf("given %q", got)
	}
	if events, bytes := s.size(); events != 0 || bytes != 0 {
		t.Errorf("%d events, %d bytes are kept", events, bytes)
	}
}

// What could not be written is forgotten in the same order as what nobody came for, and a
// question then answered all the same.
func TestAQuestionThatCouldNotBeWrittenIsAnsweredIfItIsForgotten(t *testing.T) {
	var lost []string
	s := &stream{id: "s", lost: func(e event) {
		if e.msg.Kind == message.Request {
			lost = append(lost, string(e.msg.ID))
		}
	}}
	for n := range maxEvents - 1 {
		s.push(notice(t, n))
	}
	s.push(question(t, `"q1"`))
	w := s.attach(1)
	events, _ := s.take(w)
	s.fail(w, events[0].number)
	for n := range maxEvents - 1 {
		s.push(notice(t, n))
	}
	if len(lost) != 0 {
		t.Errorf("%q were forgotten, and notifications kept", lost)
	}
	for n := range maxEvents {
		s.push(question(t, fmt.Sprint(n)))
	}
	if len(lost) == 0 || lost[0] != `"q1"` {
		t.Errorf("%q were forgotten, want the first question among them", lost)
	}
}

// A stream that is kept no longer may still be read. What its reader fails to write then nobody
// will come back for.
func TestWhatTheLastReaderOfADroppedStreamDoesNotGetIsLost(t *testing.T) {
	for name, read := range map[string]func(s *stream, w *writer){
		"it has taken nothing": func(*stream, *writer) {},
		"it cannot write it": func(s *stream, w *writer) {
			events, _ := s.take(w)
			s.fail(w, events[0].number)
		},
	} {
		var lost []string
		s := &stream{id: "a", lost: func(e event) { lost = append(lost, string(e.msg.ID)) }}
		s.push(question(t, `"q"`))
		s.end()
		w := s.attach(1)
		s.drop()
		if len(lost) != 0 {
			t.Errorf("%s: %v is lost while it is read", name, lost)
		}
		read(s, w)
		s.detach(w)
		s.detach(w)
		if len(lost) != 1 || lost[0] != `"q"` {
			t.Errorf("%s: lost is %v", name, lost)
		}
	}
}
