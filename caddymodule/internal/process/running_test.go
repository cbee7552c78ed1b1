//go:build unix

package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of the tests; none should come near it.
const patience = time.Minute

// playing counts the children of the test that runs.
var playing atomic.Int32

// running is a child under test with all that came of it.
type running struct {
	*Process
	t     *testing.T
	lines chan string
	exit  chan error
	log   *logBuffer
}

// logBuffer is a log as text that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// promptExit keeps the race detector from holding up the end of a child by its
// usual second.
const promptExit = "GORACE=atexit_sleep_ms=0"

// play starts the test binary in a role. At the end of the test the process is
// killed, and no goroutine of it may remain.
func play(t *testing.T, role string, change ...func(*Config)) *running {
	t.Helper()
	r := &running{t: t, lines: make(chan string, 100_000), exit: make(chan error, 1), log: &logBuffer{}}
	cfg := Config{
		Command:     os.Args[0],
		Env:         []string{roleVar + "=" + role, promptExit},
		StopTimeout: patience,
		Logger:      slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnLine:      func(line []byte) { r.lines <- string(line) },
		OnExit:      func(err error) { r.exit <- err },
	}
	for _, c := range change {
		c(&cfg)
	}
	p, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Process = p
	playing.Add(1)
	t.Cleanup(func() {
		p.Kill(nil)
		r.wait()
		if playing.Add(-1) == 0 {
			expectNoGoroutines(t)
		}
		if t.Failed() {
			t.Logf("log:\n%.4000s", r.log)
		}
	})
	return r
}

func stopTimeout(d time.Duration) func(*Config) {
	return func(c *Config) { c.StopTimeout = d }
}

// line returns the next line of the child.
func (r *running) line() string {
	r.t.Helper()
	select {
	case line := <-r.lines:
		return line
	case <-time.After(patience):
		r.t.Fatal("the child said nothing")
		return ""
	}
}

// expect reads the next line and compares.
func (r *running) expect(want string) {
	r.t.Helper()
	if got := r.line(); got != want {
		r.t.Fatalf("line %q, want %q", got, want)
	}
}

// pid reads a line {"pid":n}.
func (r *running) pid() int {
	r.t.Helper()
	return parsePID(r.t, r.line())
}

func parsePID(t *testing.T, line string) int {
	t.Helper()
	var v struct{ PID int }
	if err := json.Unmarshal([]byte(line), &v); err != nil || v.PID == 0 {
		t.Fatalf("no pid in %q: %v", line, err)
	}
	return v.PID
}

func (r *running) send(frame string) {
	r.t.Helper()
	if err := r.Send([]byte(frame)); err != nil {
		r.t.Fatal(err)
	}
}

// wait waits for the end and returns what Err says.
func (r *running) wait() error {
	r.t.Helper()
	select {
	case <-r.Done():
		return r.Err()
	case <-time.After(patience):
		r.t.Fatal("the process does not end")
		return nil
	}
}

// alive says whether a process exists and is no zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

// expectDead allows a killed process the moment that dying takes.
func expectDead(t *testing.T, pid int) {
	t.Helper()
	if !eventually(patience, func() bool { return !alive(pid) }) {
		t.Errorf("process %d is still alive after %v", pid, patience)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func eventually(within time.Duration, ok func() bool) bool {
	for end := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// expectNoGoroutines fails if a goroutine of any process is left.
func expectNoGoroutines(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	if !eventually(patience, func() bool {
		stacks := string(buf[:runtime.Stack(buf, true)])
		return !strings.Contains(stacks, "process.(*Process).") && !strings.Contains(stacks, "process.(*input).")
	}) {
		t.Errorf("goroutines left behind:\n%s", buf[:runtime.Stack(buf, true)])
	}
}
