package integration_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// endWithTests lets a process end with the tests, even if they panic or run out of time.
// The signal comes with the end of the thread that starts the process; Go keeps its
// threads.
func endWithTests(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// countsProcesses says nothing here: this system can.
func countsProcesses(testing.TB) {}

// markName is the variable by which processes of a gateway are known wherever they end up
// in the tree of processes.
const markName = "INTEGRATION_MARK"

// processes are the ids of all living processes that the gateway, or one of its
// processes, has started, orphans among them.
func (g *gateway) processes(t testing.TB) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environ, []byte(markName+"="+g.mark)) {
			continue // ended meanwhile, or another user's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, pid)
	}
	return found
}

// listeners is how many sockets wait for connections at the gateway's port. In the tables of
// proc(5) the local address ends with the port in hexadecimal, and 0A means listening.
func (g *gateway) listeners(t testing.TB) int {
	t.Helper()
	n, port := 0, fmt.Sprintf(":%04X", g.port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // a system without IPv6
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 3 && strings.HasSuffix(fields[1], port) && fields[3] == "0A" {
				n++
			}
		}
	}
	return n
}

// zombies are the ids of children of the gateway that it has not waited for.
func (g *gateway) zombies(t testing.TB) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// pid (name) state ppid: the name may hold anything, a bracket too.
		_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')'):]), " ")
		var state string
		var parent int
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil {
			t.Fatal(err)
		}
		if state == "Z" && parent == g.cmd.Process.Pid {
			pid, _, _ := strings.Cut(string(stat), " ")
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, n)
		}
	}
	return found
}

// threads is how many threads the gateway has.
func (g *gateway) threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// files is how many file descriptors the gateway has open.
func (g *gateway) files(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// alive says whether there is such a process that is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
