// Package process runs one child process that speaks newline-delimited JSON on
// its standard input and output, as the stdio transport of MCP does: it starts
// it, carries lines both ways, logs what it says on standard error, holds it to
// limits, and ends it so that nothing of it remains.
//
//	p, err := process.Start(process.Config{
//		Command: "snapshotd",
//		OnLine:  func(line []byte) { … },
//		OnExit:  func(err error) { … },
//	})
//	…
//	err = p.Send(frame) // never blocks on the child
//	p.Stop("idle")      // end of input, SIGTERM, SIGKILL
//	<-p.Done()
//
// The child leads a process group of its own. [Process.Stop] climbs the ladder
// of the specification's shutdown section: close stdin, wait, SIGTERM to the
// group, wait, SIGKILL to the group. Whatever ends the leader, the rest of its
// group ends with it. Only a descendant that leaves the group on purpose
// (setsid) is out of reach; it keeps neither goroutine nor descriptor of the
// gateway alive.
//
// What depends on the system:
//
//   - On Linux the child is killed as soon as the gateway dies, even by SIGKILL
//     (prctl PR_SET_PDEATHSIG; a set-user-ID program clears it). Its descendants
//     are not; those that honour end of input end then. The exit is seen before
//     the leader is reaped, so that the number of its group is still its own when
//     the group is killed.
//   - On other Unix systems neither is to be had: a child of a gateway that was
//     killed lives until it reads end of input, and between reaping the leader
//     and killing its group there is a moment in which the number could in theory
//     be taken anew.
//   - On Windows [Start] returns an error.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Errors that callers tell apart with errors.Is. Those of [Process.Err] are
// wrapped with what the system said of the exit.
var (
	// ErrExited means that the process has ended, is being stopped, or closed its
	// standard input: it takes no more frames. As the outcome of a process it
	// means that it ended without being asked to.
	ErrExited = errors.New("the process takes no more messages")
	// ErrQueueFull means that the process reads its input too slowly: this frame
	// would exceed Config.MaxQueue. The frame was not queued.
	ErrQueueFull = errors.New("the process does not keep up with its input")
	// ErrFrame means that a frame is empty, or holds a line break and would be
	// read as two messages.
	ErrFrame = errors.New("not one line")
	// ErrLineTooLong means that the process was killed because it wrote a line
	// longer than Config.MaxLine.
	ErrLineTooLong = errors.New("the process wrote a line over the limit")
	// ErrStalled means that the process was killed because it took no byte of its
	// waiting input for Config.StallTimeout.
	ErrStalled = errors.New("the process stopped reading its input")
	// ErrInputClosed means that the process closed its standard input while it
	// lived, and was stopped since no message could reach it any more.
	ErrInputClosed = errors.New("the process closed its standard input")
	// ErrOutputClosed means that the process closed its standard output while it
	// lived, and was stopped since it could say nothing any more.
	ErrOutputClosed = errors.New("the process closed its standard output")
)

// drainTime bounds how long the end of the output is awaited after the last member of the
// group was killed. Only a descendant that left the group, a slow OnLine or a machine that
// is very busy makes it run out; what the group wrote is delivered all the same.
const drainTime = time.Second

// Process is a started child. All methods may be called from any goroutine.
type Process struct {
	cfg   Config
	log   *slog.Logger
	child *child
	input *input
	temp  string // its temporary folder; "" if it has none

	heard        atomic.Uint64 // bytes of output
	reading      atomic.Int32  // output pipes still open
	outputsEnded chan struct{} // closed when both are at their end
	killed       chan struct{} // closed when SIGKILL was sent, or is due
	gone         chan struct{} // closed when the leader is reaped
	done         chan struct{}
	workers      sync.WaitGroup // all goroutines but watch

	mu       sync.Mutex
	climbing bool   // the ladder has begun
	asked    bool   // by Stop, while the leader lived
	exited   bool   // the leader has ended
	reaped   bool   // and its group may no longer be signalled
	reason   string // why it was ended; "" if it did by itself
	cause    error  // why the process did not end as it should
	err      error  // the outcome, valid once done is closed
}

// Start starts the process. The error says what is wrong: a setting, the
// command (not found, not executable), its folder or the system; nothing is left
// behind then. Lines may reach OnLine before Start returns.
func Start(cfg Config) (*Process, error) {
	cfg = cfg.withDefaults()
	l, err := cfg.prepare()
	if err != nil {
		return nil, err
	}
	c, err := spawn(l)
	if err != nil {
		l.discard()
		return nil, fmt.Errorf("starting %q: %w", cfg.Command, err)
	}
	p := &Process{
		cfg:          cfg,
		log:          cfg.Logger.With("pid", c.pid),
		child:        c,
		temp:         l.temp,
		outputsEnded: make(chan struct{}),
		killed:       make(chan struct{}),
		gone:         make(chan struct{}),
		done:         make(chan struct{}),
	}
	p.input = newInput(c.stdin, cfg.MaxQueue, cfg.StallTimeout, p.inputFailed)
	p.log.Info("process started", "command", l.path)
	p.reading.Store(2)
	p.workers.Go(p.input.run)
	p.workers.Go(p.readStdout)
	p.workers.Go(p.readStderr)
	go p.watch()
	return p, nil
}

// PID is the process id of the child, which is also the id of its group.
func (p *Process) PID() int { return p.child.pid }

// Send queues one message; the newline that ends it is added. It never waits for
// the child. The frame belongs to the process from then on and must not be
// changed. Frames arrive in the order of the calls. The error wraps
// [ErrQueueFull], [ErrExited] or [ErrFrame]; without one the frame was queued,
// which does not say that the child reads it.
func (p *Process) Send(frame []byte) error { return p.input.send(frame, none) }

// SendOver is [Process.Send] for what the process must get though its queue is full. The caller
// bounds how many there are, and how long.
func (p *Process) SendOver(frame []byte) error { return p.input.send(frame, endless) }

// Insist is [Process.SendOver] for what the process itself brings about, and nobody would say
// again: once the queue is full, as many bytes again as Config.MaxQueue are taken of it.
func (p *Process) Insist(frame []byte) error { return p.input.send(frame, again) }

// Takes says whether messages are taken. It turns false for good before the process has ended.
func (p *Process) Takes() bool { return p.input.takes() }

// Heard is how many bytes the child has written by now, on standard output and on standard
// error together: as long as it grows, the child lives.
func (p *Process) Heard() uint64 { return p.heard.Load() }

// Done is closed when the process is reaped, its group has been killed, its
// output has been delivered and its temporary folder is removed.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended; it is nil until [Process.Done] is closed. It is
// nil as well if the process ended with status 0 after [Process.Stop]. It wraps
// the error given to [Process.Kill], [ErrLineTooLong], [ErrStalled],
// [ErrInputClosed] or [ErrOutputClosed] if that was the reason, [ErrExited] if it
// ended unasked.
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// watch waits for the leader's end and then clears away whatever it left. It is
// the owner of all other goroutines of the process.
func (p *Process) watch() {
	waitErr := p.child.awaitExit()
	p.input.abort("it has ended")
	if p.noteExit() {
		// Stopped as asked: what the leader left behind, say the server under a
		// wrapper, keeps the time of the ladder to finish. The open pipes are the
		// only sign of it.
		select {
		case <-p.outputsEnded:
		case <-p.killed:
		}
	}
	state, reapErr := p.killAndReap()
	close(p.gone)
	p.child.expireOutput(drainTime)
	p.workers.Wait()
	p.child.close()
	awaitGroupEnd(p.child.pid)
	if err := removeTemp(p.temp); err != nil {
		p.log.Warn("temporary folder of the process not removed", "error", err)
	}
	p.finish(state, errors.Join(waitErr, reapErr))
}

// noteExit records that the leader has ended and says whether it had been asked.
func (p *Process) noteExit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exited = true
	return p.asked
}

// finish publishes the outcome.
func (p *Process) finish(state *os.ProcessState, sysErr error) {
	p.mu.Lock()
	p.err = outcome(p.cause, p.asked, state, sysErr)
	err, reason := p.err, p.reason
	p.mu.Unlock()
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("status", status(state, sysErr))}
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	p.log.LogAttrs(context.Background(), level, "process ended", attrs...)
	close(p.done)
	if p.cfg.OnExit != nil {
		p.cfg.OnExit(err)
	}
}

// outcome is what Err returns.
func outcome(cause error, asked bool, state *os.ProcessState, sysErr error) error {
	switch {
	case cause != nil:
		return fmt.Errorf("%w (%s)", cause, status(state, sysErr))
	case !asked:
		return fmt.Errorf("%w: it ended by itself: %s", ErrExited, status(state, sysErr))
	case sysErr != nil || !state.Success():
		return fmt.Errorf("stopped, but not cleanly: %s", status(state, sysErr))
	}
	return nil
}

// status words the exit as the system reports it: "exit status 3", "signal:
// killed".
func status(state *os.ProcessState, sysErr error) string {
	if state == nil {
		return fmt.Sprintf("status unknown: %v", sysErr)
	}
	return state.String()
}
