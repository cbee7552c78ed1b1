package process

import (
	"errors"
	"os"
	"time"
)

// Stop begins the end of the process and returns at once: no more frames are
// taken, the queue is written and stdin closed, and after Config.StopTimeout
// SIGTERM goes to the whole group, after as long again SIGKILL. The reason is
// logged. Only the first call counts.
func (p *Process) Stop(reason string) {
	p.climb(reason, nil)
}

// Kill ends the whole group by SIGKILL and returns at once. The first reason
// given is the one that [Process.Err] wraps; nil stands for "killed".
func (p *Process) Kill(reason error) {
	if reason == nil {
		reason = errors.New("killed")
	}
	p.mu.Lock()
	if p.cause == nil {
		// Even after the exit: a line over the limit may be found in what the
		// process wrote last.
		p.cause = reason
	}
	p.mu.Unlock()
	p.input.abort("it was killed")
	p.killGroup()
}

// inputFailed is told, once, that stdin can be written no more: ErrStalled, or
// the pipe is broken.
func (p *Process) inputFailed(err error) {
	if errors.Is(err, ErrStalled) {
		p.Kill(err)
		return
	}
	// Mostly the process is just ending. If not, it has earned the ladder's
	// patience, but no one can speak to it any more.
	p.climb("standard input closed by the process", ErrInputClosed)
}

// climb starts the ladder once. Without a cause the end was asked for; with one the process may
// just be ending by itself, and the reason is that of its end only if it does not.
func (p *Process) climb(reason string, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return
	}
	if cause == nil && !p.asked {
		p.asked = true
		p.because(reason)
	}
	if p.climbing {
		return
	}
	p.climbing = true
	p.input.finish("it is being stopped")
	p.workers.Go(func() { p.ladder(reason, cause) })
}

// ladder is what follows the closing of stdin. It ends when the leader is reaped,
// which its last step brings about.
func (p *Process) ladder(reason string, cause error) {
	if p.goneWithin(p.cfg.StopTimeout) {
		return
	}
	if cause != nil {
		p.blame(reason, cause)
	}
	p.input.abort("it is being stopped")
	p.signalGroup(terminate)
	if p.goneWithin(p.cfg.StopTimeout) {
		return
	}
	p.log.Warn("process ignored SIGTERM, killing its group")
	p.killGroup()
	<-p.gone
}

// blame records why the process is ended, unless it has ended already.
func (p *Process) blame(reason string, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return
	}
	p.because(reason)
	if p.cause == nil {
		p.cause = cause
	}
}

// because records the first reason that there is. p.mu is held.
func (p *Process) because(reason string) {
	if p.reason == "" {
		p.reason = reason
		p.log.Debug("stopping process", "reason", reason)
	}
}

func (p *Process) goneWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.gone:
		return true
	case <-timer.C:
		return false
	}
}

// signalGroup sends a signal to all members of the group, while its number is
// certainly still its own.
func (p *Process) signalGroup(sig groupSignal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.child.signalGroup(sig)
	}
}

// killGroup also ends the patience of watch with what the leader left.
func (p *Process) killGroup() {
	p.signalGroup(kill)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.killed:
	default:
		close(p.killed)
	}
}

// killAndReap kills what is left of the group and collects the leader's status.
func (p *Process) killAndReap() (*os.ProcessState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
	return p.child.killAndReap()
}
