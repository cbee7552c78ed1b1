package bridge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// sse writes an event stream (HTML Living Standard, section 9.2) and flushes after
// each event, so that nothing on the way holds it back.
type sse struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	buf   []byte
	bytes int // of all messages
}

func newSSE(w http.ResponseWriter) *sse {
	return &sse{w: w, rc: http.NewResponseController(w)}
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

// event writes one message. id is the stream's prefix, "" for events without id.
func (s *sse) event(id string, e event) error {
	s.buf = s.buf[:0]
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
	return s.flush()
}

// prime writes an event without data, which only tells the client where it would
// resume (MCP 2025-11-25, Streamable HTTP).
func (s *sse) prime(id string) error {
	s.buf = append(s.buf[:0], "id: "+id+"-0\ndata: \n\n"...)
	return s.flush()
}

// comment keeps proxies from taking the stream for dead.
func (s *sse) comment() error {
	s.buf = append(s.buf[:0], ": \n\n"...)
	return s.flush()
}

// end leaves the connection as it was found, for the requests that follow on it.
func (s *sse) end() { _ = s.rc.SetWriteDeadline(time.Time{}) }

// flush bounds the time a client may take to read: one that does not is cut off, and
// costs a goroutine no longer.
func (s *sse) flush() error {
	// A writer that knows no deadline is left to the server's own timeouts.
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.w.Write(s.buf); err != nil {
		return err
	}
	return s.rc.Flush()
}
