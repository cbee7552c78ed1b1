package store

import (
	"context"
	"slices"
	"strings"
)

const (
	// indexedPrefix is the length, in characters, up to which snapshotd_words has an
	// index of prefixes. Such a prefix is found as quickly as a word.
	indexedPrefix = 3
	// prefixPages is how many pages of the index, of some 4 KiB, the words of a longer
	// prefix may fill. FTS5 reads and merges all of them before it gives the first match.
	prefixPages = 128
)

// prefix writes a term with a star in the language of FTS5. A long prefix of so many
// words that merging them would take long is shortened to one of the index, which
// finds more: then the caller looks at what was found itself.
func (s *SQLite) prefix(ctx context.Context, term Term) (expression string, shortened bool, err error) {
	words := strings.Fields(string(fold(term.Text).runes))
	last := []rune(words[len(words)-1])
	if len(last) > indexedPrefix {
		pages, err := s.prefixPages(ctx, string(last))
		if err != nil {
			return "", false, err
		}
		if pages > prefixPages {
			words[len(words)-1] = string(last[:indexedPrefix])
			return quoted(strings.Join(words, " ")) + "*", true, nil
		}
	}
	return quoted(term.Text) + "*", false, nil
}

// prefixPages returns how many pages of the index lie between the first and the last
// word that begins like this. The table snapshotd_words_idx has the first word of
// pages, in each segment of the index, behind a "0" (the others are of prefixes).
func (s *SQLite) prefixPages(ctx context.Context, start string) (pages int64, err error) {
	const before = `(SELECT pgno >> 1 FROM snapshotd_words_idx WHERE segid = id AND term < CAST(? AS BLOB) ORDER BY term DESC LIMIT 1)`
	err = s.db.QueryRowContext(ctx, `WITH RECURSIVE segment(id) AS (
			SELECT min(segid) FROM snapshotd_words_idx
			UNION ALL SELECT (SELECT min(segid) FROM snapshotd_words_idx WHERE segid > id) FROM segment WHERE id IS NOT NULL)
		SELECT coalesce(sum(coalesce(`+before+`, 1) - coalesce(`+before+`, 1)), 0) FROM segment WHERE id IS NOT NULL`,
		afterPrefix("0"+start), "0"+start).Scan(&pages)
	if err != nil {
		return 0, wrap("search snapshots", err)
	}
	return pages, nil
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
