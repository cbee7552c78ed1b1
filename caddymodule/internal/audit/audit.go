// Package audit writes one structured record for each call that a client makes: who
// called what, under which rule it was let through or refused, and how it ended.
//
// A record holds no argument, no result and no token.
package audit

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// Decisions of a record.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Outcomes of a record.
const (
	OK        = "ok"         // the server answered with a result
	ToolError = "tool_error" // the result of a tool says that it failed
	Error     = "error"      // the server answered with a JSON-RPC error
	Refused   = "refused"    // the gateway did not carry the call
	Cancelled = "cancelled"  // by the client, or because the gateway goes down
	TimedOut  = "timeout"    // call_timeout
	Died      = "died"       // the server's process ended in mid-call
	Passed    = "passed"     // to another handler, such as a proxy, which alone knows the answer
)

// Record is one call.
type Record struct {
	RequestID string
	User      string // identity.UserKey; "" for an anonymous call
	Issuer    string
	Client    string // OAuth client id
	Era       string
	Method    string
	Tool      string
	Decision  string
	Rule      string
	Outcome   string
	Code      int // of the JSON-RPC error, or 0
	Duration  time.Duration
	BytesIn   int // the body of the request
	BytesOut  int // all messages of the reply
}

// Log writes records. The zero Log and a nil Log write nothing.
type Log struct{ logger *slog.Logger }

// New writes to the logger, at level info.
func New(logger *slog.Logger) *Log { return &Log{logger} }

// Write adds one record. The logger adds the time.
func (l *Log) Write(r Record) {
	if l == nil || l.logger == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", r.RequestID),
		slog.String("user", r.User),
		slog.String("issuer", r.Issuer),
		slog.String("client", r.Client),
		slog.String("era", r.Era),
		slog.String("method", Clip(r.Method)),
		slog.String("tool", Clip(r.Tool)),
		slog.String("decision", r.Decision),
		slog.String("rule", r.Rule),
		slog.String("outcome", r.Outcome),
		slog.Duration("duration", r.Duration),
		slog.Int("bytes_in", r.BytesIn),
		slog.Int("bytes_out", r.BytesOut),
	}
	if r.Code != 0 {
		attrs = append(attrs, slog.Int("code", r.Code))
	}
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "call", attrs...)
}

// maxName is as much of a name as is logged, in bytes. A client chooses names, and must
// not be able to fill a log with one.
const maxName = 256

// Clip cuts a name that is too long for a log, and marks it so.
func Clip(name string) string {
	if len(name) <= maxName {
		return name
	}
	return strings.ToValidUTF8(name[:maxName], "") + "…"
}
