package backend

import (
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// lapse is a call that was cancelled. The child need not answer it any more (MCP 2025-11-25,
// Cancellation), and may go on with it all the same: so it may still ask something because
// of it, and a question does not say which call it is about.
type lapse struct {
	whose any
	at    time.Time
}

// maxLapses is how many lapses are told apart. One more, and it stands for all of them.
const maxLapses = 256

// crowd is whose the lapses are that are not told apart, and noCall their number: calls have
// higher ones.
type crowd struct{}

const noCall = 0

// lapse ends a call that is cancelled. It reports whether it was in flight.
func (c *Conn) lapse(call *Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[call.id] == nil {
		return false
	}
	delete(c.calls, call.id)
	switch {
	case call.whose == nil || c.cfg.Load().Era == protocol.Modern: // such a child asks nothing by itself
		return true
	case c.lapses == nil:
		c.lapses = map[int64]lapse{}
	case len(c.lapses) >= maxLapses:
		clear(c.lapses)
		c.lapses[noCall] = lapse{crowd{}, time.Now()}
	}
	c.lapses[call.id] = lapse{call.whose, time.Now()}
	return true
}

// settle notes that the child has answered a call that is no longer open: it is done with it.
func (c *Conn) settle(raw []byte) {
	id, ok := message.Integer(raw)
	if !ok || id == noCall {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.lapses, id)
}

// Lapsed says whether the child may still be at a call of somebody else that was cancelled
// within that time and that it has not answered since. What is older is taken to have ended.
func (c *Conn) Lapsed(of any, within time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lapsed := false
	for id, l := range c.lapses {
		switch {
		case time.Since(l.at) >= within:
			delete(c.lapses, id)
		case l.whose != of:
			lapsed = true
		}
	}
	return lapsed
}
