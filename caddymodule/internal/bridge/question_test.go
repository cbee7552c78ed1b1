package bridge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
)

// renamed is a question as the client of a session that shares its process reads it.
func renamed(line string, n int) string {
	return strings.Replace(line, `"q1"`, fmt.Sprintf(`"snapgate-%d"`, n), 1)
}

// A process that takes the place of another counts its questions from the same number: an
// answer to one of the other is no answer to them.
func TestALateAnswerMeetsNoQuestionOfTheNextProcess(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.asking("alice")
	resp := g.post(tool(`1`, "hold", saying(questionLine)), header...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	g.process().conn.Close("the test")
	resp.next() // its end
	g.until("the process is gone", func() bool { return g.bridge.Processes() == 0 })
	resp = g.post(tool(`2`, "hold", saying(questionLine)), header...)
	resp.says("")
	resp.says(renamed(questionLine, 2))
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"accept"}}`, header...)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-2","result":{"action":"decline"}}`, header...)
	resp.says(`{"jsonrpc":"2.0","id":2,"result":{"content":[],"heard":{"action":"decline"}}}`)
	if line := g.log.read(t, `"action":"decline"`); !strings.Contains(line, `"id":"q1"`) {
		t.Errorf("the server was told %s", line)
	}
}

// What a server withdraws, its client knows under another id.
func TestAQuestionIsWithdrawnByTheIDThatItsClientKnows(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.asking("alice")
	const withdrawn = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"r","requestId":"q1"}}`
	resp := g.post(tool(`1`, "own", saying(questionLine, withdrawn, answered)), header...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	resp.says(renamed(withdrawn, 1))
	resp.says(`{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	if n := g.open(header); n != 0 {
		t.Errorf("%d questions are open", n)
	}
}

// It is withdrawn from the client that was asked, whosever calls are in flight by then.
func TestAQuestionIsWithdrawnFromTheClientThatWasAsked(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.asking("alice"), g.asking("alice")
	const withdrawn = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q1"}}`
	resp := g.post(tool(`1`, "hold", saying(questionLine)), one...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	g.post(tool(`2`, "own", saying(withdrawn, answered)), other...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{"done":true}}`)
	resp.says(renamed(withdrawn, 1))
	if n := g.open(one); n != 0 {
		t.Errorf("%d questions are open", n)
	}
}

// open is how many questions wait for the client of the session that the headers name.
func (g *gateway) open(header []string) int {
	s := g.find(header)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// sayer notes what the gateway says in a client's place.
type sayer []string

func (s *sayer) Say(frame []byte) error {
	*s = append(*s, string(frame))
	return nil
}

func (s *sayer) Respond(*message.Message, []byte) error { return nil }

// A client that answers nothing keeps no more than so many questions waiting.
func TestOpenQuestionsAreBounded(t *testing.T) {
	var said sayer
	s := lone()
	defer s.idle.Stop()
	w := s.standalone.attach(1)
	for n := range maxAsked + 2 {
		m := parsed(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"roots/list"}`, n))
		s.deliver(&said, m, m.Raw)
		s.standalone.take(w) // the client reads, and does not answer
	}
	want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32603`, maxAsked)
	if len(s.asked) != maxAsked || len(said) != 2 || !strings.HasPrefix(said[0], want) {
		t.Errorf("%d questions wait, and the server was told %s", len(s.asked), said)
	}
}

// The stream of a call that has ended is kept for a while, and a question on it that no client
// has seen waits as long. Then it is answered.
func TestAQuestionOnAStreamThatIsKeptNoLongerIsAnswered(t *testing.T) {
	var said sayer
	s := &session{calls: map[string]*inCall{}, asked: map[string]asking{}, standalone: &stream{id: standaloneID}}
	ended := func(id string, before func()) {
		m := parsed(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call"}`)
		in, refusal := s.begin(&admission.Call{Message: m})
		if refusal != nil {
			t.Fatal(refusal)
		}
		before()
		in.stream.push(reply(t, id))
		s.finish(m, in, true)
	}
	ended(`0`, func() { s.deliver(&said, parsed(t, secondLine), []byte(secondLine)) })
	for n := range maxEvents - 1 { // its own stream has two
		if len(said) > 0 {
			t.Fatalf("after %d calls it was answered %s", n, said)
		}
		ended(fmt.Sprint(n+1), func() {})
	}
	if len(said) != 1 || !strings.Contains(said[0], `"id":"q2","error"`) || len(s.asked) != 0 {
		t.Errorf("answered %q, and %d questions are open", said, len(s.asked))
	}
}

// A call that does not reach the server may have been asked something before that is known.
func TestAQuestionToACallThatIsRefusedIsAnswered(t *testing.T) {
	var said sayer
	s := &session{bridge: New(PerSession), calls: map[string]*inCall{}, asked: map[string]asking{}, standalone: &stream{id: standaloneID}}
	call := &admission.Call{Message: parsed(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)}
	var late *stream
	refusal := s.exchange(nil, call, nil, &exchange{}, time.Second, func(in *inCall) (*backend.Call, error) {
		s.deliver(&said, parsed(t, questionLine), []byte(questionLine))
		late = s.target(parsed(t, secondLine))
		return nil, process.ErrQueueFull
	})
	if refusal == nil {
		t.Fatal("the call is not refused")
	}
	s.asked[message.IDKey([]byte(`"q2"`))] = asking{&said, []byte(`"q2"`), []byte(`"q2"`)}
	late.push(event{frame: []byte(secondLine), msg: parsed(t, secondLine)}) // it was just on its way there
	if len(said) != 2 || !strings.Contains(said[0], `"id":"q1","error"`) || !strings.Contains(said[1], `"id":"q2","error"`) || len(s.asked) != 0 {
		t.Errorf("answered %q, and %d questions are open", said, len(s.asked))
	}
}
