package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// silence is how a child that hangs is told from one that is slow: it was asked something,
// and has written nothing at all since.
type silence struct {
	heard   uint64    // bytes that had come from the child
	since   time.Time // when it was first asked after these; zero before
	doubted bool      // it is being looked at
}

// asked notes that the child is asked something. Conn.mu is held.
func (s *silence) asked(heard uint64) {
	if s.since.IsZero() || heard != s.heard {
		s.heard, s.since = heard, time.Now()
	}
}

// Silent is for how long the child has been silent since it was first asked something after
// its last word; 0 if it has spoken since. A byte on standard error is a word, too.
func (c *Conn) Silent() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silence.since.IsZero() || c.process.Heard() != c.silence.heard {
		return 0
	}
	return time.Since(c.silence.since)
}

// Doubt looks whether the child hangs, once it has been silent for that long: it is pinged,
// and may take the time of patience for any word. If none comes Hangs is told. It waits for
// the outcome, unless another does so already.
func (c *Conn) Doubt(silent, patience time.Duration) {
	if c.Silent() < silent || !c.beginDoubt() {
		return
	}
	defer c.endDoubt()
	heard := c.process.Heard()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	frame := ping
	if c.cfg.Load().Era == protocol.Modern {
		frame = discover // there is no ping in that era, and any answer does
	}
	_, err := c.Ask(ctx, frame)
	// Any other error is one of the process, which is ending or does not read.
	if hangs := c.cfg.Load().Hangs; hangs != nil && errors.Is(err, ErrSilent) && c.process.Heard() == heard {
		hangs(fmt.Sprintf("it has said nothing for %v since it was asked something, and did not answer a ping either", c.Silent().Round(time.Millisecond)))
	}
}

var ping = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":%q}`, message.MethodPing)

func (c *Conn) beginDoubt() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	begins := !c.silence.doubted
	c.silence.doubted = true
	return begins
}

func (c *Conn) endDoubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silence.doubted = false
}
