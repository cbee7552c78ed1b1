package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"slices"
	"strings"
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

// What is left costs as much as the lists of the words are long, which is measured in
// pages of the index, of some 4 KiB: a word in each of 100,000 snapshots fills 120 to 250,
// and reading those takes three milliseconds, of a phrase twice as long.
const (
	// weighedPages is how many pages are read to rank, since BM25 asks for each term how
	// many snapshots have it, and to look for terms in name and summary. Terms with more
	// of them than there is room for are the most frequent ones, which weigh least: they
	// must occur somewhere, and do not count.
	weighedPages = 250
	// phraseCost is how much longer it takes to compare places than to read them.
	phraseCost = 2
)

// rankedID is a match before its snapshot is read.
type rankedID struct {
	id   int64
	rank float64 // the lower the better
}

// rank returns the ids of the matches, the best first.
func (s *SQLite) rank(ctx context.Context, query Query, match ftsMatch, newest int64) ([]rankedID, error) {
	costs, err := s.costs(ctx, match)
	if err != nil {
		return nil, err
	}
	if short, frequent := match.short(costs); short {
		return s.rankShort(ctx, query, match, newest, frequent)
	}
	all, err := s.newestMatches(ctx, match.table, match.expression(), newest, rankedNewest)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	weighing := match.weighing(costs)
	var titles []int64
	if len(all) == rankedNewest {
		if titles, err = s.titles(ctx, match, weighing, costs, all[len(all)-1]-1); err != nil {
			return nil, err
		}
	}
	if near(titles, all) {
		all, titles = append(all, titles...), nil
	}
	ranked, err := s.weigh(ctx, match.table, weighing, all)
	if err != nil {
		return nil, err
	}
	more, err := s.weigh(ctx, match.table, inTitles(weighing), titles)
	if err != nil {
		return nil, err
	}
	ranked = append(ranked, more...)
	slices.SortFunc(ranked, bestFirst)
	return ranked, nil
}

// titles returns the ids of the newest that match and have the words of the weighing in
// name and summary, up to an id. FTS5 reads the lists of all words to their ends if one of
// them is in no title, so those that weigh nothing are asked for afterwards, and no
// farther back than weighedPages allow.
func (s *SQLite) titles(ctx context.Context, match ftsMatch, weighing string, costs []int64, to int64) ([]int64, error) {
	ids, err := s.newestMatches(ctx, match.table, inTitles(weighing), to, rankedTitles)
	if err != nil || len(ids) == 0 || weighing == match.expression() {
		return ids, err
	}
	total := int64(0)
	for _, cost := range costs {
		total += cost
	}
	farthest := to - int64(float64(to)*min(1, weighedPages/float64(max(total, 1))))
	ids = slices.DeleteFunc(ids, func(id int64) bool { return id < farthest })
	return s.among(ctx, match, ids)
}

// among returns those of the ids that match.
func (s *SQLite) among(ctx context.Context, match ftsMatch, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s.db, "search snapshots", func(rows *sql.Rows) (id int64, err error) {
		return id, rows.Scan(&id)
	}, `SELECT rowid FROM `+match.table+` WHERE `+match.table+` MATCH ? AND rowid BETWEEN ? AND ?
		AND +rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid DESC`,
		match.expression(), slices.Min(ids), slices.Max(ids), string(list))
}

// bestFirst is the order of results: equals are newest first.
func bestFirst(a, b rankedID) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.id, a.id))
}

// near says whether ids stand so close behind others that one query for both, which
// passes over what is between, is quicker than two.
func near(ids, before []int64) bool {
	const several = 8
	return len(ids) > 0 && before[0]-ids[len(ids)-1] <= several*(before[0]-before[len(before)-1])
}

func inTitles(expression string) string { return `({name summary} : (` + expression + `))` }

// newestMatches returns the ids of the newest that match, up to an id.
func (s *SQLite) newestMatches(ctx context.Context, table, expression string, to int64, limit int) ([]int64, error) {
	return collect(ctx, s.db, "search snapshots", func(rows *sql.Rows) (id int64, err error) {
		return id, rows.Scan(&id)
	}, `SELECT rowid FROM `+table+` WHERE `+table+` MATCH ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?`, expression, to, limit)
}

// weigh returns the ids with their ranks, by an expression that finds them among others.
func (s *SQLite) weigh(ctx context.Context, table, expression string, ids []int64) ([]rankedID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]float64, len(ids))
	// The plus keeps SQLite from asking FTS5 for one id after another.
	_, err = collect(ctx, s.db, "search snapshots", func(rows *sql.Rows) (none struct{}, err error) {
		var r rankedID
		err = rows.Scan(&r.id, &r.rank)
		found[r.id] = r.rank
		return none, err
	}, `SELECT rowid, bm25(`+table+`, 10, 5, 1, 2) FROM `+table+` WHERE `+table+` MATCH ?
		AND rowid BETWEEN ? AND ? AND +rowid IN (SELECT value FROM json_each(?))`,
		expression, slices.Min(ids), slices.Max(ids), string(list))
	if err != nil {
		return nil, err
	}
	ranked := make([]rankedID, len(ids))
	for i, id := range ids {
		ranked[i] = rankedID{id, found[id]} // 0, after all others, if it was deleted meanwhile
	}
	return ranked, nil
}

// costs are how many pages it takes to read each term of a match.
func (s *SQLite) costs(ctx context.Context, match ftsMatch) ([]int64, error) {
	var parts []ftsPart
	for _, term := range match.terms {
		parts = append(parts, term.parts...)
	}
	pages, err := s.pages(ctx, match.table, parts)
	if err != nil {
		return nil, err
	}
	costs := make([]int64, len(match.terms))
	for i, term := range match.terms {
		for _, n := range pages[:len(term.parts)] {
			costs[i] += n
		}
		pages = pages[len(term.parts):]
		if len(term.parts) > 1 && term.alternatives == 0 {
			costs[i] *= phraseCost
		}
	}
	return costs, nil
}

// weighing is an expression that finds what the match finds, and more, within
// weighedPages: the terms that cost least, one at least, or a word of it.
func (m ftsMatch) weighing(costs []int64) string {
	order := make([]int, len(m.terms))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(costs[a], costs[b]) })
	var kept []string
	total := int64(0)
	for _, i := range order {
		term := m.terms[i]
		if total += costs[i]; total <= weighedPages {
			kept = append(kept, term.expression)
			continue
		}
		if len(kept) > 0 {
			break
		}
		if term.alternatives > 0 || len(term.parts) == 0 {
			return term.expression
		}
		return term.parts[0].expression
	}
	return strings.Join(kept, " AND ")
}

// pages returns about how many pages of an index the words of each part fill. The table
// <table>_idx has, for each segment of the index, the first word of pages, and
// <table>_data the pages themselves, under the number of the segment and their own.
func (s *SQLite) pages(ctx context.Context, table string, parts []ftsPart) ([]int64, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	keys := make([][2]string, len(parts))
	for i, part := range parts {
		keys[i] = [2]string{part.from, part.to}
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	const first = `(SELECT pgno >> 1 FROM INDEX WHERE segid = id AND term <= CAST(value ->> 0 AS BLOB) ORDER BY term DESC LIMIT 1)`
	const beyond = `(SELECT pgno >> 1 FROM INDEX WHERE segid = id AND term >= CAST(value ->> 1 AS BLOB) ORDER BY term LIMIT 1)`
	statement := strings.ReplaceAll(`WITH RECURSIVE segment(id) AS (
			SELECT min(segid) FROM INDEX
			UNION ALL SELECT (SELECT min(segid) FROM INDEX WHERE segid > id) FROM segment WHERE id IS NOT NULL),
		sized(id, last) AS MATERIALIZED (SELECT id, (SELECT max(d.id) & 0x7fffffff FROM DATA AS d
			WHERE d.id BETWEEN segment.id << 37 AND (segment.id << 37) + 0x7fffffff) FROM segment WHERE id IS NOT NULL)
		SELECT (SELECT coalesce(sum(coalesce(`+beyond+`, last) - coalesce(`+first+`, 1)), 0) FROM sized) FROM json_each(?) ORDER BY key`,
		"INDEX", table+"_idx")
	return collect(ctx, s.db, "search snapshots", func(rows *sql.Rows) (n int64, err error) {
		err = rows.Scan(&n)
		return min(max(n, 0), math.MaxInt32), err
	}, strings.ReplaceAll(statement, "DATA", table+"_data"), string(list))
}
