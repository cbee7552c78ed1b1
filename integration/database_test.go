package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	_ "modernc.org/sqlite"
)

// The statements of the original server, as it runs them.
const (
	originalTable = `
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
	originalColumn = `ALTER TABLE snapshots ADD COLUMN continuation_prompt TEXT NOT NULL DEFAULT ''`
	originalInsert = `INSERT INTO snapshots (name, summary, context, next_steps, continuation_prompt) VALUES (?, ?, ?, ?, ?)`
	originalNewest = `SELECT id, summary, continuation_prompt FROM snapshots ORDER BY created_at DESC, id DESC LIMIT 1`
	originalDelete = `DELETE FROM snapshots WHERE id = ?`
)

// originalFile is a database as the original leaves it: in its first schema, or the last.
func originalFile(t *testing.T, last bool) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "snapshots.db")
	db := openFile(t, file)
	run(t, db, "PRAGMA journal_mode = WAL")
	run(t, db, originalTable)
	if last {
		run(t, db, originalColumn)
	}
	run(t, db, `INSERT INTO snapshots (name, summary, context, next_steps, created_at) VALUES
	  ('old', 'first of the old', 'c1', 'n1', '2025-10-26 12:00:00'),
	  (NULL, 'second of the old', 'c2', NULL, '2025-10-26 12:00:00')`)
	if last {
		run(t, db, `UPDATE snapshots SET continuation_prompt = 'as it was stored' WHERE id = 1`)
	}
	return file
}

func openFile(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, statement string, values ...any) {
	t.Helper()
	if _, err := db.Exec(statement, values...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// connections are the ways in which a person comes to the file.
var connections = map[string]func(t *testing.T, file string) *mcp.ClientSession{
	"local": func(t *testing.T, file string) *mcp.ClientSession {
		client := mcp.NewClient(&mcp.Implementation{Name: "integration", Version: "1"}, nil)
		session, err := client.Connect(context.Background(), &mcp.CommandTransport{Command: exec.Command(snapshotdBinary, "--db", file)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return session
	},
	"gateway": func(t *testing.T, file string) *mcp.ClientSession {
		g := start(t, site{command: []string{snapshotdBinary, "--db", file}})
		client := mcp.NewClient(&mcp.Implementation{Name: "integration", Version: "1"}, nil)
		transport := &mcp.StreamableClientTransport{Endpoint: g.url, HTTPClient: bearerClient(g, g.token(t, "alice"))}
		session, err := client.Connect(context.Background(), transport, &mcp.ClientSessionOptions{ProtocolVersion: legacyVersion})
		if err != nil {
			t.Fatal(err)
		}
		return session
	},
}

func TestFileOfTheOriginalIsContinued(t *testing.T) {
	t.Parallel()
	for name, connect := range connections {
		for _, last := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, last schema %v", name, last), func(t *testing.T) {
				t.Parallel()
				file := originalFile(t, last)
				session := connect(t, file)
				continueFile(t, session, last)
				// The original may be started while this still runs.
				checkOriginalWorks(t, file)
				if got := use(t, session, "load_snapshot", nil); got != "by the original" {
					t.Errorf("what the original wrote: %q", got)
				}
				if err := session.Close(); err != nil {
					t.Error(err)
				}
				checkSchema(t, file)
			})
		}
	}
}

// continueFile reads what was there and adds to it.
func continueFile(t *testing.T, session *mcp.ClientSession, last bool) {
	t.Helper()
	prompt := "Resuming: first of the old\n\nContext:\nc1\n\nNext:\nn1"
	if last {
		prompt = "as it was stored"
	}
	steps := []struct {
		tool      string
		arguments object
		want      string
	}{
		{"list_snapshots", nil, "#2 - second of the old [2025-10-26 12:00:00]\n#1 (old) - first of the old [2025-10-26 12:00:00]"},
		{"load_snapshot", object{"name": "old"}, prompt},
		{"load_snapshot", nil, "Resuming: second of the old\n\nContext:\nc2"},
		{"save_snapshot", object{"summary": "new", "context": "c3"}, "Saved snapshot #3"},
		{"load_snapshot", nil, "Resuming: new\n\nContext:\nc3"},
		{"delete_snapshot", object{"id": 2}, "Deleted snapshot #2"},
	}
	for _, s := range steps {
		if got := use(t, session, s.tool, s.arguments); got != s.want {
			t.Errorf("%s %v: %q, want %q", s.tool, s.arguments, got, s.want)
		}
	}
}

// checkOriginalWorks does what the original does with a file: opens, reads, writes,
// deletes.
func checkOriginalWorks(t *testing.T, file string) {
	t.Helper()
	db := openFile(t, file)
	run(t, db, originalTable)
	var id int64
	var summary, prompt string
	if err := db.QueryRow(originalNewest).Scan(&id, &summary, &prompt); err != nil || id != 3 || summary != "new" || prompt != "Resuming: new\n\nContext:\nc3" {
		t.Errorf("the original reads %d %q %q, %v", id, summary, prompt, err)
	}
	run(t, db, originalInsert, nil, "gone", "c", nil, "p")
	run(t, db, originalDelete, 4)
	run(t, db, originalInsert, nil, "by the original", "c", nil, "by the original")
	if err := db.QueryRow(originalNewest).Scan(&id, &summary, &prompt); err != nil || id != 5 {
		t.Errorf("the original's own is %d, %v", id, err) // AUTOINCREMENT never gives an id again
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// checkSchema compares the table with that of a file which only the original has seen.
func checkSchema(t *testing.T, file string) {
	t.Helper()
	columns := func(file string) []string {
		rows, err := openFile(t, file).Query(`SELECT name || ' ' || type || ' ' || "notnull" || ' ' || coalesce(dflt_value, '-') || ' ' || pk FROM pragma_table_info('snapshots')`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var found []string
		for rows.Next() {
			var column string
			if err := rows.Scan(&column); err != nil {
				t.Fatal(err)
			}
			found = append(found, column)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got, want := columns(file), columns(originalFile(t, true)); !slices.Equal(got, want) {
		t.Errorf("columns\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var mode, sound string
	db := openFile(t, file)
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %s, %v", mode, err)
	}
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity %s, %v", sound, err)
	}
}
