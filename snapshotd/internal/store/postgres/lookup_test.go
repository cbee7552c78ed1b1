package postgres

import (
	"fmt"
	"slices"
	"testing"

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
