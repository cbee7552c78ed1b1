package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	// indexedPrefix is the length, in characters, up to which snapshotd_words has an
	// index of prefixes. Such a prefix is found as quickly as a word.
	indexedPrefix = 3
	// prefixPages is how many pages of the index, of some 4 KiB, the words of a longer
	// prefix may fill. FTS5 reads and merges all of them before it gives the first match.
	prefixPages = 128
)

// prefix makes a term one with a star, whose words these are. A long prefix of so many
// words that merging them would take long is shortened to one of the index, which
// finds more: then the caller looks at what was found itself.
func (s *SQLite) prefix(ctx context.Context, term *ftsTerm, words []string) (shortened bool, err error) {
	term.expression += "*"
	if len(words) == 0 {
		return false, nil // what FTS5 makes of it is not known here
	}
	end := len(words) - 1
	last := []rune(words[end])
	part := ftsPart{expression: quoted(words[end]) + "*", from: "0" + words[end], to: "0" + words[end] + string(unicode.MaxRune)}
	if len(last) > indexedPrefix {
		pages, err := s.pages(ctx, wordsTable, []ftsPart{part})
		if err != nil {
			return false, err
		}
		if shortened = pages[0] > prefixPages; shortened {
			last = last[:indexedPrefix]
			words[end] = string(last)
			term.expression = quoted(strings.Join(words, " ")) + "*"
			part.expression = quoted(words[end]) + "*"
		}
	}
	if len(last) <= indexedPrefix { // the key of such a prefix begins with its length
		key := strconv.Itoa(len(last)) + words[end]
		part.from, part.to = key, key+"\x01"
	}
	term.parts[end] = part
	return shortened, nil
}

// in says whether the snapshot has all terms.
func (q Query) in(s Snapshot) bool {
	if len(q) == 0 {
		return true
	}
	var fields []foldedText
	for _, text := range []string{s.Name, s.Summary, s.Context, s.NextSteps} {
		fields = append(fields, fold(text))
	}
	return !slices.ContainsFunc(q, func(term Term) bool {
		return !slices.ContainsFunc(fields, func(f foldedText) bool { return len(Query{term}.find(f)) > 0 })
	})
}
