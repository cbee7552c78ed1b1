package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// plan is how SQLite would run a statement.
func plan(t *testing.T, db *sql.DB, statement string, args ...any) string {
	t.Helper()
	steps, err := collect(context.Background(), db, "explain", func(rows *sql.Rows) (step string, err error) {
		var ignored int
		return step, rows.Scan(&ignored, &ignored, &ignored, &step)
	}, `EXPLAIN QUERY PLAN `+statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}

// Each of these goes by an index to what it
// wants, and sorts nothing but the few matches of a rare word.
func TestPlansReadNoMoreThanTheyReturn(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	noon := time.Date(2025, 10, 26, 12, 0, 0, 0, time.UTC)
	page := func(filter Filter) (string, []any) {
		where := conditions(filter)
		where.after(PageCursor{CreatedAt: "2025-10-26 12:00:00", ID: 7})
		return entryColumns + where.sql() + newestFirst + `LIMIT ?`, append(where.args, 10)
	}
	all, allArgs := page(Filter{})
	named, namedArgs := page(Filter{Name: "n"})
	dated, datedArgs := page(Filter{From: noon, To: noon})
	const words = `id IN (SELECT rowid FROM snapshotd_words WHERE snapshotd_words MATCH ?)`
	for name, test := range map[string]struct {
		statement string
		args      []any
		uses      []string
		sorts     bool
	}{
		"by id":            {snapshotColumns + whereID, []any{1}, []string{"USING INTEGER PRIMARY KEY"}, false},
		"by name":          {snapshotColumns + whereNamed, []any{"n"}, []string{"INDEX snapshotd_named (name=?)", "USING INTEGER PRIMARY KEY"}, false},
		"newest":           {snapshotColumns + whereNewest, nil, []string{"INDEX snapshotd_newest", "USING INTEGER PRIMARY KEY"}, false},
		"list":             {entryColumns + newestFirst + `LIMIT ?`, []any{10}, []string{"INDEX snapshotd_newest"}, false},
		"page":             {all, allArgs, []string{"SEARCH snapshots USING INDEX snapshotd_newest (created_at<?)"}, false},
		"page of a name":   {named, namedArgs, []string{"INDEX snapshotd_named (name=? AND created_at<?)"}, false},
		"page of dates":    {dated, datedArgs, []string{"INDEX snapshotd_newest (created_at>? AND created_at<?)"}, false},
		"page of few":      {entryColumns + ` WHERE ` + words + sortedNewestFirst, []any{"w"}, []string{"USING INTEGER PRIMARY KEY (rowid=?)", "VIRTUAL TABLE INDEX"}, true},
		"oldest":           {`SELECT id FROM snapshots WHERE true` + oldestFirst, []any{1, 3}, []string{"INDEX snapshotd_newest"}, false},
		"oldest unnamed":   {`SELECT id FROM snapshots WHERE ` + unnamed + oldestFirst, []any{1, 3}, []string{"INDEX snapshotd_unnamed"}, false},
		"aged unnamed":     {`SELECT id FROM snapshots WHERE ` + unnamed + ` AND created_at < ?` + oldestFirst, []any{"x", 1, 3}, []string{"INDEX snapshotd_unnamed (created_at<?)"}, false},
		"export":           {snapshotColumns + `WHERE id > ? ORDER BY id LIMIT ?`, []any{1, 3}, []string{"USING INTEGER PRIMARY KEY (rowid>?)"}, false},
		"newest id":        {`SELECT coalesce(max(id), 0) FROM snapshots`, nil, []string{"SEARCH snapshots"}, false},
		"matches, ordered": {`SELECT rowid FROM snapshotd_words WHERE snapshotd_words MATCH ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?`, []any{"w", 1, 3}, []string{"VIRTUAL TABLE INDEX"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			steps := plan(t, s.db, test.statement, test.args...)
			for _, part := range test.uses {
				if !strings.Contains(steps, part) {
					t.Errorf("does not say %q: %s", part, steps)
				}
			}
			if sorts := strings.Contains(steps, "TEMP B-TREE"); sorts != test.sorts {
				t.Errorf("sorts: %v: %s", sorts, steps)
			}
			if strings.Contains(steps, "SCAN snapshots") && !strings.Contains(steps, "SCAN snapshots USING") {
				t.Errorf("reads the whole table: %s", steps)
			}
		})
	}
}
