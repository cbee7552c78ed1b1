//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSendRefusesWhatIsNotOneLine(t *testing.T) {
	r := play(t, "echo")
	for _, frame := range []string{"", "{}\n", "{\n}", "{\r}", "\n"} {
		if err := r.Send([]byte(frame)); !errors.Is(err, ErrFrame) {
			t.Errorf("%q: %v", frame, err)
		}
	}
	r.send(`{"still":"works"}`)
	r.expect(`{"still":"works"}`)
}

func TestQueueIsBoundedAndSendNeverBlocks(t *testing.T) {
	r := play(t, "deaf", func(c *Config) { c.MaxQueue = 100_000 })
	r.expect(`{"up":true}`)
	frame := bytes.Repeat([]byte("x"), 999)
	accepted := 0
	began := time.Now()
	for range 10_000 {
		err := r.Send(frame)
		if errors.Is(err, ErrQueueFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted++
	}
	// A send that waited for the child would do so until it is killed as stalled.
	if took := time.Since(began); took > DefaultStallTimeout/2 {
		t.Errorf("took %v", took)
	}
	// The pipe itself takes some: 64 KiB on Linux, never more than 1 MiB.
	if accepted < 100 || accepted > 1200 {
		t.Errorf("%d frames of 1000 bytes accepted for a queue of 100,000", accepted)
	}
}

func TestFrameLargerThanTheQueueIsTakenWhenNothingWaits(t *testing.T) {
	r := play(t, "echo", func(c *Config) { c.MaxQueue = 1000 })
	big := `{"big":"` + strings.Repeat("x", 2<<20) + `"}`
	for range 3 {
		r.send(big)
		r.expect(big)
		r.expectNothingWaits()
	}
}

func TestBigFrameThatWaitsFillsTheQueue(t *testing.T) {
	r := play(t, "deaf", func(c *Config) { c.MaxQueue = 1000 })
	r.expect(`{"up":true}`)
	r.send(strings.Repeat("x", 2<<20))
	if err := r.Send([]byte("{}")); !errors.Is(err, ErrQueueFull) {
		t.Error(err)
	}
}

func TestChildThatReadsNothingIsKilledAsStalled(t *testing.T) {
	r := play(t, "deaf", func(c *Config) { c.StallTimeout = 100 * time.Millisecond })
	r.expect(`{"up":true}`)
	r.send(strings.Repeat("x", 300_000))
	if err := r.wait(); !errors.Is(err, ErrStalled) {
		t.Error(err)
	}
	if err := r.Send([]byte("{}")); !errors.Is(err, ErrExited) {
		t.Errorf("Send: %v", err)
	}
}

func TestSlowReaderIsNotStalled(t *testing.T) {
	t.Parallel()
	// 1 MiB at 16 KiB each 200 ms takes over twelve seconds, the stall timeout twice. A busy
	// machine may keep the child from reading for a while, but not for as long as that.
	r := play(t, "sip", func(c *Config) { c.StallTimeout = 6 * time.Second })
	r.send(strings.Repeat("x", 1<<20))
	r.Stop("test")
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	r.expect(fmt.Sprintf(`{"total":%d}`, 1<<20+1))
}

func TestStopOfABlockedInputKeepsToTheLadder(t *testing.T) {
	r := play(t, "sleep", sleeping, stopTimeout(50*time.Millisecond), func(c *Config) { c.StallTimeout = time.Hour })
	r.send(strings.Repeat("x", 1<<20))
	r.Stop("test")
	if err := r.wait(); err == nil || !strings.Contains(err.Error(), "signal: terminated") {
		t.Error(err)
	}
}

func TestManySendersAreNotInterleaved(t *testing.T) {
	r := play(t, "echo", func(c *Config) { c.MaxQueue = 64 << 20 })
	const senders, each = 8, 400
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				// Sizes on both sides of what is written inline and in one batch.
				size := []int{10, 3000, 5000, 20}[i%4]
				if i%100 == 99 {
					size = 100_000
				}
				frame := fmt.Sprintf(`{"s":%d,"i":%d,"x":"%s"}`, s, i, strings.Repeat("y", size))
				if err := r.Send([]byte(frame)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	r.Stop("test")
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	if len(r.lines) != senders*each {
		t.Fatalf("%d lines, want %d", len(r.lines), senders*each)
	}
	var next [senders]int
	for range senders * each {
		var s, i int
		line := r.line()
		if _, err := fmt.Sscanf(line, `{"s":%d,"i":%d,`, &s, &i); err != nil {
			t.Fatalf("%.80q: %v", line, err)
		}
		if next[s] != i || !strings.HasSuffix(line, `y"}`) {
			t.Fatalf("sender %d: frame %d came, %d was next: %.80q", s, i, next[s], line)
		}
		next[s]++
	}
}

func TestQueueCountsDownAsTheChildReads(t *testing.T) {
	r := play(t, "echo", func(c *Config) { c.MaxQueue = 10_000 })
	frame := `{"x":"` + strings.Repeat("x", 5000) + `"}`
	for range 200 {
		r.send(frame)
		r.expect(frame)
		r.expectNothingWaits()
	}
}

// expectNothingWaits allows the writer the moment between its write and its
// count, in which the child may have answered.
func (r *running) expectNothingWaits() {
	r.t.Helper()
	waiting := 0
	if !eventually(patience, func() bool {
		r.input.mu.Lock()
		defer r.input.mu.Unlock()
		waiting = r.input.waiting
		return waiting == 0
	}) {
		r.t.Fatalf("%d bytes are counted as waiting", waiting)
	}
}

// What must not be lost has room of its own, and no more than that.
func TestWhatIsInsistedOnIsTakenBeyondTheQueue(t *testing.T) {
	r := play(t, "deaf", func(c *Config) { c.MaxQueue = 1000 })
	r.expect(`{"up":true}`)
	r.send(strings.Repeat("x", 2<<20))
	for i := range 10 {
		if err := r.Insist(bytes.Repeat([]byte("y"), 99)); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	for _, send := range []func([]byte) error{r.Insist, r.Send} {
		if err := send([]byte("{}")); !errors.Is(err, ErrQueueFull) {
			t.Error(err)
		}
	}
}

// What others bound takes none of that room away, or a process could not be told what only it
// waits for.
func TestWhatIsSentOverTheQueueTakesNoRoomFromWhatIsInsistedOn(t *testing.T) {
	r := play(t, "deaf", func(c *Config) { c.MaxQueue = 1000 })
	r.expect(`{"up":true}`)
	r.send(strings.Repeat("x", 2<<20))
	if err := r.SendOver(bytes.Repeat([]byte("z"), 1500)); err != nil {
		t.Fatal(err)
	}
	if err := r.Insist(bytes.Repeat([]byte("y"), 999)); err != nil {
		t.Error(err)
	}
	if err := r.Insist([]byte("{}")); !errors.Is(err, ErrQueueFull) {
		t.Error(err)
	}
}

func TestWhatIsInsistedOnKeepsItsPlace(t *testing.T) {
	r := play(t, "echo", func(c *Config) { c.MaxQueue = 1000 })
	big := `{"big":"` + strings.Repeat("x", 2<<20) + `"}`
	for i := range 30 { // more in all than there is room for at once
		r.send(big)
		small := fmt.Sprintf(`{"small":"%0500d"}`, i)
		if err := r.Insist([]byte(small)); err != nil {
			t.Fatal(err)
		}
		r.expect(big)
		r.expect(small)
		r.expectNothingWaits()
	}
}
