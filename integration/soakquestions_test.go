package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// survey is a call in which the server asks its client something, in one or more rounds. Each
// question has a text of its own, and the server holds that the answer repeats it.
type survey struct {
	mark      string
	arguments object
	began     time.Time
}

func (w *worker) survey() survey {
	methods := []string{"elicitation/create", "sampling/createMessage", "roots/list"}
	mark := w.mark()
	return survey{mark, object{"text": mark, "count": 1 + w.random.IntN(3), "method": methods[w.random.IntN(len(methods))]}, time.Now()}
}

// message is the call, or with further members of params its retry.
func (v survey) message(p *peer, id any, further object) string {
	params := object{"name": "survey", "arguments": v.arguments}
	if p.version >= modernVersion {
		params["_meta"] = object{"io.modelcontextprotocol/clientCapabilities": object{"elicitation": object{}, "sampling": object{}, "roots": object{}}}
	}
	for name, value := range further {
		params[name] = value
	}
	return p.message(id, "tools/call", params)
}

// posed is a question, as a request on a stream or in an answer.
type posed struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
}

var questionText = regexp.MustCompile(`"([^"]* #\d+\.\d+)"`)

// reply answers a question by what it says. It must be one of this call.
func (w *worker) reply(v survey, q posed) object {
	match := questionText.FindSubmatch(q.Params)
	if match == nil || !strings.HasPrefix(string(match[1]), v.mark+" #") {
		w.t.Errorf("%s: in the call %q its client was asked %s", w.name, v.mark, q.Params)
		return object{}
	}
	text := string(match[1])
	switch q.Method {
	case "elicitation/create":
		return object{"action": "accept", "content": object{"text": text}}
	case "sampling/createMessage":
		return object{"role": "assistant", "content": object{"type": "text", "text": text}, "model": "m"}
	}
	return object{"roots": []object{{"uri": "file:///r", "name": text}}}
}

// needed is what an answer asks for, nil if it does not.
func needed(a answer) (state string, questions map[string]posed) {
	all := a.messages()
	var m struct {
		Result struct {
			ResultType, RequestState string
			InputRequests            map[string]posed
		}
	}
	if len(all) == 0 || json.Unmarshal([]byte(all[len(all)-1]), &m) != nil || m.Result.ResultType != "input_required" {
		return "", nil
	}
	return m.Result.RequestState, m.Result.InputRequests
}

// retry is the call again, with all answers.
func (w *worker) retry(p *peer, v survey, state string, questions map[string]posed) string {
	responses := object{}
	for name, q := range questions {
		responses[name] = w.reply(v, q)
	}
	return v.message(p, w.mark(), object{"requestState": state, "inputResponses": responses})
}

// goesOn answers what a modern call asks, until it has its answer.
func (w *worker) goesOn(habit string, p *peer, v survey, a answer, err error) {
	for err == nil && a.status == http.StatusOK {
		state, questions := needed(a)
		if questions == nil {
			break
		}
		a, err = p.try(http.MethodPost, w.retry(p, v, state, questions))
	}
	w.concludes(habit, p, v, a, err)
}

// tells sends the answer to a question of a legacy call.
func (w *worker) tells(p *peer, v survey, q *posed) {
	text, err := json.Marshal(object{"jsonrpc": "2.0", "id": q.ID, "result": w.reply(v, *q)})
	if err != nil {
		panic(err) // made of strings
	}
	a, err := p.try(http.MethodPost, string(text))
	if !w.failed("answer", err) && a.status != http.StatusAccepted {
		w.judge("answer", a, nil, "")
	}
}

// hears reads a legacy call to its end, and answers each question so often.
func (w *worker) hears(habit string, p *peer, v survey, c *conversation, times int) {
	for {
		q, err := c.next()
		if q == nil {
			w.concludes(habit, p, v, c.answer(), err)
			return
		}
		for range times {
			w.tells(p, v, q)
		}
	}
}

// refusals are what a server is told whose question nobody can be asked.
var refusals = regexp.MustCompile(`^refused: (No client can be asked this now|The client has ended its session|The client does not read its messages)$`)

// concludes holds that the answer to a survey is its own, and that the server was answered
// what it had asked. A question may be refused where it cannot be told whom it is for.
func (w *worker) concludes(habit string, p *peer, v survey, a answer, err error) {
	if unknownState(w, a, err) {
		if !w.gateway.replacedSince(v.began) {
			w.t.Errorf("%s: %s: %d %s", w.name, habit, a.status, a.body)
		}
		return
	}
	if w.judge(habit, a, err, "") {
		return
	}
	text, err := resultText(a)
	switch {
	case err != nil:
		w.t.Errorf("%s: %s: %v", w.name, habit, err)
	case text == v.mark:
		w.asked.Add(1)
	case refusals.MatchString(text) && (w.gateway.per != "session" || p.version >= modernVersion):
		w.asked.Add(1)
		w.refused.Add(1)
	default:
		w.t.Errorf("%s: %s: %q was answered %q", w.name, habit, v.mark, text)
	}
}

func unknownState(w *worker, a answer, err error) bool {
	if err != nil || a.status != http.StatusOK {
		return false
	}
	code := a.reply(w.t).Error
	return code != nil && code.Code == -32602 && strings.Contains(code.Message, "make the call again")
}

// isAsked answers all that it is asked.
func (w *worker) isAsked(p *peer) {
	v := w.survey()
	if p.version >= modernVersion {
		a, err := p.try(http.MethodPost, v.message(p, w.mark(), nil))
		w.goesOn("questions", p, v, a, err)
		return
	}
	c, err := w.converse(p, http.MethodPost, v.message(p, w.mark(), nil))
	if w.failed("questions", err) {
		return
	}
	defer c.close()
	w.hears("questions", p, v, c, 1)
}

// parked is a call that waits for its client.
type parked struct {
	peer      *peer
	survey    survey
	state     string
	questions map[string]posed
}

// leavesAQuestion does what clients do in the middle of a question.
func (w *worker) leavesAQuestion(p *peer) {
	v := w.survey()
	if p.version >= modernVersion {
		w.leavesAModernQuestion(p, v)
		return
	}
	id := w.mark()
	c, err := w.converse(p, http.MethodPost, v.message(p, id, nil))
	if w.failed("leave a question", err) {
		return
	}
	defer c.close()
	q, err := c.next()
	if q == nil {
		w.concludes("leave a question", p, v, c.answer(), err)
		return
	}
	switch w.random.IntN(4) {
	case 0: // the connection drops, and the client comes back
		c.close()
		w.resumes(p, v, c.last, q)
	case 1: // and does not
	case 2:
		a, err := p.try(http.MethodPost, p.message(nil, "notifications/cancelled", object{"requestId": id}))
		if !w.failed("cancel in a question", err) && a.status != http.StatusAccepted {
			w.judge("cancel in a question", a, nil, "")
		}
		w.hears("cancel in a question", p, v, c, 0)
	case 3:
		w.ends(p)
	}
}

// resumes takes up a call whose connection dropped, and answers what it was asked.
func (w *worker) resumes(p *peer, v survey, last string, q *posed) {
	w.tells(p, v, q)
	c, err := w.converse(p, http.MethodGet, "", set("Last-Event-ID", last))
	if w.failed("resume", err) {
		return
	}
	defer c.close()
	if c.response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(c.response.Body)
		w.judge("resume", answer{status: c.response.StatusCode, header: c.response.Header, body: string(text)}, err, "")
		return
	}
	w.hears("resume", p, v, c, 1)
}

// leavesAModernQuestion does not bring the answer, or not yet, or goes while it brings it.
func (w *worker) leavesAModernQuestion(p *peer, v survey) {
	what := w.random.IntN(6)
	if what == 0 {
		w.dropsInQuestion(p, v.message(p, w.mark(), nil))
		return
	}
	a, err := p.try(http.MethodPost, v.message(p, w.mark(), nil))
	state, questions := needed(a)
	switch {
	case err != nil || questions == nil:
		w.concludes("leave a question", p, v, a, err)
	case what == 1:
		w.dropsInQuestion(p, w.retry(p, v, state, questions))
	default:
		w.parked = append(w.parked, parked{p, v, state, questions})
	}
}

// dropsInQuestion closes the connection at a time at which the client may just be asked
// something: then nobody has the state of the call, which waits for it.
func (w *worker) dropsInQuestion(p *peer, body string) {
	defer func() { w.lost = append(w.lost, time.Now()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+w.random.IntN(10))*time.Millisecond)
	defer cancel()
	response, err := w.gateway.client.Do(p.request(ctx, http.MethodPost, body))
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		w.failed("drop in a question", err)
	}
}

// answersTwice holds that a question is answered once, however often it is.
func (w *worker) answersTwice(p *peer) {
	v := w.survey()
	if p.version < modernVersion {
		c, err := w.converse(p, http.MethodPost, v.message(p, w.mark(), nil))
		if w.failed("answer twice", err) {
			return
		}
		defer c.close()
		w.hears("answer twice", p, v, c, 2)
		return
	}
	a, err := p.try(http.MethodPost, v.message(p, w.mark(), nil))
	state, questions := needed(a)
	if err != nil || questions == nil {
		w.concludes("answer twice", p, v, a, err)
		return
	}
	type outcome struct {
		answer answer
		err    error
	}
	other := make(chan outcome, 1)
	again := w.retry(p, v, state, questions)
	go func() {
		a, err := p.try(http.MethodPost, again)
		other <- outcome{a, err}
	}()
	a, err = p.try(http.MethodPost, w.retry(p, v, state, questions))
	o := <-other
	first, second := unknownState(w, a, err), unknownState(w, o.answer, o.err)
	switch {
	case !first && !second && served(a, err) && served(o.answer, o.err):
		w.t.Errorf("%s: a state was good twice: %s and %s", w.name, a.body, o.answer.body)
	case first && second && !w.gateway.replacedSince(v.began):
		w.t.Errorf("%s: a state was not good once: %s and %s", w.name, a.body, o.answer.body)
	case first && !second:
		w.goesOn("answer twice", p, v, o.answer, o.err)
	case !first:
		w.goesOn("answer twice", p, v, a, err)
	}
}

// served says whether the call was carried to the server.
func served(a answer, err error) bool { return err == nil && a.status == http.StatusOK }

// returns brings the answers that are due, in any order, save the last few.
func (w *worker) returns(*peer) { w.comesBack(w.random.IntN(4)) }

// comesBack brings all answers that are due but so many.
func (w *worker) comesBack(but int) {
	for len(w.parked) > but {
		i := w.random.IntN(len(w.parked))
		due := w.parked[i]
		w.parked = append(w.parked[:i:i], w.parked[i+1:]...)
		a, err := due.peer.try(http.MethodPost, w.retry(due.peer, due.survey, due.state, due.questions))
		w.goesOn("come back", due.peer, due.survey, a, err)
	}
}

// unknownSince is how many calls may wait since then for somebody who does not know it.
func (w *worker) unknownSince(then time.Time) (n int) {
	for _, at := range w.lost {
		if at.After(then) {
			n++
		}
	}
	return n
}
