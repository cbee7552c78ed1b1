package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

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
	phrase   bool      // whether words must stand in an order
	walks    bool      // see joined
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
	l.phrase = slices.ContainsFunc(l.patterns, func(p pattern) bool { return len(p) > 1 })
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

// candidate is a snapshot that has all words, with those of its postings that were read on
// the way.
type candidate struct {
	id       int64
	postings []posting
}

// elements are all that a snapshot must have.
func (l *lookup) elements() []element { return append([]element{l.rarest}, l.others...) }

// joined are the elements whose places the statement for candidates reads as well, in the
// order of its columns: none, or all words of a query that are no prefixes.
func (l *lookup) joined() []element {
	if !l.walks {
		return nil
	}
	return slices.DeleteFunc(l.elements(), func(e element) bool { return e.prefix })
}

// dense is of how many snapshots one must have all words for the server to walk.
const dense = 8

// walk decides by a batch how the next is read. A phrase may need many. Where the words
// stand together in many snapshots, the server does best to go along the postings of
// each, which also reads those of snapshots that lack another word. Where they do not, it
// is quicker to find out first which have all, and then to look for each word of each.
func (l *lookup) walk(some []candidate) {
	if several := l.rarest.prefix && !l.rarest.many; l.phrase && !several && len(some) > 0 {
		l.walks = some[0].id-some[len(some)-1].id < int64(dense*len(some))
	}
}

// apart are the elements that are not joined.
func (l *lookup) apart() []element {
	if !l.walks {
		return l.elements()
	}
	return slices.DeleteFunc(l.elements(), func(e element) bool { return !e.prefix })
}

// match returns which of the snapshots match, and where. The postings of the elements
// are read first.
func (l *lookup) match(ctx context.Context, some []candidate, elements []element, titles bool) (map[int64]occurrences, error) {
	if len(some) == 0 {
		return nil, nil
	}
	bySnapshot := make(map[int64][]posting, len(some))
	ids := make([]int64, len(some))
	for i, c := range some {
		ids[i] = c.id
		bySnapshot[c.id] = c.postings
	}
	more, err := l.postings(ctx, ids, elements)
	if err != nil {
		return nil, err
	}
	for _, p := range more {
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

// postings are those of elements in the snapshots.
func (l *lookup) postings(ctx context.Context, ids []int64, elements []element) ([]posting, error) {
	var words, from, to [][]byte
	for _, e := range elements {
		if e.prefix {
			from, to = append(from, e.from), append(to, e.to)
		} else {
			words = append(words, e.from)
		}
	}
	var at pgtype.DriverBytes // is decoded before the next row comes
	scan := func(row pgx.CollectableRow) (p posting, err error) {
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
func (l *lookup) candidates(ctx context.Context, below int64, titles bool, limit int) ([]candidate, error) {
	where := conditions{args: []any{l.owner, below}}
	where.add(`true`)
	var from, id string
	switch {
	case titles && l.rarest.many:
		where.args = append(where.args, lookedTitles)
		from, id = `(SELECT id FROM snapshotd_snapshots WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3) AS w`, `w.id`
		l.rarest.required(&where, id, titles)
	case titles:
		where.args = append(where.args, lookedTitles)
		read := `DISTINCT snapshot`
		if l.walks {
			read = `snapshot, places`
		}
		from, id = `(SELECT `+read+` FROM snapshotd_words WHERE owner = $1 AND title AND snapshot < $2
			AND `+l.rarest.condition(&where)+` ORDER BY snapshot DESC LIMIT $3) AS w`, `w.snapshot`
	case l.rarest.many: // it has nearly every snapshot, and all of its words would be sorted
		from, id = `snapshotd_snapshots AS w`, `w.id`
		where.add(`w.owner = $1 AND w.id < $2`)
		l.rarest.required(&where, id, titles)
	default: // with "=" the index has the snapshots of the word in order
		from, id = `snapshotd_words AS w`, `w.snapshot`
		where.add(`w.owner = $1 AND w.snapshot < $2 AND ` + l.rarest.conditionOf(&where, `w.`))
	}
	return l.read(ctx, from, id, &where, titles, limit)
}

// read completes the statement for candidates, and runs it.
func (l *lookup) read(ctx context.Context, from, id string, where *conditions, titles bool, limit int) ([]candidate, error) {
	columns, joined := id, l.joined()
	if l.rarest.prefix && !l.rarest.many && !titles { // it may have several words in a snapshot
		columns = `DISTINCT ` + id
	}
	for i, e := range joined {
		if !l.rarest.prefix && i == 0 { // it is what is read already
			columns += `, w.places`
			continue
		}
		table := fmt.Sprint("w", i)
		columns += `, ` + table + `.places`
		from += ` JOIN snapshotd_words AS ` + table + ` ON ` + table + `.owner = $1 AND ` + table + `.snapshot = ` + id + ` AND ` + table + `.word = ` + where.value(e.from)
		if titles {
			from += ` AND ` + table + `.title`
		}
	}
	for _, e := range l.others {
		if e.prefix || joined == nil {
			e.required(where, id, titles)
		}
	}
	where.args = append(where.args, limit)
	var number int64
	into, places := []any{&number}, make([]pgtype.DriverBytes, len(joined)) // are decoded before the next row comes
	for i := range places {
		into = append(into, &places[i])
	}
	return collect(ctx, l.tx, func(row pgx.CollectableRow) (candidate, error) {
		if err := row.Scan(into...); err != nil {
			return candidate{}, err
		}
		c := candidate{id: number, postings: make([]posting, len(joined))}
		for i, e := range joined {
			c.postings[i] = posting{snapshot: c.id, word: e.from, places: decodePlaces(places[i])}
		}
		return c, nil
	}, `SELECT `+columns+` FROM `+from+` WHERE `+where.String()+` ORDER BY `+id+` DESC LIMIT `+where.last(), planned(where.args...)...)
}

// planned has the server plan a statement for these values. What is right for a rare word
// is wrong for a frequent one, and a plan for any value, such as a prepared statement gets
// after a while, takes a hundred times as long for some.
func planned(args ...any) []any { return append([]any{pgx.QueryExecModeCacheDescribe}, args...) }

// condition is that a word passes, in SQL.
func (e element) condition(where *conditions) string { return e.conditionOf(where, ``) }

// conditionOf is condition for the word of a table, whose name ends with a point.
func (e element) conditionOf(where *conditions, table string) string {
	if !e.prefix {
		return table + `word = ` + where.value(e.from)
	}
	return table + `word >= ` + where.value(e.from) + ` AND ` + table + `word < ` + where.value(e.to)
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
	for size := min(limit, firstBatch); ; size = nextBatch(size, looked, len(found)) {
		some, err := l.candidates(ctx, below, titles, size)
		if err != nil {
			return nil, err
		}
		hits, err := l.match(ctx, some, l.apart(), titles)
		if err != nil {
			return nil, err
		}
		for _, c := range some {
			if hits[c.id] != nil && len(found) < limit {
				found[c.id] = hits[c.id]
			}
		}
		looked += len(some)
		if !titles {
			l.walk(some)
		}
		if len(found) == limit || len(some) < size || looked >= lookedAt && len(found) >= rankedAtLeast {
			return found, nil
		}
		below = some[len(some)-1].id
	}
}

// nextBatch is how many snapshots to look at next: twice as many each time, but not many more
// than lookedAt in all if enough are found by then, nor many more than it takes to find
// enough, if they go on to match as often as before.
func nextBatch(size, looked, found int) int {
	size = min(2*size, largestBatch)
	switch {
	case looked < lookedAt:
		return max(firstBatch, min(size, lookedAt-looked))
	case found > 0:
		return max(firstBatch, min(size, (rankedAtLeast-found)*looked/found*5/4))
	}
	return size
}
