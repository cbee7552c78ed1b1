package bridge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// sse writes an event stream (HTML Living Standard, section 9.2) and flushes it after
// all that is there to be said, so that nothing on the way holds it back.
type sse struct {
	w     http.ResponseWriter
	rc    http.ResponseController
	buf   []byte
	bytes int // of all messages
}

func newSSE(w http.ResponseWriter) sse {
	return sse{w: w, rc: *http.NewResponseController(w)}
}

func (s *sse) begin(sessionID string) {
	h := s.w.Header()
	if sessionID != "" {
		h.Set(protocol.HeaderSession, sessionID)
	}
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

// add appends one message to what flush will write. id is the stream's prefix, "" for
// events without id.
func (s *sse) add(id string, e event) {
	if id != "" {
		s.buf = append(s.buf, "id: "...)
		s.buf = append(s.buf, id...)
		s.buf = append(s.buf, '-')
		s.buf = strconv.AppendInt(s.buf, e.number, 10)
		s.buf = append(s.buf, '\n')
	}
	s.buf = append(s.buf, "data: "...)
	s.buf = append(s.buf, e.frame...)
	s.buf = append(s.buf, "\n\n"...)
	s.bytes += len(e.frame)
}

// prime writes an event without data, which only tells the client where it would
// resume (MCP 2025-11-25, Streamable HTTP).
func (s *sse) prime(id string, number int64) error {
	s.add(id, event{number: number})
	return s.flush()
}

// reconnect is how long a client waits before it resumes, in milliseconds. It is for all
// its streams: what it would do by itself, or it gave up too soon when it finds no network.
const reconnect = "1000"

// leave tells the client to resume what ends now, behind the event with the number; 0 if it
// is to begin anew.
func (s *sse) leave(id string, number int64) {
	s.buf = append(s.buf, "retry: "+reconnect+"\n"...)
	if number > 0 {
		s.add(id, event{number: number})
	} else {
		s.buf = append(s.buf, '\n')
	}
	_ = s.flush() // a client that can't be told resumes from what it has
}

// largeBuffer is what a stream may keep between two writes, in bytes.
const largeBuffer = 64 << 10

// comment keeps proxies from taking the stream for dead.
func (s *sse) comment() error {
	s.buf = append(s.buf, ": \n\n"...)
	return s.flush()
}

// timely is how many bytes a client may take no longer to read than it may take for one.
const timely = 64 << 10

// timeFor is how long a client may take to read so many bytes: for many it gets more, that
// slow ones lose no large answer.
func timeFor(size int) time.Duration {
	return writeTime + time.Duration(size/timely)*time.Second
}

// end leaves the connection as it was found, for the requests that follow on it.
func (s *sse) end() { _ = s.rc.SetWriteDeadline(time.Time{}) }

// flush bounds the time a client may take to read: one that does not is cut off, and
// costs a goroutine no longer.
func (s *sse) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	defer func() { s.buf = s.buf[:0] }()
	// A writer that knows no deadline is left to the server's own timeouts.
	_ = s.rc.SetWriteDeadline(time.Now().Add(timeFor(len(s.buf))))
	if _, err := s.w.Write(s.buf); err != nil {
		return err
	}
	if cap(s.buf) > largeBuffer {
		s.buf = nil
	}
	return s.rc.Flush()
}
