//go:build unix && !linux

package process

import (
	"os"
	"syscall"
)

// exitWatch keeps the outcome: these systems give no way in the standard library
// to see an exit without reaping.
type exitWatch struct {
	state *os.ProcessState
	err   error
}

func (exitWatch) close() {}

// startProcess starts a process that leads its own group. These systems have no
// parent-death signal.
func startProcess(path string, argv []string, attr *os.ProcAttr) (*os.Process, exitWatch, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	process, err := os.StartProcess(path, argv, attr)
	return process, exitWatch{}, err
}

// awaitExit returns when the leader has ended and is reaped.
func (c *child) awaitExit() error {
	c.exit.state, c.exit.err = c.process.Wait()
	return nil
}

// killAndReap kills the rest of the group. While it has members its number is
// not used again; if it has none, the number has been free for a moment only.
func (c *child) killAndReap() (*os.ProcessState, error) {
	c.signalGroup(kill)
	return c.exit.state, c.exit.err
}
