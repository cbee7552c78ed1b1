package postgres

import (
	"context"
	"maps"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// As in SQLite, not every match of a common word is ranked, but the newest, and the
// newest of those that match in name and summary, which would be ranked before others
// anyway.
const (
	rankedNewest = 500
	rankedTitles = store.MaxRanked - rankedNewest
)

// Search implements [store.Store].
func (s *Store) Search(ctx context.Context, text, cursor string, limit int) (store.Matches, error) {
	if err := store.CheckLimit(limit); err != nil {
		return store.Matches{}, err
	}
	query, err := store.ParseQuery(text)
	if err != nil {
		return store.Matches{}, err
	}
	var place *store.SearchCursor
	if cursor != "" {
		parsed, err := store.ParseSearchCursor(cursor)
		if err != nil {
			return store.Matches{}, err
		}
		place = &parsed
	}
	if len(query) == 0 {
		return store.Matches{}, nil
	}
	var found store.Matches
	err = s.read(ctx, "search snapshots", func(ctx context.Context, tx pgx.Tx) (err error) {
		found, err = s.search(ctx, tx, query, place, limit)
		return err
	})
	if err != nil {
		return store.Matches{}, err
	}
	return found, nil
}

func (s *Store) search(ctx context.Context, tx pgx.Tx, query store.Query, place *store.SearchCursor, limit int) (store.Matches, error) {
	all, err := readAccount(ctx, tx, selectAccount, s.owner)
	if err != nil {
		return store.Matches{}, err
	}
	if place == nil {
		place = &store.SearchCursor{Newest: all.lastID}
	}
	look, err := s.newLookup(ctx, tx, query)
	if err != nil {
		return store.Matches{}, err
	}
	hits, err := look.ranked(ctx, place.Newest)
	if err != nil {
		return store.Matches{}, err
	}
	r := ranking{snapshots: all.snapshots, words: all.words, rarity: look.rarity}
	ids, err := s.order(ctx, tx, r, hits)
	if err != nil {
		return store.Matches{}, err
	}
	from := int(min(place.Offset, int64(len(ids))))
	to := min(from+limit, len(ids))
	var found store.Matches
	if to < len(ids) {
		found.Next = store.SearchCursor{Newest: place.Newest, Offset: int64(to)}.String()
	}
	found.Matches, err = s.matches(ctx, tx, query, ids[from:to])
	return found, err
}

// ranked returns the matches that are worth ranking, up to an id.
func (l *lookup) ranked(ctx context.Context, newest int64) (map[int64]occurrences, error) {
	below := int64(math.MaxInt64)
	if newest < math.MaxInt64 {
		below = newest + 1
	}
	hits, err := l.newest(ctx, below, false, l.depth)
	if err != nil || len(hits) < min(l.depth, rankedAtLeast) {
		return hits, err
	}
	for id := range hits {
		below = min(below, id)
	}
	titles, err := l.newest(ctx, below, true, min(l.depth, rankedTitles))
	maps.Copy(hits, titles)
	return hits, err
}

// order returns the ids of the hits, the best first.
func (s *Store) order(ctx context.Context, tx pgx.Tx, r ranking, hits map[int64]occurrences) ([]int64, error) {
	ids := make([]int64, 0, len(hits))
	for id := range hits {
		ids = append(ids, id)
	}
	scored, err := collect(ctx, tx, func(row pgx.CollectableRow) (one scored, err error) {
		var length int64
		err = row.Scan(&one.id, &length)
		one.score = r.score(hits[one.id], length)
		return one, err
	}, `SELECT id, words FROM snapshotd_snapshots WHERE owner = $1 AND id = ANY($2::bigint[])`, s.owner, ids)
	if err != nil {
		return nil, err
	}
	return bestFirst(scored), nil
}

// matches reads what was found. What was deleted meanwhile is left out. The texts,
// which may be long, are in memory one after the other.
func (s *Store) matches(ctx context.Context, tx pgx.Tx, query store.Query, ids []int64) ([]store.Match, error) {
	some, err := collect(ctx, tx, func(row pgx.CollectableRow) (store.Match, error) {
		snapshot, err := scanSnapshot(row)
		return store.Match{
			Entry:   store.Entry{Saved: snapshot.Saved, Name: snapshot.Name, Summary: snapshot.Summary},
			Snippet: query.Snippet(snapshot),
		}, err
	}, selectSnapshot+`AND id = ANY($2::bigint[])`, s.owner, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[int64]store.Match, len(some))
	for _, m := range some {
		byID[m.ID] = m
	}
	var found []store.Match
	for _, id := range ids {
		if m, ok := byID[id]; ok {
			found = append(found, m)
		}
	}
	return found, nil
}
