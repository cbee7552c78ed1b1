package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// Search is made for an index of any size. The rank of FTS5 (BM25) has to be worked
// out for each match, a tenth of a second for a word in each of 100,000 snapshots.
// So only some matches are ranked: the newest, and the newest of those that match in
// name and summary, which the rank would put before others anyway. FTS5 reads its
// lists from the end as quickly as from the beginning, so finding these costs little.
const (
	rankedNewest = 500
	rankedTitles = MaxRanked - rankedNewest
)

// ftsMatch is what to ask of which full-text table. The expression is "" if
// nothing can match.
type ftsMatch struct {
	table, expression string
	inexact           Query // terms of which it finds more than what has them
}

// Why there are two full-text tables: words (unicode61) is small, quick to write and
// finds "cat" without "concatenate". But a text of Chinese or Japanese is one word to
// it. Groups of three characters (trigram) find any part of any text, and take several
// times the room and time. So every snapshot is in the first, and those that need it
// are in the second as well. A tokenizer of our own would do better than both, and the
// original server could not write to the file any more.
const (
	wordsTable    = "snapshotd_words"
	trigramsTable = "snapshotd_trigrams"
)

// match writes a query in the language of FTS5: strings in quotes, so that nothing
// in them has a meaning, and "*", AND, OR of our own.
func (s *SQLite) match(ctx context.Context, query Query) (ftsMatch, error) {
	if !slices.ContainsFunc(query, func(t Term) bool { return Unspaced(t.Text) }) {
		return s.matchWords(ctx, query)
	}
	var terms []string
	for _, term := range query {
		if utf8.RuneCountInString(term.Text) >= 3 {
			terms = append(terms, quoted(term.Text))
			continue
		}
		groups, err := s.trigrams(ctx, term.Text)
		if err != nil || len(groups) == 0 {
			return ftsMatch{}, err
		}
		terms = append(terms, "("+strings.Join(groups, " OR ")+")")
	}
	return ftsMatch{table: trigramsTable, expression: strings.Join(terms, " AND ")}, nil
}

func (s *SQLite) matchWords(ctx context.Context, query Query) (ftsMatch, error) {
	match := ftsMatch{table: wordsTable}
	terms := make([]string, len(query))
	for i, term := range query {
		if !term.Prefix {
			terms[i] = quoted(term.Text)
			continue
		}
		expression, shortened, err := s.prefix(ctx, term)
		if err != nil {
			return ftsMatch{}, err
		}
		terms[i] = expression
		if shortened {
			match.inexact = append(match.inexact, term)
		}
	}
	match.expression = strings.Join(terms, " AND ")
	return match, nil
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// maxTrigrams bounds the groups that one or two characters stand for.
const maxTrigrams = 500

// trigrams returns the groups that begin with fewer than three characters, quoted:
// the trigram tokenizer makes nothing of so short a text itself.
func (s *SQLite) trigrams(ctx context.Context, start string) ([]string, error) {
	start = strings.ToLower(start)
	return collect(ctx, s.db, "search snapshots", func(rows *sql.Rows) (string, error) {
		var group string
		err := rows.Scan(&group)
		return quoted(group), err
	}, `SELECT term FROM snapshotd_trigram_terms WHERE term >= ? AND term < ? LIMIT ?`, start, afterPrefix(start), maxTrigrams)
}

// Search implements [Store].
func (s *SQLite) Search(ctx context.Context, text, cursor string, limit int) (Matches, error) {
	if err := CheckLimit(limit); err != nil {
		return Matches{}, err
	}
	query, err := ParseQuery(text)
	if err != nil {
		return Matches{}, err
	}
	place, err := s.searchPlace(ctx, cursor)
	if err != nil {
		return Matches{}, err
	}
	match, err := s.match(ctx, query)
	if err != nil || match.expression == "" {
		return Matches{}, err
	}
	ranked, err := s.rank(ctx, match, place.Newest)
	if err != nil {
		return Matches{}, err
	}
	var found Matches
	at := int(min(place.Offset, int64(len(ranked))))
	for ; at < len(ranked) && len(found.Matches) < limit; at++ {
		snapshot, err := s.Load(ctx, ranked[at].id)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return Matches{}, err
		}
		if match.inexact.in(snapshot) {
			found.Matches = append(found.Matches, Match{
				Entry:   Entry{Saved: snapshot.Saved, Name: snapshot.Name, Summary: snapshot.Summary},
				Snippet: query.Snippet(snapshot),
			})
		}
	}
	if at < len(ranked) {
		found.Next = SearchCursor{Newest: place.Newest, Offset: int64(at)}.String()
	}
	return found, nil
}

func (s *SQLite) searchPlace(ctx context.Context, cursor string) (place SearchCursor, err error) {
	if cursor != "" {
		return ParseSearchCursor(cursor)
	}
	if err := s.db.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM snapshots`).Scan(&place.Newest); err != nil {
		return place, wrap("search snapshots", err)
	}
	return place, nil
}

// rankedID is a match before its snapshot is read.
type rankedID struct {
	id   int64
	rank float64 // the lower the better
}

// rank returns the ids of the matches, the best first.
func (s *SQLite) rank(ctx context.Context, match ftsMatch, newest int64) ([]rankedID, error) {
	titles := `{name summary} : (` + match.expression + `)`
	// bm25 is worked out in the inner SELECT, for as many as its LIMIT lets through.
	statement := `SELECT rowid, bm25(` + match.table + `, 10, 5, 1, 2) FROM ` + match.table +
		` WHERE ` + match.table + ` MATCH ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?`
	scan := func(rows *sql.Rows) (r rankedID, err error) { return r, rows.Scan(&r.id, &r.rank) }
	all, err := collect(ctx, s.db, "search snapshots", scan, statement, match.expression, newest, rankedNewest)
	if err != nil {
		return nil, err
	}
	if len(all) == rankedNewest {
		more, err := collect(ctx, s.db, "search snapshots", scan, statement, titles, newest, rankedTitles)
		if err != nil {
			return nil, err
		}
		oldest := all[len(all)-1].id
		for _, r := range more {
			if r.id < oldest {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b rankedID) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.id, a.id))
	})
	return all, nil
}
