//go:build unix

package process

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestStopWritesTheQueueBeforeItClosesInput(t *testing.T) {
	r := play(t, "echo")
	for range 1000 {
		r.send(`{"q":1}`)
	}
	r.Stop("test")
	if err := r.Send([]byte(`{}`)); !errors.Is(err, ErrExited) {
		t.Errorf("Send after Stop: %v", err)
	}
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if len(r.lines) != 1000 {
		t.Errorf("%d of 1000 frames were written", len(r.lines))
	}
}

func TestStopLeavesTimeToFinishAfterEndOfInput(t *testing.T) {
	r := play(t, "slow-eof")
	r.expect(`{"up":true}`)
	r.Stop("test")
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	r.expect(`{"flushed":true}`)
}

func TestStopClimbsToSIGTERM(t *testing.T) {
	r := play(t, "sleep", sleeping, stopTimeout(50*time.Millisecond))
	r.Stop("test")
	if err := r.wait(); err == nil || !strings.Contains(err.Error(), "signal: terminated") {
		t.Error(err)
	}
}

// sleeping makes the child a program that leaves SIGTERM to the system, so that it is dead
// with the signal. The Go runtime has a handler, and SIGKILL may overtake that on a machine
// that is busy.
func sleeping(c *Config) { c.Command, c.Args = "sleep", []string{"1000"} }

func TestStopReturnsAtOnce(t *testing.T) {
	r := play(t, "ignore-eof-term")
	r.expect(`{"up":true}`)
	r.Stop("test")
	select {
	case <-r.Done():
		t.Error("Stop returned after the end of the process")
	default:
	}
}

func TestStopClimbsToSIGKILL(t *testing.T) {
	r := play(t, "ignore-eof-term", stopTimeout(400*time.Millisecond))
	r.expect(`{"up":true}`)
	began := time.Now()
	r.Stop("test")
	if err := r.wait(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Error(err)
	}
	if took := time.Since(began); took < 800*time.Millisecond {
		t.Errorf("killed after %v, two steps of 400 ms came first", took)
	}
}

func TestKillDoesNotWaitForTheLadder(t *testing.T) {
	r := play(t, "ignore-eof-term", stopTimeout(patience))
	r.expect(`{"up":true}`)
	r.Stop("test")
	now := errors.New("now")
	r.Kill(now)
	if err := r.wait(); !errors.Is(err, now) || !strings.Contains(err.Error(), "signal: killed") {
		t.Error(err)
	}
}

func TestStopAndKillMayBeCalledByManyAtOnce(t *testing.T) {
	r := play(t, "echo")
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() { r.Stop("test") })
		callers.Go(func() { r.Kill(nil) })
		callers.Go(func() { _ = r.Send([]byte("{}")) })
	}
	callers.Wait()
	r.wait()
	if len(r.exit) != 1 && !eventually(patience, func() bool { return len(r.exit) == 1 }) {
		t.Error("OnExit was not called once")
	}
}

func TestGrandchildDiesWithItsLeader(t *testing.T) {
	for name, end := range map[string]func(*running){
		"stop": func(r *running) { r.Stop("test") },
		"kill": func(r *running) { r.Kill(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r := play(t, "grandchild", stopTimeout(100*time.Millisecond))
			pid := grandchildPID(r)
			end(r)
			r.wait()
			expectDead(t, pid)
		})
	}
}

// grandchildPID reads the two first lines, which come in any order: the pid and
// the word that the grandchild is up.
func grandchildPID(r *running) int {
	r.t.Helper()
	a, b := r.line(), r.line()
	if strings.Contains(a, "up") {
		a = b
	}
	return parsePID(r.t, a)
}

func TestLeaderThatExitsByItselfLeavesNoOrphan(t *testing.T) {
	r := play(t, "leave-behind")
	line := r.line()
	if strings.Contains(line, "up") { // the one that is left behind may be quicker, or not live to say so
		line = r.line()
	}
	pid := parsePID(t, line)
	err := r.wait()
	if !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
	expectDead(t, pid)
}

// underShell puts the child under a shell that waits for it, as npx and the like
// do.
func underShell(c *Config) {
	c.Command, c.Args = "sh", []string{"-c", `"$0"; exit $?`, os.Args[0]}
}

func TestWrapperShellDiesWithItsServer(t *testing.T) {
	r := play(t, "grandchild", underShell, stopTimeout(100*time.Millisecond))
	pid := grandchildPID(r)
	r.Kill(nil)
	r.wait()
	expectDead(t, pid)
	expectDead(t, r.PID())
}

func TestServerUnderAShellKeepsItsTimeAfterSIGTERM(t *testing.T) {
	// The shell dies of SIGTERM at once; the server it ran must not be cut short.
	t.Parallel()
	r := play(t, "slow-term", underShell, stopTimeout(8*time.Second))
	r.expect(`{"up":true}`)
	r.Stop("test")
	r.wait()
	r.expect(`{"saved":true}`)
	if strings.Contains(r.log.String(), "ignored SIGTERM") {
		t.Error("the end of the server went unnoticed")
	}
}

func TestEscapedDescendantHoldsNothingOpen(t *testing.T) {
	r := play(t, "escape", stopTimeout(50*time.Millisecond))
	pid := r.pid()
	defer killEscaped(t, pid)
	r.Stop("test")
	r.wait() // not for the hour that the descendant keeps the pipes
	if !alive(pid) {
		t.Error("the descendant left its group and should have lived: the test proves nothing")
	}
}

func killEscaped(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestChildThatClosesItsInputIsStopped(t *testing.T) {
	r := play(t, "close-stdin", stopTimeout(50*time.Millisecond))
	r.expect(`{"closed":true}`)
	if err := r.Send([]byte(`{}`)); !errors.Is(err, ErrExited) {
		t.Errorf("Send: %v", err)
	}
	if err := r.wait(); !errors.Is(err, ErrInputClosed) {
		t.Error(err)
	}
}

// One that can say nothing any more would have its calls wait in vain.
func TestChildThatClosesItsOutputIsStopped(t *testing.T) {
	r := play(t, "close-stdout", stopTimeout(50*time.Millisecond))
	r.expect(`{"closed":true}`)
	if err := r.wait(); !errors.Is(err, ErrOutputClosed) {
		t.Error(err)
	}
}

// The pipes of a process that is just ending close before it has ended. That says nothing of why.
func TestTheEndOfItsOutputIsNotWhyAProcessCrashed(t *testing.T) {
	r := play(t, "crash")
	if err := r.wait(); !errors.Is(err, ErrExited) || errors.Is(err, ErrOutputClosed) {
		t.Error(err)
	}
	if log := r.log.String(); strings.Contains(log, "standard output closed") || !strings.Contains(log, `msg="process ended"`) {
		t.Error(log)
	}
	r = play(t, "close-stdout", stopTimeout(50*time.Millisecond))
	r.wait()
	if log := r.log.String(); strings.Count(log, `reason="standard output closed by the process"`) != 2 {
		t.Errorf("it is not told why it was ended, and how: %s", log)
	}
}

// Whoever stops a process while it ends has had a reason.
func TestTheReasonOfAStopIsLoggedThoughTheOutputHasEnded(t *testing.T) {
	r := play(t, "close-stdout")
	r.expect(`{"closed":true}`)
	if !eventually(patience, func() bool { return !r.Takes() }) {
		t.Fatal("the end of its output goes unnoticed")
	}
	if err := r.Send([]byte("{}")); !errors.Is(err, ErrExited) {
		t.Error(err)
	}
	r.Stop("idle for 10m")
	r.Kill(nil)
	r.wait()
	if log := r.log.String(); !strings.Contains(log, `reason="idle for 10m"`) {
		t.Error(log)
	}
}

func TestOnLineMayStopAndSend(t *testing.T) {
	var r *running
	started := make(chan struct{})
	r = play(t, "echo", func(c *Config) {
		next := c.OnLine
		c.OnLine = func(line []byte) {
			<-started
			_ = r.Send(line)
			r.Stop("from OnLine")
			next(line)
		}
	})
	close(started)
	r.send(`{"a":1}`)
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	r.expect(`{"a":1}`)
}

func TestLogSaysWhyTheProcessWasStopped(t *testing.T) {
	r := play(t, "echo")
	r.Stop("idle for 10m")
	r.wait()
	if log := r.log.String(); !strings.Contains(log, `msg="process ended"`) || !strings.Contains(log, `reason="idle for 10m"`) {
		t.Error(log)
	}
}
