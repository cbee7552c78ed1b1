package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func init() { children["restore"] = restoreAndExit }

// restoreAndExit restores <path>.backup.
func restoreAndExit(path string) error {
	_, err := Restore(context.Background(), path+".backup", path, Restoration{})
	return err
}

// TestAKilledRestoreLeavesAllOfTheOldOrAllOfTheNew kills restores at every stage, each a
// little later, while a server has the file open, until one comes to its end.
func TestAKilledRestoreLeavesAllOfTheOldOrAllOfTheNew(t *testing.T) {
	for size := 100; ; size *= 2 { // restores of which the first is over too soon are made longer
		if killed := killRestores(t, size, size+30); killed > 0 {
			t.Logf("%d killed", killed)
			return
		}
	}
}

// killRestores puts a file with as many new snapshots in the place of one with as many old
// ones, and returns how many attempts were killed.
func killRestores(t *testing.T, olds, news int) (killed int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	fillWith(t, path, "old", olds)
	fillWith(t, path+".backup", "new", news)
	server := open(t, path, Options{})
	for wait := 2 * time.Millisecond; ; wait = wait * 3 / 2 {
		restore := child("restore", path)
		if err := restore.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() { _ = restore.Process.Kill() }) // it may have ended
		err := restore.Wait()
		timer.Stop()
		newest, failed := server.LoadNewest(context.Background())
		if failed != nil {
			t.Fatal(failed)
		}
		usage, failed := server.Usage(context.Background())
		if failed != nil {
			t.Fatal(failed)
		}
		if want := map[string]int{"old": olds, "new": news}[newest.Summary]; usage.Snapshots != int64(want) {
			t.Errorf("after %v: %d snapshots, the newest %q", wait, usage.Snapshots, newest.Summary)
		}
		if problems, err := server.Check(context.Background()); err != nil || problems != nil {
			t.Fatalf("after %v: %v, %v", wait, problems, err)
		}
		if err == nil {
			break
		}
		killed++
	}
	kept(t, path, news)
	kept(t, path+".replaced.bak", olds) // those behind it are of restores after one that was killed at its very end
	// What a killed one leaves is its unfinished copies, and they are in nobody's way.
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		name := strings.TrimPrefix(entry.Name(), "a.db")
		if !strings.HasPrefix(name, ".") && name != "" && name != "-wal" && name != "-shm" {
			t.Errorf("left: %s", entry.Name())
		}
	}
	return killed
}

// fillWith makes a file with n snapshots of one summary.
func fillWith(t *testing.T, path, summary string, n int) {
	t.Helper()
	s := open(t, path, Options{})
	batch := make([]Snapshot, n)
	for i := range batch {
		batch[i] = Snapshot{Draft: Draft{Summary: summary, Context: strings.Repeat("some words ", 500)}, Saved: Saved{CreatedAt: "2025-10-26 12:00:00"}}
		batch[i].Context += fmt.Sprint(i)
	}
	if _, err := s.Import(context.Background(), batch, Skip); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
