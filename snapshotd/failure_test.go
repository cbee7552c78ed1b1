package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// saved makes a file with some snapshots and returns its folder.
func saved(t *testing.T, n int) string {
	t.Helper()
	home := t.TempDir()
	messages := []any{initialize()}
	for i := range n {
		messages = append(messages, toolCall(i, "save_snapshot", object{"summary": fmt.Sprint("s", i), "context": "c"}))
	}
	if got := runToEnd(t, home, nil, lines(messages...), "--db", "a.db"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	return home
}

func TestADamagedFileIsToldAndRestored(t *testing.T) {
	home := saved(t, 3)
	if got := runToEnd(t, home, nil, "", "backup", "b.db", "--db", "a.db"); got.status != 0 {
		t.Fatalf("backup: %+v", got)
	}
	damaged := strings.Repeat("this is no database. ", 500)
	if err := os.WriteFile(filepath.Join(home, "a.db"), []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		status int
	}{
		{[]string{"--db", "a.db"}, 1}, {[]string{"export", "--db", "a.db"}, 1}, {[]string{"backup", "c.db", "--db", "a.db"}, 1}, {[]string{"check", "--db", "a.db"}, 3},
	} {
		got := runToEnd(t, home, nil, "", test.args...)
		if got.status != test.status || !strings.Contains(got.stdout+got.stderr, "the database is damaged or is not a database: restore a backup") {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
	if text, err := os.ReadFile(filepath.Join(home, "a.db")); err != nil || string(text) != damaged {
		t.Errorf("the file was changed: %.20q, %v", text, err)
	}
	if got := runToEnd(t, home, nil, "", "restore", "b.db", "--db", "a.db"); got.status != 0 || !strings.Contains(got.stdout, "Restored 3 snapshots") {
		t.Errorf("restore: %+v", got)
	}
	got := answers(t, runToEnd(t, home, nil, lines(initialize(), toolCall(1, "load_snapshot", nil)), "--db", "a.db").stdout)
	if got["1"] != "Resuming: s2\n\nContext:\nc" {
		t.Errorf("loaded %q", got["1"])
	}
}

// makeNewer makes a file one that a later release has written.
func makeNewer(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 77"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOfANewerSnapshotdIsLeftAlone(t *testing.T) {
	home := saved(t, 1)
	path := filepath.Join(home, "a.db")
	makeNewer(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--db", "a.db"}, {"check", "--db", "a.db"}, {"prune", "--keep-count", "1", "--db", "a.db"}, {"restore", "a.db", "--db", "b.db"}} {
		if got := runToEnd(t, home, nil, "", args...); got.status != 1 || !strings.Contains(got.stderr, "the database was written by a newer snapshotd") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	// A copy needs no knowledge of what is in it.
	if got := runToEnd(t, home, nil, "", "backup", "c.db", "--db", "a.db"); got.status != 0 {
		t.Errorf("backup: %+v", got)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed, %v", err)
	}
}

func TestALockedFileIsToldAndReadMeanwhile(t *testing.T) {
	t.Parallel() // it waits as long as a save has patience
	home := saved(t, 1)
	path := filepath.Join(home, "a.db")
	session := connect(t, "", home, "--db", "a.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	locking, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer locking.Close()
	if _, err := locking.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if got := call(t, session, nil, "load_snapshot", nil); got != "Resuming: s0\n\nContext:\nc" {
		t.Errorf("loaded %q", got)
	}
	var group sync.WaitGroup
	group.Go(func() {
		got := runToEnd(t, home, nil, `{"summary":"s","context":"c","created_at":"2026-01-01 00:00:00"}`, "import", "-", "--db", "a.db")
		if got.status != 1 || !strings.Contains(got.stderr, "the database is locked by another process: nothing was written") {
			t.Errorf("import: %+v", got)
		}
	})
	group.Go(func() {
		got := runToEnd(t, home, nil, lines(initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"})), "--db", "a.db")
		if answer := answers(t, got.stdout)["1"]; answer != "Error: Database operation failed\nDetails: the database is locked by another process: nothing was written, try again\nCode: database_error" {
			t.Errorf("save: %q, %+v", answer, got)
		}
	})
	group.Wait()
	if _, err := locking.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if got := call(t, session, nil, "save_snapshot", object{"summary": "s", "context": "c"}); got != "Saved snapshot #2" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestCommandsWorkBesideServers(t *testing.T) {
	home := saved(t, 1)
	var group sync.WaitGroup
	const saves = 60
	for range 2 {
		session := connect(t, "", home, "--db", "a.db")
		group.Go(func() {
			for range saves {
				if got := call(t, session, nil, "save_snapshot", object{"name": "n", "summary": "s", "context": "c"}); !strings.HasPrefix(got, "Saved snapshot #") {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	for i := range 3 {
		for _, args := range [][]string{
			{"backup", fmt.Sprintf("b%d.db", i)}, {"check"}, {"export"}, {"users"}, {"prune", "--keep-days", "1"},
		} {
			if got := runToEnd(t, home, nil, "", append(args, "--db", "a.db")...); got.status != 0 || got.stderr != "" {
				t.Errorf("%v: %+v", args, got)
			}
		}
	}
	group.Wait()
	s, err := store.Open(context.Background(), filepath.Join(home, "a.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if usage, err := s.Usage(context.Background()); err != nil || usage.Snapshots != 2*saves+1 {
		t.Errorf("%+v, %v", usage, err)
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}
