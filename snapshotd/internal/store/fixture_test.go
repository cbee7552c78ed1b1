package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// raceDetector says whether the tests look for races, which makes them slow.
var raceDetector bool

// The schemas of the original server, as it creates them.
const (
	firstSchema = `
CREATE TABLE IF NOT EXISTS snapshots (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  summary TEXT NOT NULL,
  context TEXT NOT NULL,
  next_steps TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_created_at ON snapshots(created_at DESC);
CREATE INDEX IF NOT EXISTS idx_name ON snapshots(name) WHERE name IS NOT NULL;`

	lastSchema = firstSchema + `
ALTER TABLE snapshots ADD COLUMN continuation_prompt TEXT NOT NULL DEFAULT '';`

	firstRows = `
INSERT INTO snapshots (name, summary, context, next_steps, created_at) VALUES
  ('alpha', 'first', 'c1', 'n1', '2025-10-26 12:00:00'),
  (NULL, 'second', 'c2', NULL, '2025-10-26 12:00:00'),
  ('alpha', 'third', 'c3', '', '2025-10-25 12:00:00');
DELETE FROM snapshots WHERE summary = 'none';`
)

// fixture makes a file as the original leaves it, with WAL on.
func fixture(t testing.TB, statements string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "snapshots.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	exec(t, path, "PRAGMA journal_mode = WAL;"+statements)
	return path
}

// exec runs statements on a file behind the store's back.
func exec(t testing.TB, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

// query returns one value of a file.
func query[T any](t testing.TB, path, statement string) T {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var v T
	if err := db.QueryRow(statement).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func open(t testing.TB, path string, options Options) *SQLite {
	t.Helper()
	s, err := Open(context.Background(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func save(t testing.TB, s Store, draft Draft) Saved {
	t.Helper()
	saved, err := s.Save(context.Background(), draft)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// clock returns the times in turn and then the last for ever.
func clock(times ...string) func() time.Time {
	return func() time.Time {
		at, err := time.Parse(time.DateTime, times[0])
		if err != nil {
			panic(err)
		}
		if len(times) > 1 {
			times = times[1:]
		}
		return at
	}
}
