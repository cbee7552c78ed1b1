package bridge

import (
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/timeout"
)

// beat tells an exchange when to look at the time: first after the silence, which few calls
// come to, and then as it is told.
type beat struct {
	quiet timeout.Timeout
	first chan time.Time
	timer *time.Timer // instead of both, once it is set
	at    time.Time   // when it is due
}

// begin is for a call that may take so long. One that was waited with has its beat already.
func (b *beat) begin(silences *timeout.Queue, left time.Duration) {
	switch {
	case b.timer != nil:
		b.next(min(left, time.Until(b.at)))
		return
	case left < silence:
		b.next(left)
		return
	}
	first := make(chan time.Time, 1)
	b.first = first
	silences.Begin(&b.quiet, func() { first <- time.Time{} })
}

func (b *beat) due() <-chan time.Time {
	if b.timer != nil {
		return b.timer.C
	}
	return b.first
}

// next puts the next beat in the place of the one that is to come.
func (b *beat) next(in time.Duration) {
	b.quiet.End()
	b.at = time.Now().Add(in)
	if b.timer == nil {
		b.timer = time.NewTimer(in)
		return
	}
	b.timer.Reset(in)
}

func (b *beat) end() {
	b.quiet.End()
	if b.timer != nil {
		b.timer.Stop()
	}
}
