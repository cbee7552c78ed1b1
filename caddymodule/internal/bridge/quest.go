package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
	"github.com/snapgate/snapgate/identity"
)

// quest stands between a legacy client's call and the requests to a modern server that it is
// made of. When the server wants input, the client is asked on the call's stream, and the
// call is made again with what it says.
type quest struct {
	s       *session
	p       *pooled
	stamp   []message.MetaValue
	sink    backend.Sink     // the quest itself, as the server's answers reach it
	in      *inCall          // with request, set before the first word of the server
	request *message.Message // of the client, as the server reads it

	mu     sync.Mutex
	rounds int
	over   bool
	open   map[string]string          // names of the questions that are open, by [message.IDKey] of the client's id
	input  map[string]json.RawMessage // what the client has said, by name
	state  []byte                     // the server's requestState; nil if it gave none
}

// maxRounds is how often a server may ask in one call, and maxQuestions how much at once.
const (
	maxRounds    = 32
	maxQuestions = 64
)

// pause is how long the gateway waits before it makes a call again for which the server
// wanted no input but time.
const pause = time.Second

// Deliver takes what the server says about the call.
func (q *quest) Deliver(e backend.Event) {
	if !e.Last || e.Message == nil || !translate.AsksForInput(e.Message) {
		q.in.stream.Deliver(e)
		return
	}
	if err := q.ask(e.Message); err != nil {
		q.fail(err)
	}
}

func (q *quest) fail(err error) { q.in.stream.push(event{last: true, err: err}) }

// ask puts the server's questions to the client.
func (q *quest) ask(m *message.Message) error {
	questions, err := translate.Questions(m)
	if err != nil {
		return err
	}
	if len(questions) > maxQuestions {
		return fmt.Errorf("the server asks %d questions at once: at most %d can be passed on", len(questions), maxQuestions)
	}
	requests := make([]*message.Message, len(questions))
	open := map[string]string{}
	for i, question := range questions {
		if requests[i], err = question.Request(q.s.nextID()); err != nil {
			return fmt.Errorf("the server's question: %w", err)
		}
		open[message.IDKey(requests[i].ID)] = question.Name
	}
	if !q.begin(open, m.Result.Get("requestState")) {
		return fmt.Errorf("the server has asked %d times in one call", maxRounds)
	}
	if len(questions) == 0 {
		time.AfterFunc(pause, q.again)
	}
	for _, request := range requests {
		if !q.s.expect(request.ID, q) {
			return errors.New("too many questions wait for the client")
		}
		q.in.stream.push(event{frame: request.Edit().DropMeta(identity.MetaPrefix).Bytes(), msg: request})
	}
	return nil
}

// begin begins a round of questions. It reports whether the server may ask once more.
func (q *quest) begin(open map[string]string, state []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rounds++
	q.open, q.input, q.state = open, map[string]json.RawMessage{}, state
	return q.rounds <= maxRounds
}

// Respond takes the client's answer to a question.
func (q *quest) Respond(m *message.Message, id []byte) error {
	if m.IsError() {
		if q.stop() {
			text, _ := m.Error.String("message")
			q.fail(fmt.Errorf("the client did not give the input that the server asked for: %s", text))
		}
		return nil
	}
	if q.takes(message.IDKey(id), m.Result.Raw()) {
		go q.again() // the client need not wait for it
	}
	return nil
}

// takes keeps an answer of the client. It reports whether it was the last.
func (q *quest) takes(key string, result []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	name, ok := q.open[key]
	if !ok {
		return false
	}
	delete(q.open, key)
	q.input[name] = bytes.Clone(result)
	return len(q.open) == 0
}

// stop makes it the last round. It reports whether it was not before.
func (q *quest) stop() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := q.over
	q.over = true
	return !before
}

func (q *quest) stopped() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.over
}

// Say takes the gateway's own answer in the place of the client.
func (q *quest) Say(frame []byte) error {
	m, err := message.Parse(frame, 0)
	if err != nil {
		return err
	}
	return q.Respond(m, m.ID)
}

// again makes the call once more.
func (q *quest) again() {
	q.mu.Lock()
	over, input, state := q.over, q.input, q.state
	q.mu.Unlock()
	if over {
		return
	}
	request, err := translate.Again(q.request, input, state)
	if err != nil {
		q.fail(err)
		return
	}
	call, err := q.s.sendTo(q.p.conn, request, q.stamp, q.in, q.sink)
	switch {
	case errors.Is(err, process.ErrExited):
		q.fail(backend.ErrClosed) // it has not been seen to end yet
	case err != nil:
		q.fail(err)
	case q.stopped():
		call.Cancel(nil, "the call has ended")
	}
}

// close ends the questions of a call that has ended.
func (q *quest) close() {
	q.mu.Lock()
	q.over = true
	open, asked := q.open, q.rounds > 0
	q.open = nil
	q.mu.Unlock()
	var last *backend.Call
	q.s.mu.Lock()
	for key := range open {
		delete(q.s.asked, key)
	}
	if asked {
		last = q.in.call
	}
	q.s.mu.Unlock()
	if last != nil {
		last.Cancel(nil, "the call has ended") // if it was just being made again
	}
	if q.in != nil {
		q.p.leave(q.in.stream)
	}
}
