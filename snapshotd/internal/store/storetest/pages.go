package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

var pageTests = []contract{
	{"PagesHoldEachSnapshotOnceWhileOthersComeAndGo", testPagesAreStable},
	{"SnapshotsOfOneSecondAreInOrderOfTheirIDs", testPagesOfOneSecond},
	{"FiltersHoldTogether", testFilters},
	{"WrongCursorsAndLimitsAreRefused", testWrongPages},
	{"NamesAreTheMostRecentlyUsedFirst", testNames},
}

// pages reads all pages of a filter and calls between after each.
func pages(t *testing.T, s store.Store, filter store.Filter, limit int, between func()) []int64 {
	t.Helper()
	var ids []int64
	cursor := ""
	for range 1000 {
		page, err := s.Page(context.Background(), filter, cursor, limit)
		if err != nil {
			t.Fatalf("page: %v", err)
		}
		if len(page.Entries) > limit {
			t.Fatalf("%d entries, limit %d", len(page.Entries), limit)
		}
		ids = append(ids, idsOf(page.Entries)...)
		if page.Next == "" {
			return ids
		}
		cursor = page.Next
		between()
	}
	t.Fatal("no end of pages")
	return nil
}

func testPagesAreStable(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	ids := fill(t, s, c, 25)
	slices.Reverse(ids)
	var gone []int64
	got := pages(t, s, store.Filter{}, 4, func() {
		save(t, s, store.Draft{Summary: "added meanwhile", Context: "c"})
		if next := ids[len(gone)]; len(gone) < 4 { // already read, cursors among them
			gone = append(gone, next)
			if err := s.Delete(context.Background(), next); err != nil {
				t.Fatal(err)
			}
		}
	})
	if !slices.Equal(got, ids) {
		t.Errorf("got  %v\nwant %v", got, ids)
	}
}

func testPagesOfOneSecond(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	for range 10 {
		save(t, s, store.Draft{Summary: "s", Context: "c"})
	}
	want := listed(t, s)
	for limit := 1; limit <= 11; limit++ {
		if got := pages(t, s, store.Filter{}, limit, func() {}); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
}

func testFilters(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	names := []string{"", "work", "work/api", "Work", "play", "work"}
	var ids []int64
	for i, name := range names {
		ids = append(ids, save(t, s, store.Draft{Name: name, Summary: fmt.Sprint("number ", i), Context: "some context"}).ID)
		c.advance(time.Minute)
	}
	minute := func(n time.Duration) time.Time { return noon.Add(n * time.Minute) }
	for name, test := range map[string]struct {
		filter store.Filter
		want   []int // indexes, newest first
	}{
		"none":             {store.Filter{}, []int{5, 4, 3, 2, 1, 0}},
		"name":             {store.Filter{Name: "work"}, []int{5, 1}},
		"prefix":           {store.Filter{NamePrefix: "work"}, []int{5, 2, 1}},
		"prefix of none":   {store.Filter{NamePrefix: "wörk"}, nil},
		"wild card":        {store.Filter{NamePrefix: "w_rk%"}, nil},
		"from":             {store.Filter{From: minute(4)}, []int{5, 4}},
		"to":               {store.Filter{To: minute(2)}, []int{1, 0}},
		"from and to":      {store.Filter{From: minute(1), To: minute(3)}, []int{2, 1}},
		"within a second":  {store.Filter{From: minute(1).Add(1), To: minute(3).Add(1)}, []int{3, 2}},
		"another zone":     {store.Filter{From: minute(4).In(time.FixedZone("", 3600))}, []int{5, 4}},
		"text":             {store.Filter{Text: "number 3"}, []int{3}},
		"text in all":      {store.Filter{Text: "CONTEXT"}, []int{5, 4, 3, 2, 1, 0}},
		"text of no words": {store.Filter{Text: " !!! "}, nil},
		"all of them":      {store.Filter{NamePrefix: "w", Text: "number", From: minute(2), To: minute(5)}, []int{2}},
		"a contradiction":  {store.Filter{Name: "play", NamePrefix: "w"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var want []int64
			for _, i := range test.want {
				want = append(want, ids[i])
			}
			if got := pages(t, s, test.filter, 2, func() {}); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func testWrongPages(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	fill(t, s, c, 3)
	ctx := context.Background()
	found, err := s.Search(ctx, "summary", "", 1)
	if err != nil || found.Next == "" {
		t.Fatalf("search: %v %v", found, err)
	}
	page, err := s.Page(ctx, store.Filter{}, "", 1)
	if err != nil || page.Next == "" {
		t.Fatalf("page: %v %v", page, err)
	}
	for _, cursor := range []string{"x", "====", "1", "cA", found.Next, page.Next + "A"} {
		if _, err := s.Page(ctx, store.Filter{}, cursor, 10); !errors.Is(err, store.ErrCursor) {
			t.Errorf("page with cursor %q: %v", cursor, err)
		}
	}
	for _, cursor := range []string{"x", "====", page.Next} {
		if _, err := s.Search(ctx, "summary", cursor, 10); !errors.Is(err, store.ErrCursor) {
			t.Errorf("search with cursor %q: %v", cursor, err)
		}
	}
	for _, limit := range []int{-1, 0, store.MaxPage + 1} {
		_, page := s.Page(ctx, store.Filter{}, "", limit)
		_, search := s.Search(ctx, "summary", "", limit)
		_, names := s.Names(ctx, "", limit)
		_, export := s.Export(ctx, 0, limit)
		for what, err := range map[string]error{"page": page, "search": search, "names": names, "export": export} {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s with limit %d: %v", what, limit, err)
			}
		}
	}
}

func testNames(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	for _, name := range []string{"beta", "alpha", "", "be", "beta", "Beta", "naïve"} {
		save(t, s, store.Draft{Name: name, Summary: "s", Context: "c"})
		c.advance(time.Second)
	}
	for _, test := range []struct {
		prefix string
		limit  int
		want   []string
	}{
		{"", 100, []string{"naïve", "Beta", "beta", "be", "alpha"}},
		{"", 2, []string{"naïve", "Beta"}},
		{"be", 100, []string{"beta", "be"}},
		{"naï", 100, []string{"naïve"}},
		{"%", 100, nil},
	} {
		got, err := s.Names(context.Background(), test.prefix, test.limit)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, %v; want %q", test.prefix, got, err, test.want)
		}
	}
}
