package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// largeSize is how many snapshots the store has that [Benchmark] measures. With -short it is
// enough to see that everything is found.
func largeSize() int {
	if testing.Short() {
		return 20_000
	}
	return 100_000
}

// FillLarge fills a store with snapshots of half a kilobyte: words as frequent as in a
// language (Zipf), "common" in each, one of a thousand names in every second, one in a
// hundred with Japanese, and one in a hundred with other languages.
func FillLarge(ctx context.Context, s store.Store) error {
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
	for done := 0; done < largeSize(); done += store.MaxPage {
		batch := make([]store.Snapshot, store.MaxPage)
		for i := range batch {
			at = at.Add(time.Duration(random.IntN(300)) * time.Second)
			batch[i].Summary, batch[i].Context = words(6), "common "+words(60)
			batch[i].CreatedAt = at.Format(time.DateTime)
			batch[i].ID = int64(done + i + 1)
			if i%2 == 0 {
				batch[i].Name = fmt.Sprintf("name%d", random.IntN(1000))
			}
			switch i % 100 {
			case 0:
				batch[i].Context += "、東京で会議をした。" + words(2)
			case 1:
				batch[i].Context += " Déjà vu, привет мир 🚀 한국어로 말했다 ภาษาไทยง่าย " + words(2)
			}
		}
		if _, err := s.Import(ctx, batch, store.Skip); err != nil {
			return err
		}
	}
	return nil
}

// searches are queries of all kinds: how many snapshots have their words, and how many
// words a prefix begins, is what makes them quick or slow.
var searches = []struct{ name, query string }{
	{"rare", "word19000"}, {"usual", "word50 word300"}, {"frequent", "word0"}, {"in_all", "common"},
	{"two_frequent", "word5 word6"}, {"three_in_most", "word0 word1 common"}, {"six_frequent", "word0 word1 word2 word3 word4 common"},
	{"frequent_and_rare", "common word0 word19000"}, {"name", "name7"},
	{"phrase", `"common word7"`}, {"frequent_phrase", `"word0 word1"`}, {"long_phrase", `"word0 word1 word0"`}, {"usual_phrase", `"word20 word10"`},
	{"one_letter", "w*"}, {"two_letters", "wo*"}, {"three_letters", "wor*"}, {"all_words", "word*"}, {"half_of_words", "word1*"},
	{"many_words", "word15*"}, {"prefix", "word150*"}, {"prefixes", "word1* word2*"}, {"prefix_and_word", "word1* common"},
	{"phrase_prefix", `"common word1"*`},
	{"two_characters", "東京"}, {"japanese", "会議をした"}, {"japanese_and_word", "東京 common"}, {"one_character", "東"},
	{"korean", "한국어"}, {"thai", "ภาษาไทย"}, {"russian", "привет"}, {"accents", "déjà"}, {"emoji_and_word", "🚀 common"},
}

// Benchmark measures a store that FillLarge has filled.
func Benchmark(b *testing.B, s store.Store) {
	ctx := context.Background()
	measured := func(name string, work func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := work(); err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
		})
	}
	measured("LoadNewest", func() (int, error) {
		found, err := s.LoadNewest(ctx)
		return int(found.ID), err
	})
	measured("LoadNamed", func() (int, error) {
		found, err := s.LoadNamed(ctx, "name7")
		return int(found.ID), err
	})
	measured("List100", func() (int, error) {
		entries, err := s.List(ctx, 100)
		return len(entries), err
	})
	measured("Usage", func() (int, error) {
		u, err := s.Usage(ctx)
		return int(u.Snapshots), err
	})
	measured("Names", func() (int, error) {
		names, err := s.Names(ctx, "name1", 100)
		return len(names), err
	})
	middle := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, of := range []struct {
		name   string
		filter store.Filter
	}{
		{"all", store.Filter{}}, {"name", store.Filter{Name: "name7"}}, {"date", store.Filter{To: middle}},
		{"rare", store.Filter{Text: "word19000"}}, {"common", store.Filter{Text: "common"}},
	} {
		measured("Page/"+of.name, func() (int, error) {
			page, err := s.Page(ctx, of.filter, "", 20)
			return len(page.Entries), err
		})
	}
	for _, of := range searches {
		measured("Search/"+of.name, func() (int, error) {
			found, err := s.Search(ctx, of.query, "", 20)
			return len(found.Matches), err
		})
	}
	draft := store.Draft{Name: "bench", Summary: "a summary of it", Context: strings.Repeat("some more of the context ", 160), NextSteps: "next"}
	measured("Save", func() (int, error) {
		saved, err := s.Save(ctx, draft)
		return int(saved.ID), err
	})
}
