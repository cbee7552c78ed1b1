package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBackupIsWholeAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	for range 20 {
		save(t, s, Draft{Name: "n", Summary: "summary", Context: strings.Repeat("東京 context ", 1000)})
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	var last, total int64
	err := s.Backup(context.Background(), copied, func(done, of int64) {
		if done < last || done > of {
			t.Errorf("progress %d after %d, of %d", done, last, of)
		}
		last, total = done, of
	})
	if err != nil || last != total || total == 0 {
		t.Fatalf("%v, at last %d of %d", err, last, total)
	}
	kept(t, copied, 20)
	if mode := modeOf(t, copied); mode&0o077 != 0 {
		t.Errorf("mode %o", mode)
	}
	restored := open(t, copied, Options{})
	if found, err := restored.Search(context.Background(), "東京", "", 30); err != nil || len(found.Matches) != 20 {
		t.Errorf("search: %d, %v", len(found.Matches), err)
	}
	if problems, err := restored.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}

func TestBackupReplacesNothingAndLeavesNoParts(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	save(t, s, Draft{Summary: "s", Context: "c"})
	folder := t.TempDir()
	taken := filepath.Join(folder, "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(context.Background(), taken, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Backup(ended, filepath.Join(folder, "new"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Backup(context.Background(), filepath.Join(folder, "no", "folder"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 || entries[0].Name() != "taken" {
		t.Errorf("left: %v, %v", entries, err)
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}
