package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kept fails the test if the file does not hold what was acknowledged.
func kept(t *testing.T, path string, want int) {
	t.Helper()
	if n := query[int](t, path, "SELECT count(*) FROM snapshots"); n != want {
		t.Errorf("%d snapshots, want %d", n, want)
	}
	if got := query[string](t, path, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity_check: %s", got)
	}
}

func TestFullDiskIsToldAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	save(t, s, Draft{Summary: "before", Context: "c"})
	pages := query[int](t, path, "PRAGMA page_count")
	if _, err := s.db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+4)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Save(context.Background(), Draft{Summary: "too much", Context: strings.Repeat("c", 1<<20)})
	if !errors.Is(err, ErrFull) || Reason(err) != ErrFull.Error() {
		t.Errorf("got %v", err)
	}
	kept(t, path, 1)
	if _, err := s.db.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	save(t, s, Draft{Summary: "after", Context: "c"})
	kept(t, path, 2)
}

func TestLockedFileIsToldInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	other, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin() // BEGIN IMMEDIATE
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // holds the lock until then
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Save(ctx, Draft{Summary: "s", Context: "c"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller with less patience: %v", err)
	}
	if _, err := s.db.Exec("PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	err = s.attempt(context.Background(), func(*sql.Tx) error { return nil })
	if err = wrap("save snapshot", err); !errors.Is(err, ErrBusy) || Reason(err) != ErrBusy.Error() {
		t.Errorf("got %v", err)
	}
	if _, err := s.LoadNewest(context.Background()); !errors.Is(err, ErrNotFound) {
		t.Errorf("reading meanwhile: %v", err)
	}
}

// damage overwrites a part of a closed file.
func damage(t *testing.T, path string, offset int64, bytes int) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte(strings.Repeat("\xEE", bytes)), offset); err != nil {
		t.Fatal(err)
	}
}

func TestCorruptFilesAreToldAndLeftAlone(t *testing.T) {
	for name, hurt := range map[string]func(t *testing.T, path string){
		"header":    func(t *testing.T, path string) { damage(t, path, 0, 100) },
		"schema":    func(t *testing.T, path string) { damage(t, path, 100, 3900) },
		"text":      func(t *testing.T, path string) { damage(t, path, 0, 1<<15) },
		"truncated": func(t *testing.T, path string) { truncate(t, path, 6000) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			s, err := Open(context.Background(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			save(t, s, Draft{Summary: "s", Context: "c"})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			hurt(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err = Open(context.Background(), path, Options{})
			if err == nil {
				_, err = s.Save(context.Background(), Draft{Summary: "s", Context: "c"})
				if closed := s.Close(); closed != nil {
					t.Error(closed)
				}
			}
			if !errors.Is(err, ErrCorrupt) || Reason(err) != ErrCorrupt.Error() || strings.Contains(Reason(err), path) {
				t.Errorf("got %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsAndRepairMends(t *testing.T) {
	for name, statements := range map[string]string{
		"totals":        `UPDATE snapshotd_usage SET bytes = bytes + 1`,
		"no totals":     `DELETE FROM snapshotd_usage`,
		"words":         `INSERT INTO snapshotd_words(snapshotd_words) VALUES ('delete-all')`,
		"trigrams":      `INSERT INTO snapshotd_trigrams(snapshotd_trigrams) VALUES ('delete-all')`,
		"a trigger":     `DROP TRIGGER snapshotd_added; INSERT INTO snapshots (summary, context) VALUES ('unseen', '京都')`,
		"all of search": `DROP TABLE snapshotd_words; DROP TABLE snapshotd_trigrams`,
		"replaced":      `INSERT OR REPLACE INTO snapshots (id, summary, context) VALUES (1, 'other', 'other')`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			s := open(t, path, Options{})
			ctx := context.Background()
			for range 3 {
				save(t, s, Draft{Summary: "summary", Context: "東京"})
			}
			if problems, err := s.Check(ctx); err != nil || problems != nil {
				t.Fatalf("at first: %v %v", problems, err)
			}
			exec(t, path, statements)
			problems, err := s.Check(ctx)
			if err != nil || len(problems) == 0 {
				t.Fatalf("found %v, %v", problems, err)
			}
			for _, p := range problems {
				if !p.Repairable {
					t.Errorf("not repairable: %s", p.What)
				}
			}
			count := query[int](t, path, `SELECT count(*) FROM snapshots`)
			if err := s.Repair(ctx); err != nil {
				t.Fatal(err)
			}
			if problems, err := s.Check(ctx); err != nil || problems != nil {
				t.Errorf("after the repair: %v %v", problems, err)
			}
			kept(t, path, count)
			if found, err := s.Search(ctx, "東京", "", 10); err != nil || len(found.Matches) < 2 {
				t.Errorf("search: %v %v", found, err)
			}
		})
	}
}

func TestCheckFindsWhatRepairCannotMend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	save(t, s, Draft{Summary: "s", Context: "c"})
	exec(t, path, `UPDATE snapshots SET created_at = 'yesterday'`)
	problems, err := s.Check(context.Background())
	if err != nil || len(problems) != 1 || problems[0].Repairable || !strings.Contains(problems[0].What, "yesterday") {
		t.Errorf("found %v, %v", problems, err)
	}
}
