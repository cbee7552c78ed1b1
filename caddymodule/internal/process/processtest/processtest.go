// Package processtest holds that tests which start processes leave nothing behind.
package processtest

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// Run runs the tests and returns the status to exit with, which is that of a failure if they
// left goroutines or descriptors behind. One goroutine, which starts all children, lives as
// long as the program, and so do the few descriptors of the runtime's poller.
func Run(m *testing.M) int {
	const poller = 3
	goroutines, files := runtime.NumGoroutine(), openFiles()
	if status := m.Run(); status != 0 {
		return status
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > goroutines+1 || openFiles() > files+poller {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "left behind: %d goroutines (%d before), %d descriptors (%d before)\n%s\n",
				runtime.NumGoroutine(), goroutines, openFiles(), files, buf[:runtime.Stack(buf, true)])
			return 1
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}

// openFiles counts descriptors, on systems that tell.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
