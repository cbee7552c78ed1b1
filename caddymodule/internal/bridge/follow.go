package bridge

import (
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// follow answers a GET: with the session's standalone stream, or with the rest of a
// stream that broke off, which Last-Event-ID names. It ends when the token does.
func (b *Bridge) follow(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	s, refusal := b.find(call.SessionID, call.Principal, settings)
	if refusal != nil {
		return refusal
	}
	source, wr := s.standalone, (*writer)(nil)
	if id := r.Header.Get(protocol.HeaderLastEventID); id != "" {
		found, number, ok := s.resume(id)
		if !ok {
			return answer.New(http.StatusBadRequest, protocol.CodeInvalidRequest, "Last-Event-ID names no stream that is kept")
		}
		limit := maxStreams
		if found != s.standalone {
			limit = 1
		}
		source, wr = found, found.resume(number, limit)
	} else {
		wr = source.attach(maxStreams)
	}
	defer source.detach(wr)
	var expiry <-chan time.Time
	if !call.GoodUntil.IsZero() {
		timer := time.NewTimer(time.Until(call.GoodUntil))
		defer timer.Stop()
		expiry = timer.C
	}
	s.stream(w, r, source, wr, expiry)
	return nil
}

// stream writes what comes until the stream, the session, the client, its token or
// the gateway ends.
func (s *session) stream(w http.ResponseWriter, r *http.Request, source *stream, wr *writer, expiry <-chan time.Time) {
	out := newSSE(w)
	out.begin("")
	defer out.end()
	if out.comment() != nil { // the client sees the headers at once
		return
	}
	ticker := time.NewTicker(keepalive)
	defer ticker.Stop()
	sessionOver := s.over
	for {
		events, over := source.take(wr)
		for _, e := range events {
			out.add(source.id, e)
		}
		if err := out.flush(); err != nil && len(events) > 0 {
			source.fail(wr, events[0].number)
			return
		}
		if over {
			return
		}
		select {
		case <-wr.wake:
		case <-ticker.C:
			if out.comment() != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-sessionOver:
			sessionOver = nil // its streams end now; what they have said is still written
		case <-s.bridge.stopping:
			return
		case <-expiry:
			return
		}
	}
}
