package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// Whatever is asked for, what is written in the language of FTS5 is never an error of it.
func FuzzParseQuery(f *testing.F) {
	for _, text := range []string{"", "a b", `"a b"*`, `"`, "wo* 東京", "NEAR(a b)", "name:a", `a""b`, "\x00", "\xff*", "a*b", "{a} : b", "^a", "é́ª²", "ﷺ* -"} {
		f.Add(text)
	}
	s, err := Open(context.Background(), filepath.Join(f.TempDir(), "a.db"), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	save(f, s, Draft{Summary: "a summary", Context: "and a context 東京"})
	f.Fuzz(func(t *testing.T, text string) {
		query, err := ParseQuery(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) || len(query) != 0 {
				t.Fatalf("%v, with %d terms", err, len(query))
			}
			return
		}
		for _, term := range query {
			if !utf8.ValidString(term.Text) || term.Text == "" {
				t.Errorf("term %q", term.Text)
			}
		}
		match, err := s.match(context.Background(), query)
		if err != nil {
			t.Fatal(err)
		}
		if len(match.terms) == 0 {
			return
		}
		if _, err := s.rank(context.Background(), query, match, 1); err != nil {
			t.Errorf("%q became %q: %v", text, match.expression(), err)
		}
		costs, err := s.costs(context.Background(), match)
		if err != nil {
			t.Fatal(err)
		}
		for i := range costs { // as in an index of any size
			costs[i] += weighedPages / 2 * int64(i+1)
		}
		if _, err := s.weigh(context.Background(), match.table, match.weighing(costs), []int64{1}); err != nil {
			t.Errorf("%q is weighed by %q: %v", text, match.weighing(costs), err)
		}
	})
}

// A cursor is either unknown or a place, which reads as itself again.
func FuzzCursors(f *testing.F) {
	f.Add(PageCursor{CreatedAt: "2025-10-26 12:00:00", ID: 7}.String(), "2025-10-26 12:00:00", int64(7))
	f.Add(SearchCursor{Newest: 9, Offset: 20}.String(), "of\nthree\nlines", int64(-1))
	f.Add("cAox", "\xff\x00", int64(1)<<62)
	f.Fuzz(func(t *testing.T, text, created string, id int64) {
		made := PageCursor{CreatedAt: created, ID: id}
		if got, err := ParsePageCursor(made.String()); err != nil || got != made {
			t.Errorf("%+v became %+v, %v", made, got, err)
		}
		page, errPage := ParsePageCursor(text)
		search, errSearch := ParseSearchCursor(text)
		if errPage == nil && errSearch == nil {
			t.Errorf("%q is a place of both", text)
		}
		if errPage != nil && errPage != ErrCursor || errSearch != nil && errSearch != ErrCursor {
			t.Errorf("%v, %v", errPage, errSearch)
		}
		if again, err := ParsePageCursor(page.String()); errPage == nil && (err != nil || again != page) {
			t.Errorf("%+v became %+v, %v", page, again, err)
		}
		if again, err := ParseSearchCursor(search.String()); err != nil || again != search || search.Newest < 0 || search.Offset < 0 {
			t.Errorf("%+v became %+v, %v", search, again, err)
		}
	})
}
