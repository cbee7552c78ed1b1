package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitWatch is a pidfd in the runtime's poller, so that waiting for a child
// costs no thread. It is nil where the kernel gives none (before 5.3).
type exitWatch struct{ pidfd *os.File }

// startProcess starts a process that leads its own group and dies with the
// gateway.
func startProcess(path string, argv []string, attr *os.ProcAttr) (*os.Process, exitWatch, error) {
	pidfd := -1
	attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: &pidfd}
	reply := make(chan started)
	starter() <- startRequest{path, argv, attr, reply}
	s := <-reply
	if s.err != nil {
		return nil, exitWatch{}, s.err
	}
	return s.process, newExitWatch(pidfd), nil
}

type startRequest struct {
	path  string
	argv  []string
	attr  *os.ProcAttr
	reply chan<- started
}

type started struct {
	process *os.Process
	err     error
}

// starter gives the queue of the one goroutine that starts all children. The
// parent-death signal is sent when the thread that forked ends, not the process
// (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends threads as it pleases: so
// the goroutine is locked to its thread and never returns. Starts therefore come
// one after another; each lasts until execve has succeeded, about a millisecond.
var starter = sync.OnceValue(func() chan<- startRequest {
	requests := make(chan startRequest)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			closeOnExec()
			process, err := os.StartProcess(r.path, r.argv, r.attr)
			r.reply <- started{process, err}
		}
	}()
	return requests
})

// closeOnExec keeps descriptors from the child that the gateway itself was given
// by its parent, the listening sockets of systemd among them. All that Go opens
// has the mark already.
func closeOnExec() {
	if unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Before Linux 5.11. Without /proc there is no list to go by.
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

func newExitWatch(pidfd int) exitWatch {
	if pidfd < 0 {
		return exitWatch{}
	}
	// os.NewFile polls only what is non-blocking already.
	if err := unix.SetNonblock(pidfd, true); err != nil {
		unix.Close(pidfd)
		return exitWatch{}
	}
	return exitWatch{os.NewFile(uintptr(pidfd), "pidfd")}
}

func (w exitWatch) close() {
	if w.pidfd != nil {
		w.pidfd.Close()
	}
}

// awaitExit returns when the leader has ended. It stays a zombie, which keeps
// its number, and that of its group, from being used again until killAndReap.
func (c *child) awaitExit() error {
	if c.pollExit() {
		return nil
	}
	if _, err := waitExited(c.pid, 0); err != nil {
		return fmt.Errorf("waiting for process %d: %w", c.pid, err)
	}
	return nil
}

// pollExit waits through the poller and says whether that worked.
func (c *child) pollExit() bool {
	if c.exit.pidfd == nil {
		return false
	}
	raw, err := c.exit.pidfd.SyscallConn()
	if err != nil {
		return false
	}
	var exited bool
	var waitErr error
	err = raw.Read(func(uintptr) bool {
		exited, waitErr = waitExited(c.pid, unix.WNOHANG)
		return exited || waitErr != nil
	})
	return err == nil && waitErr == nil && exited
}

// waitExited looks, or waits, for the end of a child without reaping it.
func waitExited(pid, options int) (bool, error) {
	for {
		var info unix.Siginfo // zero: WNOHANG leaves it alone where nothing ended
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && info.Signo != 0, err
		}
	}
}

// killAndReap kills the rest of the group while the leader's zombie still holds
// its number, and only then reaps.
func (c *child) killAndReap() (*os.ProcessState, error) {
	c.signalGroup(kill)
	return c.process.Wait()
}
