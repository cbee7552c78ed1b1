package postgres

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		" -- ":                   "",
		"Quick, brown-fox":       "quick@0 brown@1 fox@2",
		"naïve cafe\u0301 Å":     "naive@0 cafe@1 a@2",
		"東京へ":                    "東京@0 京へ@1 へ@2",
		"東":                      "東@0",
		"東、京":                    "東@0 京@1",
		"v2東京api":                "v2@0 東京@1 京@2 api@3",
		"がか":                     "がか@0 か@1", // a voiced character is another one
		strings.Repeat("x", 100): strings.Repeat("x", longestWord) + "@0",
	} {
		var got []string
		for token := range tokens(text) {
			got = append(got, fmt.Sprint(token.text, "@", token.at))
		}
		if joined := strings.Join(got, " "); joined != want {
			t.Errorf("%q: %s, want %s", text, joined, want)
		}
	}
}

func TestPlacesComeBack(t *testing.T) {
	all := places{{0}, nil, {1, 2, 300, 1 << 30}, {7}}
	if got := decodePlaces(all.encode()); fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("got %v, want %v", got, all)
	}
	for _, broken := range [][]byte{nil, {200}, {5, 1}, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}} {
		decodePlaces(broken) // and does not panic, nor take much memory
	}
}

// TestSearchFindsWhatSQLiteFinds asks both stores the same of the same snapshots.
func TestSearchFindsWhatSQLiteFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	vocabulary := strings.Fields("alpha beta gamma alphabet alpine snake_case foo-bar café naïve Übung 42 v1.2 release data database")
	phrase := func(n int) string {
		words := make([]string, 1+random.IntN(n))
		for i := range words {
			words[i] = vocabulary[random.IntN(len(vocabulary))]
		}
		return strings.Join(words, " ")
	}
	lite, err := store.Open(patient(t), filepath.Join(t.TempDir(), "a.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	server := acquire(t, open(t, pgtest.Shared(t).Database(t), Options{}), ownerOf("alice"))
	for range 60 {
		draft := store.Draft{Summary: phrase(3), Context: phrase(8)}
		if random.IntN(2) == 0 {
			draft.Name, draft.NextSteps = phrase(2), phrase(4)
		}
		save(t, lite, draft)
		save(t, server, draft)
	}
	found := func(s store.Store, query string) (search, page []int64) {
		matches, err := s.Search(patient(t), query, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range matches.Matches {
			search = append(search, m.ID)
		}
		slices.Sort(search)
		entries, err := s.Page(patient(t), store.Filter{Text: query}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return search, idsOf(entries.Entries)
	}
	some := 0
	for range 200 {
		query := phrase(3)
		switch random.IntN(3) {
		case 0:
			query = `"` + query + `"`
		case 1:
			query = query[:1+random.IntN(len(query)-1)] + "*"
		}
		wantSearch, wantPage := found(lite, query)
		gotSearch, gotPage := found(server, query)
		if !slices.Equal(gotSearch, wantSearch) || !slices.Equal(gotPage, wantPage) {
			t.Errorf("%q: %v and %v, SQLite finds %v and %v", query, gotSearch, gotPage, wantSearch, wantPage)
		}
		some += len(wantSearch)
	}
	if some == 0 {
		t.Error("nothing was found at all")
	}
}

// TestCommonWordsAreFoundBeyondTheFirstBatch has more candidates than are looked at at
// once, of which only the oldest match.
func TestCommonWordsAreFoundBeyondTheFirstBatch(t *testing.T) {
	s := acquire(t, open(t, pgtest.Shared(t).Database(t), Options{}), ownerOf("alice"))
	var all []store.Snapshot
	for i := range firstBatch + 300 {
		text := "two words"
		if i < 2 {
			text = "words two"
		}
		all = append(all, store.Snapshot{Draft: store.Draft{Summary: text, Context: "c"}, Saved: store.Saved{CreatedAt: fmt.Sprintf("2025-10-26 12:%02d:%02d", i/60, i%60)}})
	}
	if _, err := s.Import(patient(t), all, store.Skip); err != nil {
		t.Fatal(err)
	}
	found, err := s.Search(patient(t), `"words two"`, "", 10)
	if err != nil || len(found.Matches) != 2 || found.Matches[0].ID != 2 {
		t.Errorf("search: %+v, %v", found.Matches, err)
	}
	page, err := s.Page(patient(t), store.Filter{Text: `"words two"`}, "", 1)
	if err != nil || len(page.Entries) != 1 || page.Entries[0].ID != 2 || page.Next == "" {
		t.Errorf("page: %+v, %v", page, err)
	}
	common, err := s.Search(patient(t), "words", "", store.MaxPage)
	if err != nil || len(common.Matches) != store.MaxRanked {
		t.Errorf("%d of %d are ranked, %v", len(common.Matches), store.MaxRanked, err)
	}
}

func idsOf(entries []store.Entry) []int64 {
	ids := make([]int64, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return ids
}
