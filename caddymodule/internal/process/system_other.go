//go:build !unix

package process

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
)

// Without process groups no promise of this package can be kept, so nothing is
// started. What follows lets the rest compile.

type groupSignal int

const (
	terminate groupSignal = iota
	kill
)

type child struct {
	pid                   int
	stdin, stdout, stderr *os.File
}

func spawn(*launch) (*child, error) {
	return nil, errors.New("the stdio transport of the gateway needs a Unix system, this is " + runtime.GOOS)
}

func mayEnter(string) error { return nil }

func writeNow(fd uintptr, b []byte) (int, error) { return syscall.Write(syscall.Handle(fd), b) }

func readNow(fd uintptr, b []byte) (int, error) { return syscall.Read(syscall.Handle(fd), b) }

func awaitGroupEnd(int) {}

func (c *child) awaitExit() error                       { return nil }
func (c *child) signalGroup(groupSignal)                {}
func (c *child) killAndReap() (*os.ProcessState, error) { return nil, nil }
func (c *child) expireOutput(time.Duration)             {}
func (c *child) close()                                 {}
