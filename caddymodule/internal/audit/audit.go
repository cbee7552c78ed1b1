// Package audit writes one structured record for each call that a client makes: who
// called what, under which rule it was let through or refused, and how it ended.
//
// A record holds no argument, no result and no token.
package audit

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
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
type Log struct{ logger *zap.Logger }

// New writes to the logger, at level info; to nowhere if it is nil.
func New(logger *zap.Logger) *Log { return &Log{logger} }

// About is a log of the same kind for the calls of one resource, which each record names: a
// gateway may have several.
func (l *Log) About(resource string) *Log {
	if l == nil || l.logger == nil {
		return l
	}
	return &Log{l.logger.With(zap.String("resource", resource))}
}

// fieldLists are kept for the next record: a list of fields is longer than all else of one.
var fieldLists = sync.Pool{New: func() any { return new([]zap.Field) }}

// Write adds one record. The logger adds the time.
func (l *Log) Write(r Record) {
	if l == nil || l.logger == nil {
		return
	}
	entry := l.logger.Check(zap.InfoLevel, "call")
	if entry == nil {
		return
	}
	list := fieldLists.Get().(*[]zap.Field)
	fields := r.fields((*list)[:0])
	entry.Write(fields...)
	clear(fields)
	*list = fields
	fieldLists.Put(list)
}

func (r *Record) fields(to []zap.Field) []zap.Field {
	to = append(to,
		zap.String("request_id", r.RequestID),
		zap.String("user", r.User),
		zap.String("issuer", r.Issuer),
		zap.String("client", r.Client),
		zap.String("era", r.Era),
		zap.String("method", Clip(r.Method)),
		zap.String("tool", Clip(r.Tool)),
		zap.String("decision", r.Decision),
		zap.String("rule", r.Rule),
		zap.String("outcome", r.Outcome),
		zap.Duration("duration", r.Duration),
		zap.Int("bytes_in", r.BytesIn),
		zap.Int("bytes_out", r.BytesOut),
	)
	if r.Code != 0 {
		to = append(to, zap.Int("code", r.Code))
	}
	return to
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
