package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// largeSize is how many snapshots the benchmarks of reading have.
const largeSize = 100_000

var large struct {
	once   sync.Once
	folder string
	store  *SQLite
	err    error
}

// largeStore has snapshots of half a kilobyte: words as frequent as in a language
// (Zipf), "common" in each, one of a thousand names in every second, one in a hundred
// with Japanese, and one in a hundred with other languages.
func largeStore(b *testing.B) *SQLite {
	b.Helper()
	large.once.Do(func() {
		if large.folder, large.err = os.MkdirTemp("", "snapshotd-bench"); large.err != nil {
			return
		}
		if large.store, large.err = Open(context.Background(), filepath.Join(large.folder, "a.db"), Options{}); large.err == nil {
			large.err = fillLarge(large.store)
		}
	})
	if large.err != nil {
		b.Fatal(large.err)
	}
	b.ResetTimer()
	return large.store
}

func fillLarge(s *SQLite) error {
	random := rand.New(rand.NewPCG(1, 2))
	frequency := rand.NewZipf(random, 1.1, 2, 19_999)
	words := func(n int) string {
		text := make([]string, n)
		for i := range text {
			text[i] = fmt.Sprintf("word%d", frequency.Uint64())
		}
		return strings.Join(text, " ")
	}
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for done := 0; done < largeSize; done += MaxPage {
		batch := make([]Snapshot, MaxPage)
		for i := range batch {
			at = at.Add(time.Duration(random.IntN(300)) * time.Second)
			batch[i] = Snapshot{Draft: Draft{Summary: words(6), Context: "common " + words(60)}, Saved: Saved{CreatedAt: at.Format(time.DateTime)}}
			batch[i].ID = int64(done + i + 1)
			if i%2 == 0 {
				batch[i].Name = fmt.Sprintf("name%d", random.IntN(1000))
			}
			if i%100 == 0 {
				batch[i].Context += "、東京で会議をした。" + words(2)
			}
			if i%100 == 1 {
				batch[i].Context += " Déjà vu, привет мир 🚀 한국어로 말했다 ภาษาไทยง่าย " + words(2)
			}
		}
		if _, err := s.Import(context.Background(), batch, Skip); err != nil {
			return err
		}
	}
	return nil
}

// removeLarge is called when all has run.
func removeLarge() error {
	if large.store == nil {
		return nil
	}
	if err := large.store.Close(); err != nil {
		return err
	}
	return os.RemoveAll(large.folder)
}

func BenchmarkLoadNewest(b *testing.B) {
	s := largeStore(b)
	for b.Loop() {
		if _, err := s.LoadNewest(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadNamed(b *testing.B) {
	s := largeStore(b)
	for b.Loop() {
		if _, err := s.LoadNamed(context.Background(), "name7"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList100(b *testing.B) {
	s := largeStore(b)
	for b.Loop() {
		if entries, err := s.List(context.Background(), 100); err != nil || len(entries) != 100 {
			b.Fatal(len(entries), err)
		}
	}
}

func BenchmarkUsage(b *testing.B) {
	s := largeStore(b)
	for b.Loop() {
		if u, err := s.Usage(context.Background()); err != nil || u.Snapshots != largeSize {
			b.Fatal(u, err)
		}
	}
}

func BenchmarkNames(b *testing.B) {
	s := largeStore(b)
	for b.Loop() {
		if names, err := s.Names(context.Background(), "name1", 100); err != nil || len(names) != 100 {
			b.Fatal(len(names), err)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	middle := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	for name, filter := range map[string]Filter{
		"all": {}, "name": {Name: "name7"}, "date": {To: middle}, "rare": {Text: "word19000"}, "common": {Text: "common"},
	} {
		b.Run(name, func(b *testing.B) {
			s := largeStore(b)
			for b.Loop() {
				if page, err := s.Page(context.Background(), filter, "", 20); err != nil || len(page.Entries) == 0 {
					b.Fatal(len(page.Entries), err)
				}
			}
		})
	}
}

// searches are queries of all kinds: how many snapshots have their words, and how many
// words a prefix begins, is what makes them quick or slow.
var searches = []struct{ name, query string }{
	{"rare", "word19000"}, {"usual", "word50 word300"}, {"frequent", "word0"}, {"in_all", "common"},
	{"two_frequent", "word5 word6"}, {"three_in_most", "word0 word1 common"}, {"six_frequent", "word0 word1 word2 word3 word4 common"},
	{"frequent_and_rare", "common word0 word19000"}, {"name", "name7"},
	{"phrase", `"common word7"`}, {"frequent_phrase", `"word0 word1"`}, {"long_phrase", `"word0 word1 word0"`},
	{"one_letter", "w*"}, {"two_letters", "wo*"}, {"three_letters", "wor*"}, {"all_words", "word*"}, {"half_of_words", "word1*"},
	{"many_words", "word15*"}, {"prefix", "word150*"}, {"prefixes", "word1* word2*"}, {"prefix_and_word", "word1* common"},
	{"phrase_prefix", `"common word1"*`},
	{"two_characters", "東京"}, {"japanese", "会議をした"}, {"japanese_and_word", "東京 common"}, {"one_character", "東"},
	{"korean", "한국어"}, {"thai", "ภาษาไทย"}, {"russian", "привет"}, {"accents", "déjà"}, {"emoji_and_word", "🚀 common"},
}

func BenchmarkSearch(b *testing.B) {
	for _, of := range searches {
		b.Run(of.name, func(b *testing.B) {
			s := largeStore(b)
			for b.Loop() {
				if found, err := s.Search(context.Background(), of.query, "", 20); err != nil || len(found.Matches) == 0 {
					b.Fatal(len(found.Matches), err)
				}
			}
		})
	}
}

// BenchmarkSave compares a save with what it comes down to: a transaction of its own
// statements, those of the triggers among them, prepared and on the same driver and
// settings.
func BenchmarkSave(b *testing.B) {
	draft := Draft{Name: "bench", Summary: "a summary of it", Context: strings.Repeat("some more of the context ", 160), NextSteps: "next"}
	b.Run("store", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "a.db"), Options{})
		for b.Loop() {
			save(b, s, draft)
		}
	})
	b.Run("bare", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "a.db"), Options{})
		if _, err := s.db.Exec(`DROP TRIGGER snapshotd_added`); err != nil {
			b.Fatal(err)
		}
		bare := prepareBare(b, s.db)
		for b.Loop() {
			bare(draft)
		}
	})
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
	totals := prepare(`UPDATE snapshotd_usage SET snapshots = snapshots + 1, bytes = bytes + ?`)
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
