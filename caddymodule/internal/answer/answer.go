// Package answer builds the answers that the gateway gives itself, without asking
// the server behind it: an HTTP status and, as its body, a JSON-RPC error.
package answer

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Refusal is an answer other than what the client asked for.
type Refusal struct {
	Status  int      // HTTP status; 200 once the answer can only be the body
	Code    int      // JSON-RPC error code
	Message string   // for the client
	Data    any      // error.data, or nil
	Reason  string   // for the log, where it may say more than Message; never a secret
	Claim   string   // for the log: the part of the token that was wrong with it, if one was
	Missing []string // for the log: scopes that would have helped
	Header  http.Header
	NoID    bool // the answer is about no request in particular: its id is null
}

func (r *Refusal) Error() string {
	if r.Reason != "" {
		return r.Reason
	}
	return r.Message
}

// New makes a refusal.
func New(status, code int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// With adds a header field.
func (r *Refusal) With(name, value string) *Refusal {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(name, value)
	return r
}

// RetryAfter adds the Retry-After field in whole seconds, at least one (RFC 9110
// section 10.2.3).
func (r *Refusal) RetryAfter(d time.Duration) *Refusal {
	return r.With("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}

// Write sends the refusal. id is the raw JSON id of the request, nil if there is
// none or it is not known.
func (r *Refusal) Write(w http.ResponseWriter, id []byte) {
	header := w.Header()
	for name, values := range r.Header {
		for _, value := range values {
			header.Add(name, value)
		}
	}
	body := r.Frame(id)
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.Status)
	_, _ = w.Write(body) // the client has gone: there is nobody to tell
}

// Frame is the refusal as a JSON-RPC error response (section 5.1).
func (r *Refusal) Frame(id []byte) []byte {
	if len(id) == 0 || r.NoID {
		id = []byte("null")
	}
	frame := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	frame = fmt.Appendf(frame, `,"error":{"code":%d,"message":`, r.Code)
	frame = append(frame, message.Quote(r.Message)...)
	if r.Data != nil {
		if data, err := json.Marshal(r.Data); err == nil {
			frame = append(append(frame, `,"data":`...), data...)
		}
	}
	return append(frame, '}', '}')
}

// UnknownSession is the one answer on which clients of the legacy era begin a new
// session. It is the same for a session of another user.
func UnknownSession() *Refusal {
	r := New(http.StatusNotFound, protocol.CodeSession, "Session not found: begin a new one with initialize")
	r.NoID = true
	return r
}

// UnsupportedVersion is the answer of MCP 2026-07-28 to a version that cannot be
// served.
func UnsupportedVersion(requested string, supported []string) *Refusal {
	r := New(http.StatusBadRequest, protocol.CodeUnsupportedVersion, "Unsupported protocol version")
	r.Data = map[string]any{"requested": requested, "supported": supported}
	return r
}
