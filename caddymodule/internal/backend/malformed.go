package backend

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// malformed fails the call that a line which is no good message was meant for, or refuses what
// is meant as a request of the child.
func (c *Conn) malformed(line []byte, err error) {
	c.complaints.log(c.cfg.Load().Logger, time.Now(), err, len(line))
	if call := c.take(message.LooseID(line), true); call != nil {
		call.sink.Deliver(Event{Err: fmt.Errorf("the server's answer is no valid message: %w", err), Last: true})
		return
	}
	if id := message.LooseRequestID(line); len(id) > 0 {
		// If it can't be told, it is ending, or what it wrote is no id.
		_ = c.Say(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, id, protocol.CodeInvalidRequest, message.Quote(err.Error())))
	}
}

// maxComplaints is how many lines that are no messages are logged each second.
const maxComplaints = 100

// complaints keeps a child from filling the log with them. It belongs to the goroutine that
// reads what the child writes, and once that has ended to the one that tells of the end.
type complaints struct {
	since   time.Time
	logged  int // since then
	leftOut int
}

func (c *complaints) log(logger *slog.Logger, now time.Time, err error, size int) {
	if now.Sub(c.since) >= time.Second {
		c.close(logger)
		*c = complaints{since: now}
	}
	if c.logged >= maxComplaints {
		c.leftOut++
		return
	}
	c.logged++
	logger.Warn("the server wrote a line that is no valid message", "error", err, "bytes", size)
}

// close tells how many were left out.
func (c *complaints) close(logger *slog.Logger) {
	if c.leftOut > 0 {
		logger.Warn("lines of the server that are no valid messages: too many, some left out", "left_out", c.leftOut)
	}
}
