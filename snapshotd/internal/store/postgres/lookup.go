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
	// has the rarest word of a query mostly matches, so the first batch mostly does.
	firstBatch   = 500
	largestBatch = 8000
	// countedMatches is how far the matches of a word are counted: beyond it, all words
	// are equally common.
	countedMatches = 10_000
)

// lookup is a query at work in a transaction: the snapshots with the rarest of its
// words are read, and the places of all its words in these compared.
type lookup struct {
	tx       pgx.Tx
	owner    string
	patterns []pattern
	rarity   []int64 // how many snapshots have a term, at most, for each pattern
	rarest   element
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
	fewest := int64(-1)
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
		}
		l.rarity = append(l.rarity, least)
	}
	return l, results.Close()
}

// occurrences are those of each pattern in a snapshot.
type occurrences [][fieldCount]int

// match returns which of the snapshots match, and where.
func (l *lookup) match(ctx context.Context, ids []int64, titles bool) (map[int64]occurrences, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var from, to [][]byte
	for _, p := range l.patterns {
		for _, e := range p {
			if !slices.ContainsFunc(from, func(b []byte) bool { return bytes.Equal(b, e.from) }) || e.prefix {
				from, to = append(from, e.from), append(to, e.to)
			}
		}
	}
	all, err := collect(ctx, l.tx, func(row pgx.CollectableRow) (p posting, err error) {
		var at []byte
		err = row.Scan(&p.snapshot, &p.word, &at)
		p.places = decodePlaces(at)
		return p, err
	}, `SELECT w.snapshot, w.word, w.places
		FROM unnest($4::bigint[]) AS looked(id)
		CROSS JOIN unnest($2::bytea[], $3::bytea[]) AS wanted(low, high)
		JOIN snapshotd_words AS w ON w.owner = $1 AND w.snapshot = looked.id AND w.word >= wanted.low AND w.word < wanted.high`, l.owner, from, to, ids)
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

// candidates returns snapshots that have the rarest word, those below an id, the newest
// first.
func (l *lookup) candidates(ctx context.Context, below int64, titles bool, limit int) ([]int64, error) {
	// With "=" the index has the snapshots of the word in order.
	which := `AND word = $2 AND $3::bytea IS NOT NULL`
	if l.rarest.prefix {
		which = `AND word >= $2 AND word < $3`
	}
	if titles {
		which += ` AND title`
	}
	return collect(ctx, l.tx, pgx.RowTo[int64], `SELECT DISTINCT snapshot FROM snapshotd_words WHERE owner = $1 `+which+
		` AND snapshot < $4 ORDER BY snapshot DESC LIMIT $5`, l.owner, l.rarest.from, l.rarest.to, below, limit)
}

// newest returns up to so many matches, the newest, below an id.
func (l *lookup) newest(ctx context.Context, below int64, titles bool, limit int) (map[int64]occurrences, error) {
	found := make(map[int64]occurrences)
	for size := firstBatch; ; size = min(4*size, largestBatch) {
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
		if len(found) == limit || len(ids) < size {
			return found, nil
		}
		below = ids[len(ids)-1]
	}
}
