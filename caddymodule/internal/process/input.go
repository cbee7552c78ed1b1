package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// inlineMax is the largest frame, newline included, that a sender writes
	// itself when nothing waits. It spares a switch of goroutines on each message.
	inlineMax = 4 << 10
	// batchMax bounds what is copied together for one write: the usual capacity of
	// a pipe. A larger frame is written from where it lies.
	batchMax = 64 << 10
	// spareMax is the largest emptied queue kept for the next batch, in frames.
	spareMax = 1 << 10
)

// input is the child's stdin with its queue. At any time at most one goroutine
// writes, the one that set writing: a sender that found everything idle, and then
// only what the pipe takes at once, or run. The mutex is never held meanwhile.
type input struct {
	file   *os.File
	raw    syscall.RawConn
	limit  int
	stall  time.Duration
	failed func(error) // called once at most, without the mutex

	mu      sync.Mutex
	ready   sync.Cond // run has something to do
	frames  [][]byte  // queued after rest
	rest    []byte    // what a sender's own write left over, newline included
	waiting int       // bytes accepted and not written
	beyond  int       // bytes of Insist since the queue was last within the limit
	writing bool
	refusal error // why no frame is accepted any more
	dropped bool  // nor is the queue written

	// Of the goroutine that is writing.
	scratch []byte
	attempt attempt
	step    func(fd uintptr) bool // attempt.step, bound once
}

// newInput takes the gateway's end of the pipe; run closes it.
func newInput(file *os.File, limit int, stall time.Duration, failed func(error)) *input {
	in := &input{file: file, limit: limit, stall: stall, failed: failed}
	in.ready.L = &in.mu
	in.step = in.attempt.step
	raw, err := file.SyscallConn()
	if err != nil {
		// Only a closed or nil file has none; frames are refused then.
		in.refusal = fmt.Errorf("%w: %w", ErrExited, err)
		in.dropped = true
	}
	in.raw = raw
	return in
}

// extra is how many bytes are taken beyond the limit, by what they are.
type extra int

const (
	none    extra = iota // Process.Send
	again                // Process.Insist: as many as the limit
	endless              // Process.SendOver
)

// send is Process.Send, and with more room for what has it.
func (in *input) send(frame []byte, beyond extra) error {
	if err := checkFrame(frame); err != nil {
		return err
	}
	size := len(frame) + 1
	in.mu.Lock()
	if in.refusal != nil {
		defer in.mu.Unlock()
		return in.refusal
	}
	if !in.hasRoom(size, beyond) {
		defer in.mu.Unlock()
		return fmt.Errorf("%w: %d bytes wait, %d more would exceed %d", ErrQueueFull, in.waiting, size, in.limit)
	}
	in.waiting += size
	if in.writing || in.waiting > size || size > inlineMax {
		in.frames = append(in.frames, frame)
		wake := !in.writing
		in.mu.Unlock()
		if wake {
			in.ready.Signal()
		}
		return nil
	}
	in.writing = true
	in.mu.Unlock()
	return in.sendInline(frame)
}

// hasRoom says whether so many more bytes are taken. in.mu is held.
func (in *input) hasRoom(size int, beyond extra) bool {
	switch {
	case in.waiting == 0 || in.waiting+size <= in.limit:
		in.beyond = 0
		return true
	case beyond == again && in.beyond+size <= in.limit:
		in.beyond += size
		return true
	}
	return beyond == endless
}

func (in *input) takes() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.refusal == nil
}

func checkFrame(frame []byte) error {
	switch {
	case len(frame) == 0:
		return fmt.Errorf("%w: the frame is empty", ErrFrame)
	case bytes.IndexByte(frame, '\n') >= 0, bytes.IndexByte(frame, '\r') >= 0:
		// JSON allows both between tokens, and some line readers end a line at
		// either.
		return fmt.Errorf("%w: the frame holds a line break", ErrFrame)
	}
	return nil
}

// sendInline writes a frame as far as the pipe takes it at once. What is left
// goes to run, ahead of all that was queued meanwhile.
func (in *input) sendInline(frame []byte) error {
	line := append(append(in.scratch[:0], frame...), '\n')
	in.scratch = line
	n, err := in.write(line, false)
	in.mu.Lock()
	in.waiting -= n
	if errors.Is(err, syscall.EAGAIN) {
		err = nil
	}
	if n < len(line) && err == nil {
		in.rest = bytes.Clone(line[n:])
	}
	in.writing = false
	wake := in.rest != nil || len(in.frames) > 0 || in.refusal != nil
	in.mu.Unlock()
	if err != nil {
		return in.fail(err)
	}
	if wake {
		in.ready.Signal()
	}
	return nil
}

// run is the writer's goroutine. It ends when the queue is finished or dropped.
func (in *input) run() {
	defer in.file.Close()
	var spare [][]byte
	for {
		rest, frames, ok := in.take(spare)
		if !ok {
			return
		}
		err := in.writeBatch(rest, frames)
		in.mu.Lock()
		in.writing = false
		in.mu.Unlock()
		if err != nil {
			_ = in.fail(err)
			return
		}
		clear(frames)
		spare = frames[:0]
		if cap(spare) > spareMax {
			spare = nil
		}
	}
}

// take waits for frames and hands them all over; spare becomes the new queue.
func (in *input) take(spare [][]byte) (rest []byte, frames [][]byte, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		switch {
		case in.dropped:
			return nil, nil, false
		case in.writing:
		case in.rest != nil || len(in.frames) > 0:
			rest, frames = in.rest, in.frames
			in.rest, in.frames = nil, spare
			in.writing = true
			return rest, frames, true
		case in.refusal != nil:
			return nil, nil, false
		}
		in.ready.Wait()
	}
}

// writeBatch writes small frames together, one system call for many.
func (in *input) writeBatch(rest []byte, frames [][]byte) error {
	batch := append(in.scratch[:0], rest...)
	defer func() { in.scratch = batch[:0] }()
	for _, frame := range frames {
		if len(batch)+len(frame) >= batchMax {
			if err := in.flush(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if len(frame) >= batchMax {
			if err := in.flush(frame); err != nil {
				return err
			}
		} else {
			batch = append(batch, frame...)
		}
		batch = append(batch, '\n')
	}
	return in.flush(batch)
}

// flush writes all of b. As long as the child takes some of it now and then, it
// may take its time; ErrStalled says that it took nothing for too long.
func (in *input) flush(b []byte) error {
	for len(b) > 0 {
		n, err := in.write(b, false)
		if errors.Is(err, syscall.EAGAIN) {
			n, err = in.writeWaiting(b)
		}
		in.mu.Lock()
		in.waiting -= n
		in.mu.Unlock()
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (in *input) writeWaiting(b []byte) (int, error) {
	if err := in.file.SetWriteDeadline(time.Now().Add(in.stall)); err != nil {
		return 0, err
	}
	n, err := in.write(b, true)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, fmt.Errorf("%w for %v", ErrStalled, in.stall)
	}
	if clearErr := in.file.SetWriteDeadline(time.Time{}); err == nil {
		err = clearErr
	}
	return n, err
}

// write makes one successful write, waiting for room or else failing with
// EAGAIN.
func (in *input) write(b []byte, wait bool) (int, error) {
	in.attempt = attempt{b: b, wait: wait}
	err := in.raw.Write(in.step)
	n := in.attempt.n
	if err == nil {
		err = in.attempt.err
	}
	in.attempt.b = nil
	return n, err
}

// attempt is one system call on a non-blocking pipe, kept apart so that it costs
// no allocation.
type attempt struct {
	b    []byte
	wait bool
	n    int
	err  error
}

// step says whether the attempt is over; if not, it is called again when the
// pipe has room.
func (a *attempt) step(fd uintptr) bool {
	a.n, a.err = writeNow(fd, a.b)
	return !a.wait || !errors.Is(a.err, syscall.EAGAIN)
}

// fail ends the input after an error of the pipe and returns what a sender is
// told.
func (in *input) fail(err error) error {
	in.mu.Lock()
	first := !in.dropped
	why := "it closed its standard input"
	if errors.Is(err, ErrStalled) {
		why = "it stopped reading its input"
	}
	in.drop(why)
	refusal := in.refusal
	in.mu.Unlock()
	in.ready.Signal()
	if first {
		in.failed(err)
	}
	return refusal
}

// finish refuses further frames; what is queued is written and stdin closed.
func (in *input) finish(why string) {
	in.mu.Lock()
	in.refuse(why)
	in.mu.Unlock()
	in.ready.Signal()
}

// abort refuses further frames, drops the queue and closes stdin at once.
func (in *input) abort(why string) {
	in.mu.Lock()
	in.drop(why)
	in.mu.Unlock()
	in.ready.Signal()
	// Wakes a writer that waits for room. Closed twice is no fault.
	_ = in.file.Close()
}

func (in *input) drop(why string) {
	in.refuse(why)
	in.dropped = true
	in.frames, in.rest = nil, nil
}

func (in *input) refuse(why string) {
	if in.refusal == nil {
		in.refusal = fmt.Errorf("%w: %s", ErrExited, why)
	}
}
