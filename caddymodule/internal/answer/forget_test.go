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

// A session's id reaches the client, and no log, over HTTP/3 too. What is not there is no reason
// to send an answer that is not begun.
func TestForgottenSessionHasBeenSent(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.ProtoMajor = 3
	w := &late{header: http.Header{}}
	if ForgetSession(w, r); w.sent != nil {
		t.Error("an answer without an id was sent")
	}
	w.Header().Set(protocol.HeaderSession, "id")
	w.WriteHeader(http.StatusOK)
	ForgetSession(w, r)
	w.end()
	if w.sent.Get(protocol.HeaderSession) != "id" || w.header.Get(protocol.HeaderSession) != "" {
		t.Errorf("sent %v, remain %v", w.sent, w.header)
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
		w := &full{late: late{header: http.Header{protocol.HeaderSession: {"id"}}}}
		began := time.Now()
		ForgetSession(w, r)
		if took := time.Since(began); took != sendTime || !w.deadline.IsZero() || w.header.Get(protocol.HeaderSession) != "" {
			t.Errorf("it took %v, the deadline is %v, remain %v", took, w.deadline, w.header)
		}
	})
}
