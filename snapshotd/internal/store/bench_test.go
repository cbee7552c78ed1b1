package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkSave compares a save with what it comes down to: a transaction of its own
// statements, those of the triggers among them, prepared and on the same driver and
// settings. The two take turns, so that what else the machine does meets both, and the
// ratio is that of their medians.
func BenchmarkSave(b *testing.B) {
	for _, size := range []int{1, 160} {
		draft := Draft{Name: "bench", Summary: "a summary of it", Context: strings.Repeat("some more of the context ", size), NextSteps: "next"}
		b.Run(fmt.Sprint(draft.Bytes(), "_bytes"), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "a.db"), Options{})
			other := open(b, filepath.Join(b.TempDir(), "b.db"), Options{})
			if _, err := other.db.Exec(`DROP TRIGGER snapshotd_added`); err != nil {
				b.Fatal(err)
			}
			bare := prepareBare(b, other.db)
			var ours, theirs []time.Duration
			timed := func(all *[]time.Duration, work func()) {
				begun := time.Now()
				work()
				*all = append(*all, time.Since(begun))
			}
			for n := 0; b.Loop(); n++ {
				if n%2 == 0 {
					timed(&ours, func() { save(b, s, draft) })
					timed(&theirs, func() { bare(draft) })
				} else {
					timed(&theirs, func() { bare(draft) })
					timed(&ours, func() { save(b, s, draft) })
				}
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			our, their := ours[len(ours)/2], theirs[len(theirs)/2]
			b.ReportMetric(float64(our), "ns/save")
			b.ReportMetric(float64(their), "ns/bare")
			b.ReportMetric(float64(our)/float64(their), "ratio")
		})
	}
}

// prepareBare returns the bare transaction.
func prepareBare(b *testing.B, db *sql.DB) func(Draft) {
	b.Helper()
	prepare := func(statement string) *sql.Stmt {
		prepared, err := db.Prepare(statement)
		if err != nil {
			b.Fatal(err)
		}
		return prepared
	}
	row := prepare(`INSERT INTO snapshots (name, summary, context, next_steps, created_at, continuation_prompt) VALUES (?, ?, ?, ?, ?, ?)`)
	words := prepare(`INSERT INTO snapshotd_words(rowid, name, summary, context, next_steps) VALUES (?, ?, ?, ?, ?)`)
	totals := prepare(`UPDATE snapshotd_usage SET last_write = datetime('now'), snapshots = snapshots + 1, named = named + 1, bytes = bytes + ?`)
	return func(d Draft) {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		result, err := tx.Stmt(row).Exec(d.Name, d.Summary, d.Context, d.NextSteps, time.Now().UTC().Format(time.DateTime), d.Prompt())
		if err != nil {
			b.Fatal(err)
		}
		id, err := result.LastInsertId()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tx.Stmt(words).Exec(id, d.Name, d.Summary, d.Context, d.NextSteps); err != nil {
			b.Fatal(err)
		}
		if _, err := tx.Stmt(totals).Exec(d.Bytes()); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}
