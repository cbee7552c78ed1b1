package bridge

import (
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// follow answers a GET: with the session's standalone stream, or with the rest of a
// stream that broke off, which Last-Event-ID names. It ends when the token does, and that of
// a call after a while, to be resumed again.
func (b *Bridge) follow(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	s, refusal := b.find(call.SessionID, call.Principal, settings)
	if refusal != nil {
		return refusal
	}
	s.readsAs(call)
	source, from := s.standalone, int64(-1)
	if id := r.Header.Get(protocol.HeaderLastEventID); id != "" {
		found, number, ok := s.resume(id)
		if !ok {
			return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "Last-Event-ID names no stream that is kept")
		}
		// Whoever has another token by now may have one of fewer scopes. What was said to the
		// call is for those who could make it.
		if call.Judge != nil && found != s.standalone {
			if refusal := call.Judge(found.about); refusal != nil {
				return refusal
			}
		}
		source, from = found, number
	}
	if r.Context().Err() != nil {
		return clientGone() // it may have come back already, and is not to lose that
	}
	f := &follower{session: s, source: source, out: newSSE(w), again: again(call, source), hears: call.Hears, resumes: call.Version >= protocol.Version20251125}
	limit, end := maxStreams, call.GoodUntil
	if source != s.standalone {
		limit = 1
		if enough := time.Now().Add(b.lifespan); f.resumes && (end.IsZero() || enough.Before(end)) {
			end = enough
		}
	}
	if from < 0 {
		f.writer = source.attach(limit)
	} else {
		f.writer = source.resume(from, limit)
	}
	defer source.detach(f.writer)
	var until <-chan time.Time
	if !end.IsZero() {
		timer := time.NewTimer(time.Until(end))
		defer timer.Stop()
		until = timer.C
	}
	f.run(r, from, until)
	return nil
}

// follower writes a stream of a session as the answer to a GET.
type follower struct {
	session *session
	source  *stream
	writer  *writer
	out     sse
	again   func(event) event // what may be said of one; nil for all
	hears   visibility.Func   // what the reader may be told of; nil for all
	resumes bool              // the client comes back when it is told to
}

// run writes what comes until the stream, the session, the client, its time or the gateway
// ends.
func (f *follower) run(r *http.Request, from int64, until <-chan time.Time) {
	f.out.begin("")
	defer f.out.end()
	if f.greet(from) != nil {
		return
	}
	ticker := time.NewTicker(keepalive)
	defer ticker.Stop()
	sessionOver, stopping := f.session.over, f.session.bridge.stopping
	leaving := false
	for {
		if over, err := f.drain(); over || err != nil {
			return
		}
		if leaving {
			if number, left := f.source.leave(f.writer); left {
				f.out.leave(f.source.id, number)
				return
			}
			continue
		}
		select {
		case <-f.writer.wake:
		case <-ticker.C:
			if f.out.comment() != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-sessionOver:
			sessionOver = nil // its streams end now; what they have said is still written
		case <-stopping:
			if f.source == f.session.standalone {
				return
			}
			// The call ends within the stop timeout, and its answer is still written.
			stopping, f.resumes = nil, false
			until = time.After(f.session.bridge.settings.Load().StopTimeout + time.Second)
		case <-until:
			if !f.resumes {
				return
			}
			leaving = true
		}
	}
}

// greet shows the client the headers at once. Clients know where to resume from the last
// response only: one that resumes is told again, or it could not do so a second time. If the
// stream has ended it must not do so: some clients went on and on.
func (f *follower) greet(from int64) error {
	if f.resumes && from >= 0 && f.source.open() {
		return f.out.prime(f.source.id, from)
	}
	return f.out.comment()
}

// drain writes what is there, and reports whether nothing more will come.
func (f *follower) drain() (over bool, err error) {
	events, over := f.source.take(f.writer)
	for _, e := range events {
		if !mayHear(f.hears, e) {
			continue
		}
		if f.again != nil {
			e = f.again(e)
		}
		f.out.add(f.source.id, e)
	}
	if err = f.out.flush(); err != nil && len(events) > 0 {
		f.source.fail(f.writer, events[0].number)
	}
	return over, err
}
