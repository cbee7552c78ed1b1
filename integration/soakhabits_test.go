package integration_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// habit is something that clients do, or servers.
type habit func(w *worker, p *peer)

var habits = []habit{
	(*worker).echoes, (*worker).echoes, (*worker).echoes, (*worker).watches, (*worker).watches,
	(*worker).cancels, (*worker).drops, (*worker).waitsInVain, (*worker).readsSlowly, (*worker).listens,
	(*worker).crashes, (*worker).expires, (*worker).ends, (*worker).forgets, (*worker).freezes,
	(*worker).isAsked, (*worker).isAsked, (*worker).isAsked, (*worker).leavesAQuestion, (*worker).leavesAQuestion,
	(*worker).answersTwice, (*worker).returns,
}

func (w *worker) echoes(p *peer) {
	for id := range 5 {
		mark := w.mark()
		a, err := p.try(http.MethodPost, p.toolCall(id, "echo", object{"text": mark}))
		if w.judge("echo", a, err, mark) {
			return
		}
	}
}

// watches holds that progress is the call's own, too.
func (w *worker) watches(p *peer) {
	mark := w.mark()
	a, err := p.try(http.MethodPost, p.message(1, "tools/call", object{
		"name": "progress", "arguments": object{"count": 20, "text": mark}, "_meta": object{"progressToken": 1},
	}))
	if w.judge("progress", a, err, mark) {
		return
	}
	for _, message := range a.messages() {
		// That lists may have changed is told to every session, on the stream that it reads.
		if !strings.Contains(message, `"`+mark+`"`) && !strings.Contains(message, `/list_changed"`) {
			w.t.Errorf("%s: the call was told %s", w.name, message)
		}
	}
}

// held calls a tool that never answers by itself.
func (w *worker) held(p *peer, id any) string {
	// Once it is cancelled the server has something to say after all, most of the time.
	return p.toolCall(id, "hold", object{"file": w.never, "late": w.random.IntN(8) > 0})
}

// cancels gives up a call in mid-flight: by notification, or by closing the stream.
func (w *worker) cancels(p *peer) {
	if p.version >= modernVersion {
		w.drops(p)
		return
	}
	type outcome struct {
		answer answer
		err    error
	}
	done := make(chan outcome, 1)
	body := w.held(p, "cancelled")
	go func() {
		a, err := p.try(http.MethodPost, body)
		done <- outcome{a, err}
	}()
	time.Sleep(10 * time.Millisecond)
	a, err := p.try(http.MethodPost, p.message(nil, "notifications/cancelled", object{"requestId": "cancelled"}))
	if !w.failed("cancel", err) && a.status != http.StatusAccepted {
		w.judge("cancel", a, nil, "")
	}
	o := <-done
	w.judge("cancelled", o.answer, o.err, "")
}

// drops closes the connection in mid-call.
func (w *worker) drops(p *peer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+w.random.IntN(40))*time.Millisecond)
	defer cancel()
	response, err := w.gateway.client.Do(p.request(ctx, http.MethodPost, w.held(p, w.mark())))
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		w.failed("drop", err)
	}
}

// waitsInVain is a server that hangs.
func (w *worker) waitsInVain(p *peer) {
	a, err := p.try(http.MethodPost, w.held(p, w.mark()))
	if !w.judge("wait in vain", a, err, "") {
		w.t.Errorf("%s: a call that is held was answered: %s", w.name, a.body)
	}
}

// readsSlowly takes a flood of events bit by bit, and leaves before its end.
func (w *worker) readsSlowly(p *peer) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	flood := p.message(w.mark(), "tools/call", object{
		"name": "progress", "arguments": object{"count": 3000, "text": strings.Repeat("x", 1000)}, "_meta": object{"progressToken": 1},
	})
	response, err := w.gateway.client.Do(p.request(ctx, http.MethodPost, flood))
	if w.failed("read slowly", err) {
		return
	}
	defer response.Body.Close()
	some := make([]byte, 8<<10)
	for range 10 {
		if _, err := io.ReadFull(response.Body, some); err != nil {
			return // the answer was short, since there was none
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// listens opens a stream that says little, reads nothing of it for a while, and goes.
func (w *worker) listens(p *peer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+w.random.IntN(200))*time.Millisecond)
	defer cancel()
	method, body := http.MethodGet, ""
	if p.version >= modernVersion {
		method, body = http.MethodPost, p.message(w.mark(), "subscriptions/listen", object{"notifications": object{"toolsListChanged": true}})
	}
	response, err := w.gateway.client.Do(p.request(ctx, method, body))
	if err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			w.failed("listen", err)
		}
		return
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		if text, err := io.ReadAll(response.Body); err == nil { // its time may be over by now
			w.judge("listen", answer{status: response.StatusCode, header: response.Header, body: string(text)}, nil, "")
		}
		return
	}
	<-ctx.Done()
}

// crashes ends the server in mid-call, and with it what others do there.
func (w *worker) crashes(p *peer) {
	a, err := p.try(http.MethodPost, p.toolCall(w.mark(), "die", nil))
	if !w.judge("crash", a, err, "") {
		w.t.Errorf("%s: a server that has ended answers: %s", w.name, a.body)
	}
}

// freezes is a server that reads nothing for a while.
func (w *worker) freezes(p *peer) {
	mark := w.mark()
	a, err := p.try(http.MethodPost, p.toolCall(1, "freeze", object{"text": mark, "count": w.random.IntN(500)}))
	w.judge("freeze", a, err, mark)
}

// expires goes on with a token whose time is over.
func (w *worker) expires(p *peer) {
	p = p.as(w.gateway.mintFor(w.t, w.user, time.Second))
	mark := w.mark()
	a, err := p.try(http.MethodPost, p.toolCall(1, "echo", object{"text": mark}))
	if a.status != http.StatusUnauthorized { // it was in time
		w.judge("before it expires", a, err, mark)
	}
	time.Sleep(1100 * time.Millisecond)
	a, err = p.try(http.MethodPost, p.toolCall(w.mark(), "echo", nil))
	if !w.failed("expire", err) && a.status != http.StatusUnauthorized {
		w.t.Errorf("%s: after its token had expired: %d %s", w.name, a.status, a.body)
	}
}

// ends ends the session.
func (w *worker) ends(p *peer) {
	if p.session == "" {
		return
	}
	w.session = nil
	a, err := p.try(http.MethodDelete, "")
	if a.status != http.StatusNoContent {
		w.judge("end", a, err, "")
	}
}

// forgets leaves a session without a word.
func (w *worker) forgets(*peer) { w.session = nil }
