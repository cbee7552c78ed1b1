//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

var kills = flag.Int("kills", 10, "how often TestNoAcknowledgedSaveIsLostByAKill kills the server")

// flood starts a server and sends saves without waiting for their answers, until it is
// gone. It returns the answers, as they come, by what was saved.
func flood(t *testing.T, home string, run int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	r := begin(t, command(context.Background(), home, "--db", "a.db"))
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, err := io.WriteString(r.stdin, lines(initialize()))
		for i := 0; err == nil; i++ { // until the pipe breaks
			id := fmt.Sprintf("%d-%d", run, i)
			_, err = io.WriteString(r.stdin, lines(toolCall(id, "save_snapshot", object{"summary": id, "context": strings.Repeat("text ", 1+i%400)})))
		}
	}()
	t.Cleanup(func() { <-written })
	return r.Cmd, bufio.NewScanner(r.stdout)
}

// acknowledged returns what an answer says was saved: the snapshot's number and its
// summary, which is the id of the call; 0 for another answer.
func acknowledged(t *testing.T, line []byte) (number int64, summary string) {
	t.Helper()
	var message struct {
		ID     any
		Result struct{ Content []struct{ Text string } }
	}
	if err := json.Unmarshal(line, &message); err != nil {
		return 0, "" // cut off by the kill
	}
	if len(message.Result.Content) == 0 {
		return 0, ""
	}
	if _, err := fmt.Sscanf(message.Result.Content[0].Text, "Saved snapshot #%d", &number); err != nil {
		t.Errorf("answer %s", line)
	}
	return number, fmt.Sprint(message.ID)
}

func TestNoAcknowledgedSaveIsLostByAKill(t *testing.T) {
	home := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	saved := make(map[int64]string)
	for run := range *kills {
		cmd, answers := flood(t, home, run)
		// Some answers, and then a part of what comes next.
		for n := 1 + random.IntN(30); n > 0 && answers.Scan(); {
			if number, summary := acknowledged(t, answers.Bytes()); number > 0 {
				saved[number] = summary
				n--
			}
		}
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for answers.Scan() {
			if number, summary := acknowledged(t, answers.Bytes()); number > 0 {
				saved[number] = summary
			}
		}
		_ = cmd.Wait() // killed
	}
	if len(saved) < *kills {
		t.Fatalf("%d saves in %d runs", len(saved), *kills)
	}
	s, err := store.Open(context.Background(), filepath.Join(home, "a.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for number, summary := range saved {
		if found, err := s.Load(context.Background(), number); err != nil || found.Summary != summary {
			t.Errorf("#%d was acknowledged as %s and is %q, %v", number, summary, found.Summary, err)
		}
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
	t.Logf("%d kills, %d acknowledged saves", *kills, len(saved))
}

// limited is a command that may write no file larger than some blocks, of 512 bytes or
// of 1024, as the shell counts: what a full disk does, for one process.
func limited(home string, blocks int, args ...string) *exec.Cmd {
	cmd := command(context.Background(), home, args...)
	cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, blocks), binary}, args...)
	cmd.Path = "/bin/sh"
	return cmd
}

// has fails the test unless the file holds so many snapshots and is sound.
func has(t *testing.T, path string, snapshots int64) {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if usage, err := s.Usage(context.Background()); err != nil || usage.Snapshots != snapshots {
		t.Errorf("%d snapshots, want %d, %v", usage.Snapshots, snapshots, err)
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}

func TestNoRoomIsToldAndLosesNothing(t *testing.T) {
	home := t.TempDir()
	big := strings.Repeat("context ", 1<<18)
	save := func(id int, context string) object {
		return toolCall(id, "save_snapshot", object{"summary": "s", "context": context})
	}
	result := runCmd(t, limited(home, 1024, "--db", "a.db"), lines(initialize(), save(1, "small"), save(2, big), save(3, "small")))
	got := answers(t, result.stdout)
	if result.status != 0 || got["1"] != "Saved snapshot #1" || !strings.HasPrefix(got["3"], "Saved snapshot #") {
		t.Errorf("%+v", result)
	}
	if !strings.HasPrefix(got["2"], "Error: Database operation failed\n") || !strings.Contains(got["2"], "the disk is full: nothing was written") || !strings.HasSuffix(got["2"], "\nCode: database_error") {
		t.Errorf("the large one got %q", got["2"])
	}
	file := filepath.Join(home, "a.db")
	has(t, file, 2)

	line, err := json.Marshal(object{"summary": "s", "context": big, "created_at": "2026-01-01 00:00:00"})
	if err != nil {
		t.Fatal(err)
	}
	result = runCmd(t, limited(home, 1024, "import", "-", "--db", "a.db"), string(line))
	if result.status != 1 || !strings.Contains(result.stderr, "the disk is full: nothing was written") {
		t.Errorf("import: %+v", result)
	}
	if result := runCmd(t, limited(home, 64, "backup", "b.db", "--db", "a.db"), ""); result.status != 1 || !strings.Contains(result.stderr, "the disk is full") {
		t.Errorf("backup: %+v", result)
	}
	has(t, file, 2)
	runToEnd(t, home, nil, lines(initialize(), save(1, big)), "--db", "large.db")
	if result := runCmd(t, limited(home, 512, "export", "--output", "b.db.jsonl", "--db", "large.db"), ""); result.status != 1 || !strings.Contains(result.stderr, "write the export") {
		t.Errorf("export: %+v", result)
	}
	if result := runCmd(t, limited(home, 64, "restore", "large.db", "--db", "b.db"), ""); result.status != 1 || !strings.Contains(result.stderr, "the disk is full") {
		t.Errorf("restore: %+v", result)
	}
	if left, err := filepath.Glob(filepath.Join(home, "b.db*")); err != nil || len(left) > 0 {
		t.Errorf("left of backup, export and restore: %v, %v", left, err)
	}
}

// powerless makes a folder that a command may read and not write, with a file of one
// snapshot, and returns it and how to run such a command. Root may write everywhere, so
// that it becomes another user for this.
func powerless(t *testing.T) (folder string, run func(input string, args ...string) finished) {
	t.Helper()
	folder, err := os.MkdirTemp("", "snapshotd-read-only")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.Chmod(folder, 0o700), os.RemoveAll(folder)); err != nil {
			t.Error(err)
		}
	})
	runToEnd(t, folder, nil, lines(initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"})), "--db", "a.db")
	program := filepath.Join(folder, "snapshotd")
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(filepath.Join(folder, "a.db"), 0o444), os.Chmod(folder, 0o555)); err != nil {
		t.Fatal(err)
	}
	return folder, func(input string, args ...string) finished {
		cmd := command(context.Background(), folder, args...)
		cmd.Path = program
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		return runCmd(t, cmd, input)
	}
}

func TestReadOnlyFolderIsTold(t *testing.T) {
	_, run := powerless(t)
	for _, args := range [][]string{{"--db", "a.db"}, {"--db", "new.db"}, {"check", "--db", "a.db"}, {"import", "-", "--db", "a.db"}, {"prune", "--keep-count", "1", "--db", "a.db"}} {
		got := run("", args...)
		if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, "read-only") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	// What changes nothing works there, too.
	elsewhere, err := os.MkdirTemp("", "snapshotd-elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(elsewhere)
	if err := os.Chmod(elsewhere, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := run("", "backup", filepath.Join(elsewhere, "b.db"), "--db", "a.db"); got.status != 0 || got.stderr != "" {
		t.Errorf("backup: %+v", got)
	}
	has(t, filepath.Join(elsewhere, "b.db"), 1)
}
