package answer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// late sends its headers when it is flushed or has ended, as quic-go does with short answers.
type late struct {
	header, sent http.Header
}

func (l *late) Header() http.Header            { return l.header }
func (l *late) WriteHeader(int)                {}
func (l *late) Write(data []byte) (int, error) { return len(data), nil }
func (l *late) FlushError() error              { l.end(); return nil }
func (l *late) end() {
	if l.sent == nil {
		l.sent = l.header.Clone()
	}
}

// What is taken out of an answer's headers once they are sent has reached the client, over HTTP/3 too.
func TestHeadersAreSentBeforeTheHandlerReturns(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.ProtoMajor = 3
	w := &late{header: http.Header{}}
	w.Header().Set(protocol.HeaderSession, "id")
	w.WriteHeader(http.StatusOK)
	Sent(w, r)
	w.Header().Del(protocol.HeaderSession)
	w.end()
	if w.sent.Get(protocol.HeaderSession) != "id" {
		t.Errorf("sent %v", w.sent)
	}
}

// full is the answer to a client that takes no byte of it, which may do so for ever.
type full struct {
	late
	deadline time.Time
}

func (f *full) SetWriteDeadline(t time.Time) error {
	f.deadline = t
	return nil
}

func (f *full) FlushError() error {
	wait := 1000 * time.Hour
	if !f.deadline.IsZero() {
		wait = time.Until(f.deadline)
	}
	time.Sleep(wait)
	return os.ErrDeadlineExceeded
}

func TestAClientThatTakesNothingHoldsUpNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.ProtoMajor = 3
		w := &full{}
		began := time.Now()
		Sent(w, r)
		if took := time.Since(began); took != sendTime || !w.deadline.IsZero() {
			t.Errorf("it took %v, the deadline is %v", took, w.deadline)
		}
	})
}
