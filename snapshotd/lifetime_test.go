package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEndOfInputAtOnceLosesNoAnswer(t *testing.T) {
	const n = 300
	messages := []any{initialize(), object{"jsonrpc": "2.0", "method": "notifications/initialized"}}
	for i := range n {
		messages = append(messages, toolCall(2*i, "save_snapshot", object{"summary": fmt.Sprint(i), "context": "c"}),
			toolCall(2*i+1, "load_snapshot", object{}))
	}
	home := t.TempDir()
	result := runToEnd(t, home, nil, lines(messages...), "--db", "a.db")
	if result.status != 0 || result.stderr != "" {
		t.Errorf("status %d, stderr %q", result.status, result.stderr)
	}
	got := answers(t, result.stdout)
	if len(got) != 2*n+1 {
		t.Errorf("%d answers", len(got))
	}
	for i := range n {
		if got[fmt.Sprint(2*i)] != fmt.Sprintf("Saved snapshot #%d", i+1) {
			t.Errorf("save %d: %q", i, got[fmt.Sprint(2*i)])
		}
		// A load that was written after a save sees it: calls keep their order.
		if got[fmt.Sprint(2*i+1)] != fmt.Sprintf("Resuming: %d\n\nContext:\nc", i) {
			t.Errorf("load %d: %q", i, got[fmt.Sprint(2*i+1)])
		}
	}
	if _, err := os.Stat(filepath.Join(home, "a.db-wal")); !os.IsNotExist(err) {
		t.Errorf("the log was not folded into the file: %v", err)
	}
}

func TestModernCallsAtTheEndOfInput(t *testing.T) {
	meta := object{"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": object{}}
	result := runToEnd(t, t.TempDir(), nil, lines(
		object{"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": object{"_meta": meta}},
		object{"jsonrpc": "2.0", "id": 2, "method": "subscriptions/listen", "params": object{"_meta": meta, "notifications": object{"toolsListChanged": true}}},
		object{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": object{"_meta": meta, "name": "list_snapshots"}},
	), "--db", "a.db")
	if result.status != 0 || strings.Contains(result.stdout, `"error"`) {
		t.Errorf("status %d, stdout %s", result.status, result.stdout)
	}
	for _, want := range []string{`"id":1,"result":{"resultType":"complete"`, `"id":2,"result":{`, `No snapshots found.`, "notifications/subscriptions/acknowledged"} {
		if !strings.Contains(result.stdout, want) {
			t.Errorf("no %s in %s", want, result.stdout)
		}
	}
}

func TestNoInputIsNoError(t *testing.T) {
	if result := runToEnd(t, t.TempDir(), nil, "", "--db", "a.db"); result.status != 0 || result.stdout != "" || result.stderr != "" {
		t.Errorf("got %+v", result)
	}
}

// running is a process whose input stays open.
type running struct {
	*exec.Cmd
	stdin  io.WriteCloser
	pipe   io.Closer // the end that stdout reads from
	stdout *bufio.Reader
}

func start(t *testing.T, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r := begin(t, command(ctx, t.TempDir(), args...))
	t.Cleanup(func() {
		cancel()
		r.stdin.Close()
	})
	return r
}

// begin starts a command, which the test ends.
func begin(t *testing.T, cmd *exec.Cmd) running {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return running{cmd, stdin, stdout, bufio.NewReader(stdout)}
}

func (r running) say(t *testing.T, messages ...any) {
	t.Helper()
	if _, err := io.WriteString(r.stdin, lines(messages...)); err != nil {
		t.Fatal(err)
	}
}

func (r running) hear(t *testing.T) string {
	t.Helper()
	line, err := r.stdout.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestSignalsEndItCleanly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM")
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		r := start(t, "--db", "a.db")
		r.say(t, initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}))
		r.hear(t)
		if got := r.hear(t); !strings.Contains(got, "Saved snapshot #1") {
			t.Errorf("heard %s", got)
		}
		begun := time.Now()
		if err := r.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := r.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
		// It would wait for calls in flight for 30 seconds, and there are none.
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("%v: took %v", signal, took)
		}
		if _, err := os.Stat(filepath.Join(r.Dir, "a.db-wal")); !os.IsNotExist(err) {
			t.Errorf("%v: the log was not folded into the file: %v", signal, err)
		}
	}
}

func TestSignalEndsItThoughNoOneReads(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM")
	}
	r := start(t, "--db", "a.db")
	r.say(t, initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": strings.Repeat("x", 1<<20)}))
	r.hear(t)
	r.hear(t)
	r.say(t, toolCall(2, "load_snapshot", nil)) // more than a pipe holds, and not read
	time.Sleep(100 * time.Millisecond)
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := r.Process.Wait()
	if err != nil || state.ExitCode() != 0 {
		t.Errorf("%v, %v", state, err)
	}
}

func TestClientThatHangsUpIsNoCrash(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows pipes break otherwise")
	}
	r := start(t, "--db", "a.db")
	r.say(t, initialize())
	r.hear(t)
	if err := r.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	r.say(t, toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}))
	r.stdin.Close()
	state, err := r.Process.Wait()
	if err != nil || !state.Exited() {
		t.Errorf("ended by a signal: %v, %v", state, err)
	}
}

func TestBrokenLinesDoNotEndTheSession(t *testing.T) {
	result := runToEnd(t, t.TempDir(), nil, "garbage\n"+lines(initialize())+"[]\n{\"jsonrpc\":\"2.0\"}\n\n"+
		lines(toolCall(1, "list_snapshots", nil)), "--db", "a.db")
	if result.status != 0 || !strings.Contains(result.stdout, "No snapshots found.") || strings.Count(result.stdout, `"id":null`) != 3 {
		t.Errorf("got %+v", result)
	}
}

// BenchmarkStart is the time from starting the process to its first answer, and the
// memory it then holds.
func BenchmarkStart(b *testing.B) {
	home := b.TempDir()
	hello := lines(initialize())
	var resident int
	for b.Loop() {
		cmd := command(context.Background(), home, "--db", "a.db")
		stdin, _ := cmd.StdinPipe()
		stdout, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(stdin, hello); err != nil {
			b.Fatal(err)
		}
		if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		resident = max(resident, residentKiB(cmd.Process.Pid))
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(resident), "KiB-resident")
}

// residentKiB is 0 where there is no /proc.
func residentKiB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var n int
	fmt.Sscan(rest, &n)
	return n
}

// BenchmarkSaveOverStdio and BenchmarkLoadOverStdio are whole calls by go-sdk's
// client.
func BenchmarkSaveOverStdio(b *testing.B) {
	session := connect(b, "", b.TempDir(), "--db", "a.db")
	for b.Loop() {
		call(b, session, nil, "save_snapshot", object{"summary": "s", "context": strings.Repeat("context ", 512)})
	}
}

func BenchmarkLoadOverStdio(b *testing.B) {
	session := connect(b, "", b.TempDir(), "--db", "a.db")
	call(b, session, nil, "save_snapshot", object{"summary": "s", "context": strings.Repeat("context ", 512)})
	for b.Loop() {
		call(b, session, nil, "load_snapshot", nil)
	}
}
