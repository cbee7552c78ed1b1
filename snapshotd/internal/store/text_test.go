package store

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func importAll(t *testing.T, s *SQLite, all []Snapshot) {
	t.Helper()
	for part := range slices.Chunk(all, MaxPage) {
		if _, err := s.Import(context.Background(), part, Skip); err != nil {
			t.Fatal(err)
		}
	}
}

// allPages are the ids of all pages, in their order.
func allPages(t *testing.T, s *SQLite, filter Filter, limit int) (ids []int64) {
	t.Helper()
	for cursor := ""; ; {
		page, err := s.Page(context.Background(), filter, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if cursor = page.Next; cursor == "" {
			return ids
		}
		if len(page.Entries) != limit {
			t.Fatalf("a page of %d with another after it, limit %d", len(page.Entries), limit)
		}
	}
}

// A walk asks the index by ranges of ids, and ids need not be in the order of creation.
func TestPagesOfATextInManySnapshots(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	random := rand.New(rand.NewPCG(5, 6))
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	all := make([]Snapshot, 3*fewMatches)
	for i := range all {
		at := begin.Add(time.Duration(random.IntN(2000)) * time.Hour)
		all[i] = Snapshot{Draft: Draft{Summary: "s", Context: "common"}, Saved: Saved{ID: int64(i + 1), CreatedAt: at.Format(time.DateTime)}}
		if i%3 == 0 {
			all[i].Context = "other"
		}
		if i%10 == 0 {
			all[i].Name = "tenth"
		}
	}
	importAll(t, s, all)
	middle := begin.Add(1000 * time.Hour)
	for name, test := range map[string]struct {
		filter Filter
		passes func(Snapshot) bool
		limits []int
	}{
		"text":  {Filter{Text: "common"}, func(Snapshot) bool { return true }, []int{33, 100, MaxPage}},
		"name":  {Filter{Text: "common", Name: "tenth"}, func(s Snapshot) bool { return s.Name == "tenth" }, []int{7, 200, MaxPage}},
		"dates": {Filter{Text: "common", From: middle}, func(s Snapshot) bool { return s.CreatedAt >= middle.Format(time.DateTime) }, []int{50, MaxPage}},
		"none":  {Filter{Text: "common", Name: "absent"}, func(Snapshot) bool { return false }, []int{10}},
	} {
		t.Run(name, func(t *testing.T) {
			wanted := slices.DeleteFunc(slices.Clone(all), func(s Snapshot) bool { return s.Context != "common" || !test.passes(s) })
			slices.SortFunc(wanted, func(a, b Snapshot) int {
				return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
			})
			var want []int64
			for _, s := range wanted {
				want = append(want, s.ID)
			}
			for _, limit := range test.limits {
				if got := allPages(t, s, test.filter, limit); !slices.Equal(got, want) {
					t.Errorf("limit %d: %d snapshots, want %d, or in another order", limit, len(got), len(want))
				}
			}
		})
	}
}

// A prefix of so many words that it is shortened finds what it would have found.
func TestPrefixOfVeryManyWordsIsStillExact(t *testing.T) {
	for _, count := range []int{rankedNewest - 50, fewMatches + 300} {
		t.Run(fmt.Sprint(count), func(t *testing.T) { testLongPrefix(t, count) })
	}
}

func testLongPrefix(t *testing.T, count int) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	var all []Snapshot
	var want, wantPhrase []int64
	random := rand.New(rand.NewPCG(7, 8))
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range count {
		at = at.Add(time.Second)
		snapshot := Snapshot{Draft: Draft{Summary: "worse wort", Context: "a text"}, Saved: Saved{ID: int64(i + 1), CreatedAt: at.Format(time.DateTime)}}
		switch {
		case i%9 == 0: // does not match, and begins alike
		case i%9 == 1:
			snapshot.Summary = "some Wörd, with an accent"
			want = append(want, snapshot.ID)
		default:
			for range 20_000 / count { // long ones fill the index with the fewest
				snapshot.Context += fmt.Sprintf(" word%016x%016x", random.Uint64(), random.Uint64())
			}
			want, wantPhrase = append(want, snapshot.ID), append(wantPhrase, snapshot.ID)
		}
		all = append(all, snapshot)
	}
	importAll(t, s, all)
	match, err := s.matchWords(context.Background(), Query{{Text: "word", Prefix: true}})
	if err != nil || match.inexact == nil {
		t.Fatalf("%+v, %v: too few words to be shortened", match, err)
	}
	for query, want := range map[string][]int64{"word*": want, "TEXT Word*": want, `"text word"*`: wantPhrase, "wordless*": nil} {
		paged := allPages(t, s, Filter{Text: query}, 40)
		slices.Sort(paged)
		if !slices.Equal(paged, want) {
			t.Errorf("%s: pages have %d, want %d", query, len(paged), len(want))
		}
		if count > rankedNewest {
			continue // a search finds the newest of them
		}
		var found []int64
		for cursor := ""; ; {
			some, err := s.Search(context.Background(), query, cursor, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range some.Matches {
				if len(m.Snippet.Hits) == 0 {
					t.Errorf("%s: snippet %q", query, m.Snippet.Text)
				}
				found = append(found, m.ID)
			}
			if cursor = some.Next; cursor == "" {
				break
			}
		}
		slices.Sort(found)
		if !slices.Equal(found, want) {
			t.Errorf("%s: search found %d, want %d", query, len(found), len(want))
		}
	}
}
