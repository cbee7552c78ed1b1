package backend

import (
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
	latest  time.Time // when it was last asked
	doubted bool      // it is being looked at
	about   uint64    // heard, of the silence that is being looked at
}

// asked notes that the child is asked something. Conn.mu is held.
func (s *silence) asked(heard uint64) {
	s.latest = time.Now()
	if s.since.IsZero() || heard != s.heard {
		s.heard, s.since = heard, s.latest
	}
}

// answered notes that the child is told what it has asked itself. It may have waited for that
// with all else, so its time begins anew. It cannot do so forever: each of its questions is
// answered once. Conn.mu is held.
func (s *silence) answered() {
	if !s.since.IsZero() {
		s.latest = time.Now()
		s.since = s.latest
	}
}

// answered notes that the child was told what it has asked.
func (c *Conn) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silence.answered()
}

// Silent is for how long the child has been silent since it was first asked something after
// its last word, or since its own question was answered; 0 if it has spoken since. A byte on
// standard error is a word, too.
func (c *Conn) Silent() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent()
}

// silent is Silent with c.mu held.
func (c *Conn) silent() time.Duration {
	if c.silence.since.IsZero() || c.process.Heard() != c.silence.heard {
		return 0
	}
	return time.Since(c.silence.since)
}

// Doubt looks whether the child hangs, once it has been silent for as long as limit, the time
// of a call, or patience, the time of a first answer. It is pinged, and hangs if no word comes
// until it has had patience for the ping, and limit for each call that came before it: it may
// be busy with one of those, though the others wait in vain. Then Hangs is told. Doubt waits
// for the outcome, unless another does so already.
func (c *Conn) Doubt(limit, patience time.Duration) {
	before, begins := c.beginDoubt(min(limit, patience))
	if !begins {
		return
	}
	defer c.endDoubt(before.about)
	frame := ping
	if c.cfg.Load().Era == protocol.Modern {
		frame = discover // there is no ping in that era, and any answer does
	}
	// An error is one of a process that is ending, or does not read: that is seen elsewhere.
	if c.Tell(frame) != nil || c.speaks(before.heard, max(patience, limit-time.Since(before.latest))) {
		return
	}
	silent := c.Silent()
	if hangs := c.cfg.Load().Hangs; hangs != nil && silent >= limit {
		hangs(fmt.Sprintf("it has said nothing for %v since it was asked something, and did not answer a ping either", silent.Round(time.Millisecond)))
	}
}

var ping = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":%q}`, message.MethodPing)

// speaks says whether more than these bytes come from the child, or it ends, within the time
// of patience. It waits in steps: time in which the whole machine was stopped, and the child
// with it, counts as one of them.
func (c *Conn) speaks(heard uint64, patience time.Duration) bool {
	const steps = 32
	step := max(min(patience/steps, time.Second/4), time.Millisecond)
	for left := patience; left > 0; left -= step {
		select {
		case <-time.After(step):
		case <-c.Done():
			return true
		}
		if c.process.Heard() != heard || !c.Open() {
			return true
		}
	}
	return false
}

// beginDoubt returns the silence of the child, if it has lasted for so long and is not doubted
// yet. A silence that is over may still be looked at, and does not stand in the way of the next.
func (c *Conn) beginDoubt(lasted time.Duration) (silence, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.silence
	begins := !(s.doubted && s.about == s.heard) && c.silent() >= lasted
	if begins {
		s.doubted, s.about = true, s.heard
	}
	return *s, begins
}

func (c *Conn) endDoubt(about uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silence.about == about {
		c.silence.doubted = false
	}
}
