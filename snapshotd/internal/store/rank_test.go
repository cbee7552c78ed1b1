package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWeighingTakesTheRarestTermsThatFit(t *testing.T) {
	one := func(words ...string) ftsTerm {
		term := ftsTerm{expression: quoted(strings.Join(words, " "))}
		for _, w := range words {
			term.parts = append(term.parts, exactPart(w))
		}
		return term
	}
	either := ftsTerm{expression: `("x" OR "y")`, parts: []ftsPart{{from: "0x", to: "0z"}}, alternatives: 2}
	for _, test := range []struct {
		terms []ftsTerm
		costs []int64
		want  string
	}{
		{[]ftsTerm{one("a"), one("b")}, []int64{20, 10}, `"b" AND "a"`},
		{[]ftsTerm{one("a"), one("b"), one("c")}, []int64{200, 10, 100}, `"b" AND "c"`},
		{[]ftsTerm{one("a"), one("b")}, []int64{weighedPages, 1}, `"b"`},
		{[]ftsTerm{one("a"), one("b")}, []int64{9000, 8000}, `"b"`},
		{[]ftsTerm{one("a", "b")}, []int64{weighedPages}, `"a b"`},
		{[]ftsTerm{one("a", "b")}, []int64{weighedPages + 1}, `"a"`},
		{[]ftsTerm{either}, []int64{9000}, `("x" OR "y")`},
	} {
		if got := (ftsMatch{terms: test.terms}).weighing(test.costs); got != test.want {
			t.Errorf("%v: %s, want %s", test.costs, got, test.want)
		}
	}
}

// frequent has two words whose lists are too long to weigh both, and a rarer one. It is made
// once, and each test gets a copy.
func frequent(t *testing.T) *SQLite {
	t.Helper()
	made, err := frequentFile()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, made, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path, Options{})
}

var frequentFile = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "frequent")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "a.db")
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return nil, err
	}
	_, err = s.Import(context.Background(), frequentWords(), Skip)
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path) // the log is folded into it by Close
})

func frequentWords() []Snapshot {
	text := strings.Repeat("common filling ", 900)
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	all := make([]Snapshot, 800)
	for i := range all {
		all[i] = Snapshot{
			Draft: Draft{Summary: fmt.Sprint("number ", i), Context: text},
			Saved: Saved{ID: int64(i + 1), CreatedAt: at.Add(time.Duration(i) * time.Minute).Format(time.DateTime)},
		}
		if i%4 > 0 {
			all[i].Context += "third"
		}
		if i%100 == 1 {
			all[i].Summary = "third, and common"
		}
		if i == 333 {
			all[i].Context += " filling filling common"
		}
	}
	return all
}

func TestWordsThatAreTooFrequentToWeighStillMustOccur(t *testing.T) {
	s := frequent(t)
	query, err := ParseQuery("common filling third")
	if err != nil {
		t.Fatal(err)
	}
	match, err := s.match(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	costs, err := s.costs(context.Background(), match)
	if err != nil || costs[0] <= weighedPages/2 || costs[1] <= weighedPages/2 || match.weighing(costs) == match.expression() {
		t.Fatalf("costs %v, %v: too little to be left out", costs, err)
	}
	var first []int64
	for range 2 {
		ranked, err := s.rank(context.Background(), query, match, 800)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, r := range ranked {
			if ids = append(ids, r.id); (r.id-1)%4 == 0 {
				t.Errorf("%d has not all words", r.id)
			}
		}
		// Beyond the newest, those with the words in the summary as far as it is not too far.
		if best := slices.Sorted(slices.Values(ids[:7])); !slices.Equal(best, []int64{102, 202, 302, 402, 502, 602, 702}) {
			t.Errorf("the best are %v, want those with the words in the summary", best)
		}
		if first != nil && !slices.Equal(ids, first) {
			t.Error("the order is another the second time")
		}
		first = ids
	}
	if len(first) < rankedNewest || len(first) > 600 {
		t.Errorf("%d were ranked", len(first))
	}
}

func TestARarePhraseOfFrequentWordsIsFoundExactly(t *testing.T) {
	s := frequent(t)
	for query, want := range map[string][]int64{
		`"filling filling common"`:          {334},
		`"common common"`:                   nil,
		`"filling third"`:                   {}, // in more than are ranked
		`"filling filling" "number 333"`:    {334},
		`"filling filling comm"* number`:    {334},
		`"common filling third" "number 9"`: {10},
	} {
		found, err := s.Search(context.Background(), query, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, m := range found.Matches {
			ids = append(ids, m.ID)
		}
		if want != nil && len(want) == 0 {
			if len(ids) != 100 || found.Next == "" {
				t.Errorf("%s: %d on the first page", query, len(ids))
			}
			continue
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: found %v, want %v", query, ids, want)
		}
	}
}

// Whether a short term is looked for in the texts or by the index, what is found has it.
func TestOneOrTwoCharactersOfAScriptWithoutSpaces(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	all := make([]Snapshot, 2*shortLooked)
	for i := range all {
		all[i] = Snapshot{Draft: Draft{Summary: "記録", Context: "大阪で会議"}, Saved: Saved{ID: int64(i + 1), CreatedAt: at.Add(time.Duration(i) * time.Minute).Format(time.DateTime)}}
		switch {
		case i%4 == 1:
			all[i].Context = "東京で Meeting をした"
		case i == 4:
			all[i].Context = "京都"
		}
		if i == 3900 {
			all[i].Summary = "東京"
		}
	}
	importAll(t, s, all)
	query, err := ParseQuery("東京 meeting")
	if err != nil {
		t.Fatal(err)
	}
	ranked, err := s.scanShort(context.Background(), query, 1990)
	if err != nil || len(ranked) < shortEnough || ranked[0].id > 1990 {
		t.Fatalf("%d in the texts of the newest, %v", len(ranked), err)
	}
	for _, r := range ranked {
		if r.id%4 != 2 {
			t.Errorf("%d has not both", r.id)
		}
	}
	for text, want := range map[string]int64{"東京": 3901, "京都": 5, "東": 3901} { // the best
		found, err := s.Search(context.Background(), text, "", 10)
		if err != nil || len(found.Matches) == 0 || found.Matches[0].ID != want {
			t.Errorf("%s: %v, %v; want %d", text, found.Matches, err, want)
		}
		query, err := ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		match, err := s.match(context.Background(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, frequent := range []bool{true, false} {
			ranked, err := s.rankShort(context.Background(), query, match, 4000, frequent)
			if err != nil || len(ranked) == 0 || len(ranked) > rankedNewest || ranked[0].id != want {
				t.Errorf("%s, frequent %v: %d, %v", text, frequent, len(ranked), err)
			}
		}
	}
}
