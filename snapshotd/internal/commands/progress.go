package commands

import (
	"fmt"
	"io"
	"time"
)

// progressInterval is how often progress is shown after the first time.
const progressInterval = 500 * time.Millisecond

// progress shows how far long work is.
type progress struct {
	w        io.Writer // nil for none
	terminal bool
	now      func() time.Time
	last     time.Time
	shown    bool
}

func (c *call) newProgress() *progress {
	if !c.progress {
		return &progress{now: c.Now}
	}
	return &progress{w: c.Log, terminal: c.Terminal, now: c.Now}
}

// show tells how far the work is, unless it has just done so.
func (p *progress) show(format string, args ...any) {
	if p.w == nil || p.now().Sub(p.last) < progressInterval {
		return
	}
	p.last, p.shown = p.now(), true
	text := fmt.Sprintf(format, args...)
	if p.terminal {
		text = "\r\x1b[K" + text // over the line before
	} else {
		text += "\n"
	}
	fmt.Fprint(p.w, text)
}

// bytes shows a part of a number of bytes.
func (p *progress) bytes(doing string) func(done, total int64) {
	return func(done, total int64) {
		if total > 0 {
			p.show("%s: %d of %d MB (%d%%)", doing, done/1_000_000, total/1_000_000, done*100/total)
		}
	}
}

// end clears the line.
func (p *progress) end() {
	if p.shown && p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.shown = false
}
