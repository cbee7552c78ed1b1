package postgres

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestFewerAreRankedOfMoreWords(t *testing.T) {
	for query, test := range map[string]struct {
		many   bool
		depth  int
		others int
	}{
		"a":                 {false, rankedNewest, 0},
		"a b c":             {false, rankedNewest, 2},
		"a b c d e":         {false, 300, 4},
		`a "a b" a`:         {false, 375, 1},
		"a*":                {true, rankedAtLeast, 0},
		"a a*":              {false, rankedNewest, 1},
		`"a b c d e f g h"`: {false, 187, 7},
	} {
		parsed, err := store.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		l := &lookup{patterns: patternsOf(parsed)}
		l.rarest = l.patterns[0][0]
		if l.plan(test.many); l.depth != test.depth || len(l.others) != test.others {
			t.Errorf("%s: %d deep with %d others, want %d with %d", query, l.depth, len(l.others), test.depth, test.others)
		}
	}
}

// What stands in few of the snapshots that have its words is found however many these are.
func TestARarePhraseOfFrequentWordsIsFound(t *testing.T) {
	s := acquire(t, open(t, pgtest.Shared(t).Database(t), Options{}), ownerOf("alice"))
	const rare = 7
	all := make([]store.Snapshot, lookedAt+3*firstBatch)
	for i := range all {
		all[i].ID, all[i].CreatedAt = int64(i+1), fmt.Sprintf("2025-01-01 %02d:%02d:%02d", i/3600, i/60%60, i%60)
		all[i].Summary, all[i].Context = "third", "first and second"
		if i < rare {
			all[i].Summary, all[i].Context = "first third", "first second"
		}
	}
	for part := range slices.Chunk(all, store.MaxPage) {
		if _, err := s.Import(patient(t), part, store.Skip); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{`"first second"`: rare, `"first secon"*`: rare, `"second first"`: 0, "first third": 100, `"first and second"`: 100, "fi* thi*": 100} {
		found, err := s.Search(patient(t), query, "", 100)
		if err != nil || len(found.Matches) != want {
			t.Errorf("%s: %d of %d, %v", query, len(found.Matches), want, err)
			continue
		}
		// Those with both in the summary, which are the oldest, before others.
		if query == "first third" && found.Matches[0].ID > rare {
			t.Errorf("the best is %d", found.Matches[0].ID)
		}
	}
}

// Which way the server goes is a matter of time and of nothing else.
func TestBothWaysOfReadingFindTheSame(t *testing.T) {
	s := acquire(t, open(t, pgtest.Shared(t).Database(t), Options{}), ownerOf("alice")).(*Store)
	for i := range 120 {
		draft := store.Draft{Summary: "one two", Context: "three one two three"}
		switch {
		case i%2 == 0:
			draft = store.Draft{Name: "two", Summary: "x", Context: "one three two one"}
		case i%3 == 0:
			draft = store.Draft{Summary: "one two three", Context: "one"}
		}
		save(t, s, draft)
	}
	for _, text := range []string{`"one two"`, `"one two" three`, `"three one two"`, `"one thr"*`, `"o"* two`, `"one one"`} {
		query, err := store.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, titles := range []bool{false, true} {
			var found [2]map[int64]occurrences
			for i := range found {
				err := s.read(patient(t), "search", func(ctx context.Context, tx pgx.Tx) error {
					l, err := s.newLookup(ctx, tx, query)
					if err != nil {
						return err
					}
					l.walks, l.phrase = i == 1, false // which keeps it so
					found[i], err = l.newest(ctx, math.MaxInt64, titles, 100)
					return err
				})
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			if !reflect.DeepEqual(found[0], found[1]) || len(found[0]) == 0 && !titles && text != `"one one"` {
				t.Errorf("%s, titles %v: %d and %d found", text, titles, len(found[0]), len(found[1]))
			}
		}
	}
}

func TestNoMoreIsLookedAtThanItTakes(t *testing.T) {
	for name, test := range map[string]struct{ size, looked, found, want int }{
		"the second batch":              {500, 500, 0, 1000},
		"up to the bound":               {2000, 3500, 50, 500},
		"a small first one":             {187, 187, 0, 500},
		"enough for the rest":           {2000, 4000, 80, 1250},
		"as many as there may be":       {4000, 7500, 1, largestBatch},
		"nothing found so far":          {4000, 7500, 0, largestBatch},
		"one more would be enough, too": {1000, 5000, 99, firstBatch},
	} {
		if got := nextBatch(test.size, test.looked, test.found); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
