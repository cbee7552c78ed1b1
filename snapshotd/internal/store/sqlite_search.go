package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"unicode"
)

// ftsMatch is what to ask of which full-text table. Without terms nothing can match.
type ftsMatch struct {
	table   string
	terms   []ftsTerm
	inexact Query // terms of which it finds more than what has them
}

// ftsTerm is a word or phrase in the language of FTS5.
type ftsTerm struct {
	expression string
	parts      []ftsPart // the words of the index that FTS5 reads for it
	// alternatives is how many there are in the expression, of which one is enough: the one
	// part is then the range of all of them. 0 if all parts must stand in their order.
	alternatives int
}

// ftsPart is a word of the index, or all that begin so.
type ftsPart struct {
	expression string
	from, to   string // the keys in the index: from, and up to but without to
}

// expression is that of all terms.
func (m ftsMatch) expression() string {
	expressions := make([]string, len(m.terms))
	for i, term := range m.terms {
		expressions[i] = term.expression
	}
	return strings.Join(expressions, " AND ")
}

// exactPart is one word. The key of a word in an index of FTS5 begins with "0".
func exactPart(word string) ftsPart {
	return ftsPart{expression: quoted(word), from: "0" + word, to: "0" + word + "\x01"}
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
	match := ftsMatch{table: trigramsTable}
	for _, term := range query {
		one := ftsTerm{expression: quoted(term.Text)}
		if text := []rune(strings.ToLower(term.Text)); len(text) >= 3 {
			for i := range len(text) - 2 {
				one.parts = append(one.parts, exactPart(string(text[i:i+3])))
			}
		} else {
			groups, err := s.trigrams(ctx, term.Text)
			if err != nil || len(groups) == 0 {
				return ftsMatch{}, err
			}
			var expressions []string
			for _, group := range groups {
				expressions = append(expressions, quoted(group))
			}
			start := "0" + strings.ToLower(term.Text)
			one.parts = []ftsPart{{from: start, to: start + string(unicode.MaxRune)}}
			one.expression, one.alternatives = "("+strings.Join(expressions, " OR ")+")", len(groups)
		}
		match.terms = append(match.terms, one)
	}
	return match, nil
}

func (s *SQLite) matchWords(ctx context.Context, query Query) (ftsMatch, error) {
	match := ftsMatch{table: wordsTable}
	for _, term := range query {
		words := strings.Fields(string(fold(term.Text).runes))
		one := ftsTerm{expression: quoted(term.Text)}
		for _, word := range words {
			one.parts = append(one.parts, exactPart(word))
		}
		if term.Prefix {
			shortened, err := s.prefix(ctx, &one, words)
			if err != nil {
				return ftsMatch{}, err
			}
			if shortened {
				match.inexact = append(match.inexact, term)
			}
		}
		match.terms = append(match.terms, one)
	}
	return match, nil
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// maxTrigrams bounds the groups that one or two characters stand for.
const maxTrigrams = 500

// trigrams returns the groups that begin with fewer than three characters: the trigram
// tokenizer makes nothing of so short a text itself.
func (s *SQLite) trigrams(ctx context.Context, start string) ([]string, error) {
	start = strings.ToLower(start)
	return collect(ctx, s.db, "search snapshots", func(rows *sql.Rows) (string, error) {
		var group string
		err := rows.Scan(&group)
		return group, err
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
	if err != nil || len(match.terms) == 0 {
		return Matches{}, err
	}
	ranked, err := s.rank(ctx, query, match, place.Newest)
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
