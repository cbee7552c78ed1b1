package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

var searchTests = []contract{
	{"FindsWordsPhrasesAndPrefixes", testSearchLanguage},
	{"NoQueryIsAnError", testSearchNeverFails},
	{"TooManyTermsAreRefused", testSearchTerms},
	{"NameThenSummaryThenContext", testSearchRank},
	{"PagesHoldEachMatchOnce", testSearchPages},
	{"SnippetsShowTheHit", testSnippets},
	{"WhatIsDeletedIsNotFound", testSearchDeleted},
}

func search(t *testing.T, s store.Store, query string) []int64 {
	t.Helper()
	found, err := s.Search(context.Background(), query, "", 100)
	if err != nil {
		t.Fatalf("search %q: %v", query, err)
	}
	var ids []int64
	for _, m := range found.Matches {
		ids = append(ids, m.ID)
	}
	return ids
}

// searched are what the queries of searchLanguage look through.
var searched = []store.Draft{
	0: {Name: "release", Summary: "The quick brown fox", Context: "jumps over the lazy dog"},
	1: {Summary: "brown quick", Context: "naïve café, snake_case and foo-bar.go", NextSteps: "concatenate"},
	2: {Summary: "会議の記録", Context: "データベースを東京で移行した"},
	3: {Summary: "数据库迁移", Context: "在北京讨论了中国市场"},
	4: {Summary: "การประชุม", Context: "วันนี้อากาศดี"},
	5: {Summary: "서버를 고쳤다", Context: "오류 500"},
	6: {Summary: "Übergröße", Context: "ΑΘΗΝΑ Москва 42"},
}

// searchLanguage says for queries which of these they find.
var searchLanguage = map[string][]int{
	"quick":               {0, 1},
	"QUICK Brown":         {0, 1},
	`"quick brown"`:       {0},
	`"quick brown`:        {0}, // the closing quote is missing
	"fox dog":             {0}, // in two fields
	"release lazy":        {0},
	"quic":                nil,
	"quic*":               {0, 1},
	`"quick bro"*`:        {0},
	"cat":                 nil, // not within a word
	"concat*":             {1},
	"naive cafe":          {1},
	"NAÏVE":               {1},
	"snake_case":          {1},
	"foo-bar":             {1},
	"bar.go":              {1},
	"東京":                  {2},
	"データベース":              {2},
	"データベース 東京":           {2},
	"移行した":                {2},
	"した":                  {2}, // the last two characters
	"迁移":                  {3}, // also
	"中国":                  {3},
	"国":                   {3},
	"中国 北京":               {3},
	"北京 東京":               nil,
	"ประชุม":              {4},
	"서버":                  {5},
	"오류":                  {5},
	"500":                 {5},
	"москва":              {6},
	"αθηνα":               {6},
	"ubergr*":             {6},
	"absent":              nil,
	"":                    nil,
	"  ":                  nil,
	"* \" - !":            nil,
	"quick OR absent":     nil, // OR is a word
	"NOT quick":           nil,
	"summary:quick":       nil,
	"quick -- fox; (dog)": {0},
}

func testSearchLanguage(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	var ids []int64
	for _, draft := range searched {
		ids = append(ids, save(t, s, draft).ID)
	}
	for query, want := range searchLanguage {
		var wanted []int64
		for _, i := range want {
			wanted = append(wanted, ids[i])
		}
		got := search(t, s, query)
		slices.Sort(got)
		if !slices.Equal(got, wanted) {
			t.Errorf("%q found %v, want %v", query, got, wanted)
		}
	}
}

func testSearchNeverFails(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	save(t, s, store.Draft{Summary: "summary", Context: "context 東京"})
	pieces := []string{`"`, `*`, `'`, `(`, `)`, `:`, `^`, `-`, `+`, `{`, `}`, `\`, `%`, `_`, `&`, `|`, `!`, `<->`, ` `, "\x00", "\xff", "\n",
		"AND", "OR", "NOT", "NEAR", "NEAR(", "name:", "context", "東", "東京", "é", "a", "😀", "''", ";", "--", "$1", "?"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var query strings.Builder
		for range random.IntN(8) {
			query.WriteString(pieces[random.IntN(len(pieces))])
		}
		if _, err := s.Search(context.Background(), query.String(), "", 10); err != nil {
			t.Fatalf("%q: %v", query.String(), err)
		}
		if _, err := s.Page(context.Background(), store.Filter{Text: query.String()}, "", 10); err != nil {
			t.Fatalf("page %q: %v", query.String(), err)
		}
	}
}

func testSearchTerms(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	id := save(t, s, store.Draft{Summary: "s", Context: "word"}).ID
	if got := search(t, s, strings.Repeat("word ", store.MaxTerms)); !slices.Equal(got, []int64{id}) {
		t.Errorf("found %v", got)
	}
	if _, err := s.Search(context.Background(), strings.Repeat("word ", store.MaxTerms+1), "", 10); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func testSearchRank(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	filler := strings.Repeat("filler ", 50)
	var want []int64
	for _, draft := range []store.Draft{
		{Name: "migration", Summary: "filler text here", Context: filler},
		{Name: "filler", Summary: "the migration here", Context: filler},
		{Name: "filler", Summary: "filler text here", Context: filler + "migration"},
	} {
		want = append(want, save(t, s, draft).ID)
		c.advance(time.Second)
	}
	for range 5 { // a word that is in all would rank nothing
		save(t, s, store.Draft{Summary: "other", Context: filler})
	}
	if got := search(t, s, "migration"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func testSearchPages(t *testing.T, open Open) {
	c := newClock()
	s := open(t, store.Settings{Now: c.Now})
	want := fill(t, s, c, 23)
	for _, limit := range []int{1, 7, 22, 23, 24} {
		var got []int64
		cursor := ""
		for {
			found, err := s.Search(context.Background(), "summary", cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range found.Matches {
				got = append(got, m.ID)
			}
			if cursor = found.Next; cursor == "" {
				break
			}
			save(t, s, store.Draft{Summary: "another summary", Context: "c"})
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %v, want %v", limit, got, want)
		}
		want = listed(t, s) // what was added is found from the first page of the next search
		slices.Sort(want)
	}
}

func testSnippets(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	before, after := strings.Repeat("före ", 100), strings.Repeat(" after", 100)
	save(t, s, store.Draft{Name: "n", Summary: "title", Context: before + "the\nNaïve fox" + after, NextSteps: "then 東京へ行く"})
	for query, want := range map[string][]string{
		"naive fox":   {"context", "Naïve", "fox"},
		`"the naiv"*`: {"context", "the Naïv"},
		"title":       {"summary", "title"},
		"東京":          {"next_steps", "東京"},
	} {
		found, err := s.Search(context.Background(), query, "", 1)
		if err != nil || len(found.Matches) != 1 {
			t.Errorf("%s: %v %v", query, found, err)
			continue
		}
		snippet := found.Matches[0].Snippet
		got := []string{snippet.Field}
		for _, hit := range snippet.Hits {
			got = append(got, snippet.Text[hit[0]:hit[1]])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q, in %q", query, got, want, snippet.Text)
		}
		if snippet.Field == "context" && (!strings.HasPrefix(snippet.Text, "…") || !strings.HasSuffix(snippet.Text, "…")) {
			t.Errorf("%s: cut off at both ends: %q", query, snippet.Text)
		}
		if n := len([]rune(snippet.Text)); n > 200 || strings.ContainsAny(snippet.Text, "\n\r") {
			t.Errorf("%s: %d characters: %q", query, n, snippet.Text)
		}
	}
}

func testSearchDeleted(t *testing.T, open Open) {
	s := open(t, store.Settings{})
	var ids []int64
	for i := range 4 {
		ids = append(ids, save(t, s, store.Draft{Summary: fmt.Sprint("word ", i), Context: "東京"}).ID)
	}
	if err := s.Delete(context.Background(), ids[1]); err != nil {
		t.Fatal(err)
	}
	want := []int64{ids[0], ids[2], ids[3]}
	for _, query := range []string{"word", "東京"} {
		got := search(t, s, query)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	healthy(t, s)
}
