package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func backupOf(t *testing.T, summaries ...string) string {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "source.db"), Options{})
	for _, summary := range summaries {
		save(t, s, Draft{Summary: summary, Context: "context"})
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(context.Background(), path, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRestoreIntoALiveFile(t *testing.T) {
	backup := backupOf(t, "old 1", "old 2", "old 3")
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	for i := range 5 {
		save(t, s, Draft{Summary: fmt.Sprint("new ", i), Context: strings.Repeat("c", 20000)})
	}
	var done, total int64
	got, err := Restore(context.Background(), backup, path, Restoration{Progress: func(d, of int64) { done, total = d, of }})
	if err != nil || got.Snapshots != 3 || got.Aside == "" || done != total || total == 0 {
		t.Fatalf("%+v, %v, at last %d of %d", got, err, done, total)
	}
	kept(t, got.Aside, 5)
	kept(t, path, 3)
	// The open store goes on with what is there now.
	if newest, err := s.LoadNewest(context.Background()); err != nil || newest.Summary != "old 3" {
		t.Errorf("newest %q, %v", newest.Summary, err)
	}
	save(t, s, Draft{Summary: "after", Context: "c"})
	if found, err := s.Search(context.Background(), "after", "", 10); err != nil || len(found.Matches) != 1 {
		t.Errorf("search: %v, %v", found, err)
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}

func TestNothingThatIsSavedDuringARestoreIsLost(t *testing.T) {
	backup := backupOf(t, "old")
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	saved := make(chan struct{}, 1)
	stop := make(chan struct{})
	var acknowledged []string
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			draft := Draft{Name: fmt.Sprint("n", i), Summary: "s", Context: "c"}
			if _, err := s.Save(context.Background(), draft); err != nil {
				t.Errorf("save %d: %v", i, err)
				return
			}
			acknowledged = append(acknowledged, draft.Name)
			select {
			case saved <- struct{}{}:
			default:
			}
		}
	})
	<-saved
	got, err := Restore(context.Background(), backup, path, Restoration{})
	close(stop)
	group.Wait()
	if err != nil {
		t.Fatal(err)
	}
	places := []*SQLite{open(t, got.Aside, Options{}), s}
	for _, name := range acknowledged {
		found := 0
		for _, place := range places {
			if _, err := place.LoadNamed(context.Background(), name); err == nil {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s is in %d of the file and the copy that was put aside", name, found)
		}
	}
}

func TestRestoreOfAnEarlierSchemaOrPageSize(t *testing.T) {
	source := fixture(t, "PRAGMA page_size = 8192; VACUUM;"+firstSchema+firstRows)
	path := filepath.Join(t.TempDir(), "new", "a.db")
	got, err := Restore(context.Background(), source, path, Restoration{})
	if err != nil || got.Snapshots != 3 || got.Aside != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	// And over a file that is there, with pages of another size.
	other := filepath.Join(t.TempDir(), "b.db")
	s := open(t, other, Options{})
	if _, err := Restore(context.Background(), source, other, Restoration{}); err != nil {
		t.Fatal(err)
	}
	if newest, err := s.LoadNewest(context.Background()); err != nil || newest.Summary != "second" {
		t.Errorf("%+v, %v", newest, err)
	}
	if version := query[int](t, source, "PRAGMA user_version"); version != 0 {
		t.Errorf("the source was migrated to %d", version)
	}
}

func TestRestoreReplacesADamagedFile(t *testing.T) {
	backup := backupOf(t, "old")
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Restore(context.Background(), backup, path, Restoration{})
	if err != nil || got.Aside == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	kept(t, path, 1)
	if text, err := os.ReadFile(got.Aside); err != nil || !strings.HasPrefix(string(text), "no database") {
		t.Errorf("aside: %.20q, %v", text, err)
	}
}

func TestRestoreOverAFileWithDamagedPages(t *testing.T) {
	backup := backupOf(t, "old")
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		save(t, s, Draft{Summary: "s", Context: strings.Repeat("c", 20000)})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	damage(t, path, 1<<16, int(info.Size())-1<<16)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Restore(context.Background(), backup, path, Restoration{})
	if err != nil || got.Snapshots != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	kept(t, path, 1)
	// SQLite can make no copy of it, so it is copied as it was.
	if aside, err := os.ReadFile(got.Aside); err != nil || len(aside) != len(before) || string(aside[1<<16:]) != string(before[1<<16:]) {
		t.Errorf("aside: %d bytes of %d, %v", len(aside), len(before), err)
	}
}

func TestRestoreIntoAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	got, err := Restore(context.Background(), backupOf(t, "old"), path, Restoration{Vacant: true})
	if err != nil || got.Snapshots != 1 || got.Aside != "" || modeOf(t, path) != 0o640 {
		t.Fatalf("%+v, %v, mode %o", got, err, modeOf(t, path))
	}
}

func TestWhatCannotBeRestoredChangesNothing(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.db")
	alice, bob := Owner{User: "a", Issuer: "i", Subject: "alice"}, Owner{User: "b", Issuer: "i", Subject: "bob"}
	s := open(t, path, Options{Owner: &alice})
	save(t, s, Draft{Summary: "s", Context: "c"})
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("x", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer.db")
	exec(t, newer, "CREATE TABLE snapshots (id); PRAGMA user_version = 77")
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	exec(t, foreign, "CREATE TABLE t (id)")
	of := filepath.Join(t.TempDir(), "bob.db")
	save(t, open(t, of, Options{Owner: &bob}), Draft{Summary: "of bob", Context: "c"})
	for _, test := range []struct {
		from string
		how  Restoration
		want error
	}{
		{garbage, Restoration{}, ErrCorrupt},
		{newer, Restoration{}, ErrNewer},
		{foreign, Restoration{}, ErrForeign},
		{filepath.Join(folder, "none"), Restoration{}, os.ErrNotExist},
		{of, Restoration{}, ErrOwner},
		{backupOf(t, "x"), Restoration{Owner: &bob}, ErrOwner},
		{backupOf(t, "x"), Restoration{Owner: new(Owner)}, ErrOwner},
		{backupOf(t, "x"), Restoration{Vacant: true}, os.ErrExist},
		{path, Restoration{}, ErrInvalid},
	} {
		if _, err := Restore(context.Background(), test.from, path, test.how); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", filepath.Base(test.from), err, test.want)
		}
	}
	kept(t, path, 1)
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(left) != 3 { // with the log
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestRestoreKeepsAndGivesOwners(t *testing.T) {
	alice := Owner{User: "a", Issuer: "i", Subject: "alice"}
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path, Options{Owner: &alice})
	got, err := Restore(context.Background(), backupOf(t, "one"), path, Restoration{}) // a copy of no owner
	if err != nil || got.Subject != "alice" {
		t.Errorf("%+v, %v", got, err)
	}
	single := filepath.Join(t.TempDir(), "single.db")
	got, err = Restore(context.Background(), path, single, Restoration{Owner: new(Owner)})
	if err != nil || got.Subject != "" || got.Snapshots != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	again := filepath.Join(t.TempDir(), "again.db")
	got, err = Restore(context.Background(), single, again, Restoration{Owner: &alice})
	if err != nil || got.Subject != "alice" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCopyChangesNothing(t *testing.T) {
	source := fixture(t, firstSchema+firstRows)
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := Copy(context.Background(), source, copied, nil); err != nil {
		t.Fatal(err)
	}
	kept(t, copied, 3)
	for _, path := range []string{source, copied} {
		if version := query[int](t, path, "PRAGMA user_version"); version != 0 {
			t.Errorf("%s has version %d", path, version)
		}
	}
	if err := Copy(context.Background(), source, copied, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	if err := Copy(context.Background(), filepath.Join(t.TempDir(), "none"), copied+"2", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
