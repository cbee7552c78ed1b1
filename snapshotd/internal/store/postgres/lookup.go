package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const (
	// firstBatch and largestBatch bound how many snapshots are looked at at once. What
	// has all words of a query mostly matches, so the first batch mostly does.
	firstBatch   = 500
	largestBatch = 8000
	// countedMatches is how far the matches of a word are counted: beyond it, all words
	// are equally common.
	countedMatches = 5000
	// rankedAtLeast is how many matches are looked for at least. Those beyond, up to
	// rankedNewest, are looked for only as far as it is cheap: within rankedPostings words
	// to read, and lookedAt snapshots that have the words of a phrase and may not match.
	rankedAtLeast  = 100
	rankedPostings = 1500
	lookedAt       = 4000
	// lookedTitles is how many snapshots are looked at that have the rarest word of a query
	// in name or summary.
	lookedTitles = 2000
)

// lookup is a query at work in a transaction: the snapshots with the rarest of its
// words are read, and the places of all its words in these compared.
type lookup struct {
	tx       pgx.Tx
	owner    string
	patterns []pattern
	rarity   []int64 // how many snapshots have a term, at most, for each pattern
	rarest   element
	others   []element // that a snapshot must have beside it
	depth    int       // how many of the newest matches are ranked
}

func (s *Store) newLookup(ctx context.Context, tx pgx.Tx, query store.Query) (*lookup, error) {
	l := &lookup{tx: tx, owner: s.owner, patterns: patternsOf(query)}
	var batch pgx.Batch
	for _, p := range l.patterns {
		for _, e := range p {
			batch.Queue(`SELECT count(*) FROM (SELECT 1 FROM snapshotd_words WHERE owner = $1 AND word >= $2 AND word < $3 LIMIT $4) AS found`,
				l.owner, e.from, e.to, countedMatches)
		}
	}
	results := tx.SendBatch(ctx, &batch)
	fewest, many := int64(-1), false
	for _, p := range l.patterns {
		least := int64(countedMatches)
		for _, e := range p {
			var n int64
			if err := results.QueryRow().Scan(&n); err != nil {
				_ = results.Close() // the first error says why
				return nil, err
			}
			least = min(least, n)
			if fewest < 0 || n < fewest || n == fewest && l.rarest.prefix && !e.prefix {
				fewest, l.rarest = n, e
			}
			if e.prefix && n == countedMatches {
				many = true
			}
		}
		l.rarity = append(l.rarity, least)
	}
	l.rarest.many = l.rarest.prefix && fewest == countedMatches
	l.plan(many)
	return l, results.Close()
}

// plan finds what else a snapshot must have, and how much of it is ranked: fewer of many
// words, and fewest of a prefix that begins many, since all of their places are read.
func (l *lookup) plan(manyWords bool) {
	elements := 0
	for _, p := range l.patterns {
		for _, e := range p {
			elements++
			known := func(o element) bool { return bytes.Equal(o.from, e.from) && o.prefix == e.prefix }
			if !known(l.rarest) && !slices.ContainsFunc(l.others, known) {
				l.others = append(l.others, e)
			}
		}
	}
	l.depth = max(rankedAtLeast, min(rankedNewest, rankedPostings/elements))
	if manyWords {
		l.depth = rankedAtLeast
	}
}

// occurrences are those of each pattern in a snapshot.
type occurrences [][fieldCount]int

// match returns which of the snapshots match, and where.
func (l *lookup) match(ctx context.Context, ids []int64, titles bool) (map[int64]occurrences, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	all, err := l.postings(ctx, ids)
	if err != nil {
		return nil, err
	}
	bySnapshot := make(map[int64][]posting)
	for _, p := range all {
		bySnapshot[p.snapshot] = append(bySnapshot[p.snapshot], p)
	}
	found := make(map[int64]occurrences)
	for id, some := range bySnapshot {
		if counts := l.occurrences(once(some), titles); counts != nil {
			found[id] = counts
		}
	}
	return found, nil
}

// postings are those of all elements in the snapshots.
func (l *lookup) postings(ctx context.Context, ids []int64) ([]posting, error) {
	var words, from, to [][]byte
	for _, e := range append(l.others[:len(l.others):len(l.others)], l.rarest) {
		if e.prefix {
			from, to = append(from, e.from), append(to, e.to)
		} else {
			words = append(words, e.from)
		}
	}
	scan := func(row pgx.CollectableRow) (p posting, err error) {
		var at []byte
		err = row.Scan(&p.snapshot, &p.word, &at)
		p.places = decodePlaces(at)
		return p, err
	}
	var all []posting
	if len(words) > 0 {
		some, err := collect(ctx, l.tx, scan, `SELECT snapshot, word, places FROM snapshotd_words
			WHERE owner = $1 AND word = ANY($2::bytea[]) AND snapshot = ANY($3::bigint[])`, planned(l.owner, words, ids)...)
		if err != nil {
			return nil, err
		}
		all = some
	}
	if len(from) > 0 {
		some, err := collect(ctx, l.tx, scan, `SELECT w.snapshot, w.word, w.places
			FROM unnest($4::bigint[]) AS looked(id)
			CROSS JOIN unnest($2::bytea[], $3::bytea[]) AS wanted(low, high)
			JOIN snapshotd_words AS w ON w.owner = $1 AND w.snapshot = looked.id AND w.word >= wanted.low AND w.word < wanted.high`,
			planned(l.owner, from, to, ids)...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// once leaves out the words of a snapshot that were found by several elements.
func once(postings []posting) []posting {
	slices.SortFunc(postings, func(a, b posting) int { return bytes.Compare(a.word, b.word) })
	return slices.CompactFunc(postings, func(a, b posting) bool { return bytes.Equal(a.word, b.word) })
}

// occurrences returns nil if a pattern does not occur, or, for titles, not in the name
// or the summary.
func (l *lookup) occurrences(postings []posting, titles bool) occurrences {
	counts := make(occurrences, len(l.patterns))
	for i, p := range l.patterns {
		counts[i] = p.occurrences(postings)
		sum := counts[i][fieldName] + counts[i][fieldSummary]
		if !titles {
			sum += counts[i][fieldContext] + counts[i][fieldNextSteps]
		}
		if sum == 0 {
			return nil
		}
	}
	return counts
}

// candidates returns snapshots that have all words, those below an id, the newest first.
// For titles they are among the newest that have the rarest of them there.
func (l *lookup) candidates(ctx context.Context, below int64, titles bool, limit int) ([]int64, error) {
	where := conditions{args: []any{l.owner, below}}
	where.add(`true`)
	var from, id string
	switch {
	case titles && l.rarest.many:
		where.args = append(where.args, lookedTitles)
		from, id = `SELECT w.id FROM (SELECT id FROM snapshotd_snapshots WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3) AS w`, `w.id`
		l.rarest.required(&where, id, titles)
	case titles:
		where.args = append(where.args, lookedTitles)
		from, id = `SELECT w.snapshot FROM (SELECT DISTINCT snapshot FROM snapshotd_words WHERE owner = $1 AND title AND snapshot < $2
			AND `+l.rarest.condition(&where)+` ORDER BY snapshot DESC LIMIT $3) AS w`, `w.snapshot`
	case l.rarest.many: // it has nearly every snapshot, and all of its words would be sorted
		from, id = `SELECT s.id FROM snapshotd_snapshots AS s`, `s.id`
		where.add(`s.owner = $1 AND s.id < $2`)
		l.rarest.required(&where, id, titles)
	case l.rarest.prefix:
		from, id = `SELECT DISTINCT w.snapshot FROM snapshotd_words AS w`, `w.snapshot`
		where.add(`w.owner = $1 AND w.snapshot < $2 AND ` + l.rarest.condition(&where))
	default: // with "=" the index has the snapshots of the word in order
		from, id = `SELECT w.snapshot FROM snapshotd_words AS w`, `w.snapshot`
		where.add(`w.owner = $1 AND w.snapshot < $2 AND ` + l.rarest.condition(&where))
	}
	for _, e := range l.others {
		e.required(&where, id, titles)
	}
	where.args = append(where.args, limit)
	return collect(ctx, l.tx, pgx.RowTo[int64], from+` WHERE `+where.String()+` ORDER BY `+id+` DESC LIMIT `+where.last(), planned(where.args...)...)
}

// planned has the server plan a statement for these values. What is right for a rare word
// is wrong for a frequent one, and a plan for any value, such as a prepared statement gets
// after a while, takes a hundred times as long for some.
func planned(args ...any) []any { return append([]any{pgx.QueryExecModeCacheDescribe}, args...) }

// condition is that a word passes, in SQL.
func (e element) condition(where *conditions) string {
	if !e.prefix {
		return `word = ` + where.value(e.from)
	}
	return `word >= ` + where.value(e.from) + ` AND word < ` + where.value(e.to)
}

// required adds that a snapshot has the element. The owner is $1.
func (e element) required(where *conditions, id string, titles bool) {
	title := ""
	if titles {
		title = ` AND title`
	}
	where.add(`EXISTS (SELECT 1 FROM snapshotd_words WHERE owner = $1 AND snapshot = ` + id + title + ` AND ` + e.condition(where) + `)`)
}

// newest returns up to so many matches, the newest, below an id.
func (l *lookup) newest(ctx context.Context, below int64, titles bool, limit int) (map[int64]occurrences, error) {
	found := make(map[int64]occurrences)
	looked := 0
	for size := min(limit, firstBatch); ; size = min(2*size, largestBatch) {
		ids, err := l.candidates(ctx, below, titles, size)
		if err != nil {
			return nil, err
		}
		hits, err := l.match(ctx, ids, titles)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if hits[id] != nil && len(found) < limit {
				found[id] = hits[id]
			}
		}
		looked += len(ids)
		if len(found) == limit || len(ids) < size || looked >= lookedAt && len(found) >= rankedAtLeast {
			return found, nil
		}
		below = ids[len(ids)-1]
	}
}
