//go:build unix

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// groupSignal is a signal for all members of a process group.
type groupSignal = syscall.Signal

const (
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
)

// child is the started process as the system sees it, with the gateway's ends of
// its pipes.
type child struct {
	pid                   int
	process               *os.Process
	exit                  exitWatch
	stdin, stdout, stderr *os.File
}

// spawn starts the process as the leader of a new group.
func spawn(l *launch) (*child, error) {
	pipes, err := newPipes()
	if err != nil {
		return nil, fmt.Errorf("making its pipes: %w", err)
	}
	attr := &os.ProcAttr{Dir: l.dir, Env: l.env, Files: pipes.theirs[:]}
	process, exit, err := startProcess(l.path, l.argv, attr)
	closeAll(pipes.theirs[:])
	if err != nil {
		closeAll(pipes.ours[:])
		return nil, explainStart(l.path, err)
	}
	return &child{
		pid:     process.Pid,
		process: process,
		exit:    exit,
		stdin:   pipes.ours[0],
		stdout:  pipes.ours[1],
		stderr:  pipes.ours[2],
	}, nil
}

// pipes are stdin, stdout and stderr, our end and the child's. Both are closed
// on exec; the child gets copies that are not. Ours does not block.
type pipes struct{ ours, theirs [3]*os.File }

func newPipes() (*pipes, error) {
	var p pipes
	for i := range p.ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(p.ours[:i])
			closeAll(p.theirs[:i])
			return nil, err
		}
		p.ours[i], p.theirs[i] = r, w
		if i == 0 {
			p.ours[i], p.theirs[i] = w, r
		}
	}
	return &p, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// explainStart says in plain words what execve's errors mean here.
func explainStart(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, statErr := os.Stat(path); statErr == nil {
			return fmt.Errorf("%s is there, but its interpreter (the #! line) or loader is not: %w", path, syscall.ENOENT)
		}
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s is not a program for this system and has no #! line: %w", path, syscall.ENOEXEC)
	}
	return err
}

// mayEnter says whether the gateway, and so the child, may work in a folder.
func mayEnter(dir string) error { return unix.Access(dir, unix.X_OK) }

// writeNow is write(2) on a non-blocking descriptor.
func writeNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// signalGroup sends a signal to the group. That it is gone or forbidden (a
// member that changed its user) leaves nothing to do.
func (c *child) signalGroup(sig groupSignal) { _ = syscall.Kill(-c.pid, sig) }

// awaitGroupEnd waits a moment for the killed members of a group to vanish. It
// sends nothing, so a number taken anew does no harm. Orphans whose new parent
// does not reap them stay for ever as zombies, hence the bound.
func awaitGroupEnd(pgid int) {
	for wait := time.Millisecond; wait < 100*time.Millisecond; wait *= 2 {
		if syscall.Kill(-pgid, 0) != nil {
			return
		}
		time.Sleep(wait)
	}
}

// readNow is read(2) on a non-blocking descriptor.
func readNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// expireOutput makes readers wait no longer than d.
func (c *child) expireOutput(d time.Duration) {
	deadline := time.Now().Add(d)
	for _, f := range []*os.File{c.stdout, c.stderr} {
		// A pipe without deadlines does not exist on these systems; closing is the
		// answer all the same.
		if f.SetReadDeadline(deadline) != nil {
			f.Close()
		}
	}
}

// close gives back the descriptors. Those closed already are no fault.
func (c *child) close() {
	closeAll([]*os.File{c.stdin, c.stdout, c.stderr})
	c.exit.close()
}
