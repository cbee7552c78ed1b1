package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// One or two characters of a script without spaces stand for all groups of three that
// begin so, which may be hundreds. To rank by them takes FTS5 longer than to read the
// texts, and where they are in many snapshots, so does finding these.
const (
	// shortGroups is up to how many groups FTS5 ranks.
	shortGroups = 40
	// shortPages is from how many pages of the index on the newest snapshots are read to
	// find matches: up to shortLooked of them, of up to shortBytes of text. If shortEnough
	// are found there, these are the result.
	shortPages  = 8
	shortLooked = 2000
	shortBytes  = 2 << 20
	shortEnough = 50
)

// short says whether a match has a term of so many groups, and whether it is frequent.
func (m ftsMatch) short(costs []int64) (short, frequent bool) {
	frequent = true
	for i, term := range m.terms {
		short = short || term.alternatives > shortGroups
		frequent = frequent && costs[i] >= shortPages
	}
	return short, short && frequent
}

// rankShort is rank for such a match. It ranks the newest alone, by how often and where
// the terms stand in their texts.
func (s *SQLite) rankShort(ctx context.Context, query Query, match ftsMatch, newest int64, frequent bool) ([]rankedID, error) {
	if frequent {
		ranked, err := s.scanShort(ctx, query, newest)
		if err != nil || len(ranked) >= shortEnough {
			return ranked, err
		}
	}
	ids, err := s.newestMatches(ctx, match.table, match.expression(), newest, rankedNewest)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	ranked, err := s.scoreTexts(ctx, query, `WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC`, string(list))
	if err != nil {
		return nil, err
	}
	scored := make(map[int64]bool, len(ranked))
	for _, r := range ranked {
		scored[r.id] = true
	}
	for _, id := range ids { // what was not read for its length comes behind
		if !scored[id] {
			ranked = append(ranked, rankedID{id: id})
		}
	}
	return ranked, nil
}

// scanShort ranks those of the newest snapshots, up to an id, that have all terms.
func (s *SQLite) scanShort(ctx context.Context, query Query, newest int64) ([]rankedID, error) {
	return s.scoreTexts(ctx, query, `WHERE id <= ? ORDER BY id DESC LIMIT ?`, newest, shortLooked)
}

// scoreTexts ranks snapshots that have all terms, the best first: of those that a
// condition selects, until it is enough.
func (s *SQLite) scoreTexts(ctx context.Context, query Query, where string, args ...any) ([]rankedID, error) {
	wanted := make([]string, len(query))
	for i, term := range query {
		wanted[i] = strings.ToLower(term.Text)
	}
	rows, err := s.db.QueryContext(ctx, snapshotColumns+where, args...)
	if err != nil {
		return nil, wrap("search snapshots", err)
	}
	defer rows.Close()
	var ranked []rankedID
	for size := int64(0); size < shortBytes && len(ranked) < rankedNewest && rows.Next(); {
		snapshot, err := scanSnapshot(rows)
		if err != nil {
			return nil, wrap("search snapshots", err)
		}
		size += snapshot.Bytes()
		if score := scoreText(snapshot.Draft, wanted); score > 0 {
			ranked = append(ranked, rankedID{snapshot.ID, -score})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("search snapshots", err)
	}
	slices.SortFunc(ranked, bestFirst)
	return ranked, nil
}

// scoreText is the higher the better, and 0 if a term is missing. The weights are those of
// the ranking by FTS5, and so is that a term counts the less the more of it there is.
func scoreText(draft Draft, wanted []string) float64 {
	fields := []struct {
		text   string
		weight int
	}{{draft.Name, 10}, {draft.Summary, 5}, {draft.Context, 1}, {draft.NextSteps, 2}}
	for i := range fields {
		fields[i].text = strings.ToLower(fields[i].text)
	}
	score := 0.0
	for _, term := range wanted {
		found := 0
		for _, field := range fields {
			found += field.weight * strings.Count(field.text, term)
		}
		if found == 0 {
			return 0
		}
		score += float64(found) / (float64(found) + 1.2)
	}
	return score
}
