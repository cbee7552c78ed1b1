package caddymodule

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// exiting is done once the process goes down. Caddy waits for open requests then, and a
// stream of a proxy ends by itself never. One opened before a reload belongs to an older
// configuration, so this is of the process.
var exiting, exit = context.WithCancel(context.Background())

// isStream says whether the answer to a call has no end of its own: the standalone stream
// of a legacy client and the subscriptions/listen of a modern one. A call that has begun
// may finish, a stream ends with its token.
func isStream(r *http.Request, call *admission.Call) bool {
	if call.Message == nil {
		return r.Method == http.MethodGet
	}
	return call.Message.Method == message.MethodListen
}

// stream is the answer to such a request. It ends when the token does, whatever the
// handler behind would do.
type stream struct {
	http.ResponseWriter
	timer   *time.Timer
	unhook  func() bool
	over    atomic.Bool // ended here
	written bool        // something of the answer
	events  bool        // it is an event stream, as the server behind writes it
	tail    []byte      // its last bytes
}

// release leaves the stream to a handler that ends it itself.
func (s *stream) release() {
	s.timer.Stop()
	s.unhook()
}

// serveStream passes a stream to the next handler, and ends it in time.
func (o *OAuth) serveStream(w http.ResponseWriter, r *http.Request, p *passage, next caddyhttp.Handler) (err error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &stream{ResponseWriter: w}
	p.stream = s
	end := func() {
		s.over.Store(true)
		cancel()
	}
	s.timer = time.AfterFunc(time.Until(p.call.GoodUntil), end)
	s.unhook = context.AfterFunc(exiting, end)
	finished := false
	defer func() {
		s.release()
		if finished || !s.over.Load() {
			return
		}
		// That is how reverse_proxy says that it was cut off in the middle of an answer. This
		// is no fault, so the answer gets its proper end.
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler {
			panic(fault)
		}
		if err = nil; s.written {
			s.finish(p.call)
			return
		}
		p.settled = true
		o.refuse(w, p.call, o.tooLate(p.call.Principal))
	}()
	err = next.ServeHTTP(s, r.WithContext(ctx))
	finished = err == nil
	return err
}

// tooLate is the answer where the server behind has begun none in time.
func (o *OAuth) tooLate(user *oauth.Principal) *answer.Refusal {
	if exiting.Err() != nil {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The gateway is shutting down").RetryAfter(time.Second)
	}
	return o.challenge(o.senders.Expired(user))
}

// Unwrap is for [http.ResponseController].
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// WriteHeader notes that the answer has begun.
func (s *stream) WriteHeader(status int) {
	if status >= http.StatusOK { // others announce the answer's own
		s.begin()
	}
	s.ResponseWriter.WriteHeader(status)
}

// begin looks at the headers before encode, which may stand in front, has had its say.
func (s *stream) begin() {
	if s.written {
		return
	}
	s.written = true
	h := s.Header()
	s.events = strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") && h.Get("Content-Encoding") == ""
}

// Write notes where the answer stands.
func (s *stream) Write(p []byte) (int, error) {
	s.begin()
	n, err := s.ResponseWriter.Write(p)
	const enough = 4 // for the longest end of an event
	s.tail = append(s.tail, p[max(0, n-enough):n]...)
	s.tail = s.tail[max(0, len(s.tail)-enough):]
	return n, err
}

// finish gives a listen its result, as on any graceful end (MCP 2026-07-28,
// Subscriptions), if the stream stands between two events.
func (s *stream) finish(call *admission.Call) {
	if call.Message == nil || !s.events || !s.betweenEvents() {
		return
	}
	frame := append([]byte("data: "), backend.ListenResult(call.Message.ID)...)
	_, _ = s.ResponseWriter.Write(append(frame, "\n\n"...)) // a client that is gone needs no result
}

// betweenEvents says whether an empty line came last, in one of the ways to end a line
// (HTML Living Standard, section 9.2).
func (s *stream) betweenEvents() bool {
	return len(s.tail) == 0 || bytes.HasSuffix(s.tail, []byte("\n\n")) || bytes.HasSuffix(s.tail, []byte("\r\n\r\n")) || bytes.HasSuffix(s.tail, []byte("\r\r"))
}
