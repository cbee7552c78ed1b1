package process

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestThousandsOfStartsLeaveNothing counts what a leak would add to: descriptors
// and children of this process, goroutines, threads, temporary folders.
func TestThousandsOfStartsLeaveNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	runMany(t, 50) // the starter, the poller and the threads are there from now on
	before := footprint(t)
	runMany(t, 2000)
	var after counts
	if !eventually(patience, func() bool {
		after = footprint(t)
		return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines && after.children <= before.children
	}) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	// Threads come with system calls that take long, so a busy machine has a few more.
	if after.threads > before.threads+100 {
		t.Errorf("%d threads became %d", before.threads, after.threads)
	}
	expectEmptyDir(t, temp)
	expectNoGoroutines(t)
}

// runMany starts and ends n processes in each of the ways there are.
func runMany(t *testing.T, n int) {
	t.Helper()
	var all sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			command := "cat"
			if i%4 == 3 {
				command = "true"
			}
			p, err := Start(Config{Command: command})
			if err != nil {
				t.Error(err)
				return
			}
			_ = p.Send([]byte(`{"n":1}`)) // fails where "true" has ended already
			switch i % 4 {
			case 0, 1:
				p.Stop("test")
			case 2:
				p.Kill(nil)
			}
			select {
			case <-p.Done():
			case <-time.After(patience):
				t.Errorf("process %d does not end", p.PID())
			}
		})
	}
	all.Wait()
}

type counts struct{ descriptors, goroutines, children, threads int }

func footprint(t *testing.T) counts {
	t.Helper()
	return counts{
		descriptors: entries(t, "/proc/self/fd"),
		goroutines:  runtime.NumGoroutine(),
		children:    len(children(t)),
		threads:     entries(t, "/proc/self/task"),
	}
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// children lists the processes, zombies too, whose parent is this one.
func children(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	self := strconv.Itoa(os.Getpid())
	var found []string
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if fields[1] == self {
			found = append(found, string(stat))
		}
	}
	return found
}

func TestFailedStartsLeaveNothing(t *testing.T) {
	temp, files := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	garbage := filepath.Join(files, "garbage")
	if err := os.WriteFile(garbage, []byte{0, 1, 2}, 0o700); err != nil {
		t.Fatal(err)
	}
	fail := func(n int) {
		for range n {
			if _, err := Start(Config{Command: garbage}); err == nil {
				t.Fatal("garbage was started")
			}
		}
	}
	fail(5)
	before := footprint(t)
	fail(200)
	var after counts
	if !eventually(patience, func() bool {
		after = footprint(t)
		return after.descriptors <= before.descriptors && after.goroutines <= before.goroutines && after.children <= before.children
	}) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	expectEmptyDir(t, temp)
}

// TestChildInheritsNoDescriptor asks while another child's pipes are open, and a
// descriptor without the close-on-exec mark, as a parent of the gateway may leave.
func TestChildInheritsNoDescriptor(t *testing.T) {
	play(t, "echo")
	unmarked, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(unmarked)
	r := play(t, "describe")
	var d description
	if err := json.Unmarshal([]byte(r.line()), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Descriptors) != 3 {
		t.Errorf("descriptors of the child: %q", d.Descriptors)
	}
}

// TestChildDiesWithItsGateway kills a process that uses this package, whose child
// ignores end of input and SIGTERM. By then that process has ended every thread it
// could, so the test fails as well if the parent-death signal hangs on one of
// those: then the child is dead too early.
func TestChildDiesWithItsGateway(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // the folder of the killed gateway's child stays
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=gateway")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is dead already unless the test failed
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ PID int }
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // a child bound to the dead thread would die now
	if !alive(said.PID) {
		t.Fatal("the child died before its gateway")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	expectDead(t, said.PID)
}

// TestExitIsSeenWithoutAPidfd covers kernels that have none.
func TestExitIsSeenWithoutAPidfd(t *testing.T) {
	process, exit, err := startProcess("/bin/sh", []string{"sh", "-c", "exit 7"}, &os.ProcAttr{Env: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	exit.close()
	c := &child{pid: process.Pid, process: process}
	if err := c.awaitExit(); err != nil {
		t.Fatal(err)
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid)); err != nil || !strings.Contains(string(stat), ") Z ") {
		t.Errorf("the leader is no zombie before it is reaped: %s, %v", stat, err)
	}
	state, err := c.killAndReap()
	if err != nil || state.ExitCode() != 7 {
		t.Errorf("%v, %v", state, err)
	}
}

// TestWaitingForChildrenCostsNoThread holds that exits are awaited in the poller.
func TestWaitingForChildrenCostsNoThread(t *testing.T) {
	probe := play(t, "echo")
	if probe.child.exit.pidfd == nil {
		t.Log("this kernel gives no pidfd; a thread waits for each child")
		return
	}
	before := entries(t, "/proc/self/task")
	const many = 60
	for range many {
		play(t, "sleep", sleeping)
	}
	if after := entries(t, "/proc/self/task"); after > before+many/2 {
		t.Errorf("%d threads became %d with %d children", before, after, many)
	}
}
