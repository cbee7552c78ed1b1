package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
)

// The order of pages is not that of the full-text index, which goes by id. So a page
// of few matches reads them all and sorts them, and one of many walks through the
// snapshots, newest first, and asks the index which of them match, until the page is
// full: with many matches that is soon.
const (
	// fewMatches is up to how many matches are read and sorted.
	fewMatches = 1000
	// textChunk and maxTextChunk are how many snapshots are looked at for one query of
	// the index: more each time, so that a walk to the very end makes few queries.
	textChunk, maxTextChunk = 128, 1 << 15
)

// pageOfText is a page of the snapshots that match a text and the other conditions.
func (s *SQLite) pageOfText(ctx context.Context, text string, where *where, limit int) (Page, error) {
	query, err := ParseQuery(text)
	if err != nil {
		return Page{}, err
	}
	match, err := s.match(ctx, query)
	if err != nil || len(match.terms) == 0 {
		return Page{}, err
	}
	var matches int
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+match.table+` WHERE `+match.table+` MATCH ? LIMIT ?)`,
		match.expression(), fewMatches+1).Scan(&matches)
	if err != nil {
		return Page{}, wrap("list snapshots", err)
	}
	if matches > fewMatches {
		return s.walk(ctx, match, where, limit)
	}
	where.add(`id IN (SELECT rowid FROM `+match.table+` WHERE `+match.table+` MATCH ?)`, match.expression())
	entries, err := s.entries(ctx, where.sql()+sortedNewestFirst, where.args...)
	if err != nil {
		return Page{}, err
	}
	var passed []Entry
	for _, e := range entries {
		if len(passed) > limit {
			break
		}
		if has, err := s.has(ctx, e.ID, match.inexact); err != nil {
			return Page{}, err
		} else if has {
			passed = append(passed, e)
		}
	}
	return PageOf(passed, limit), nil
}

// sortedNewestFirst is newestFirst without the help of an index, which would read
// every snapshot to find a few.
const sortedNewestFirst = ` ORDER BY +created_at DESC, +id DESC `

// walk is pageOfText for many matches.
func (s *SQLite) walk(ctx context.Context, match ftsMatch, where *where, limit int) (Page, error) {
	var passed []Saved
	fixed := *where
	for chunk := max(textChunk, 4*limit); len(passed) <= limit; chunk = min(4*chunk, maxTextChunk) {
		candidates, err := s.candidates(ctx, match, where, chunk)
		if err != nil {
			return Page{}, err
		}
		for _, c := range candidates {
			if len(passed) > limit || !c.matches {
				continue
			}
			if has, err := s.has(ctx, c.ID, match.inexact); err != nil {
				return Page{}, err
			} else if has {
				passed = append(passed, c.Saved)
			}
		}
		if len(candidates) < chunk {
			break
		}
		*where = fixed
		where.after(PageCursor(candidates[chunk-1].Saved))
	}
	return s.pageOfPlaces(ctx, passed, limit)
}

// candidate is a snapshot that a walk comes by.
type candidate struct {
	Saved
	matches bool
}

// candidates returns the next snapshots of a walk. The index is asked for those between
// the lowest and the highest id of them: mostly they were saved one after the other.
func (s *SQLite) candidates(ctx context.Context, match ftsMatch, where *where, chunk int) ([]candidate, error) {
	return collect(ctx, s.db, "list snapshots", func(rows *sql.Rows) (c candidate, err error) {
		return c, rows.Scan(&c.ID, &c.CreatedAt, &c.matches)
	}, `WITH candidate AS MATERIALIZED (SELECT id, created_at FROM snapshots`+where.sql()+newestFirst+`LIMIT ?)
		SELECT id, created_at, id IN (SELECT rowid FROM `+match.table+` WHERE `+match.table+` MATCH ?
			AND rowid BETWEEN (SELECT min(id) FROM candidate) AND (SELECT max(id) FROM candidate))
		FROM candidate`+newestFirst, append(where.args[:len(where.args):len(where.args)], chunk, match.expression())...)
}

// has says whether a snapshot has the terms. One that was deleted meanwhile has none.
func (s *SQLite) has(ctx context.Context, id int64, terms Query) (bool, error) {
	if len(terms) == 0 {
		return true, nil
	}
	snapshot, err := s.Load(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && terms.in(snapshot), err
}

// pageOfPlaces reads the entries of a page, whose places are one more than the limit
// if there is another.
func (s *SQLite) pageOfPlaces(ctx context.Context, places []Saved, limit int) (Page, error) {
	var page Page
	if len(places) > limit {
		places = places[:limit]
		page.Next = PageCursor(places[limit-1]).String()
	}
	ids := make([]int64, len(places))
	for i, place := range places {
		ids[i] = place.ID
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return Page{}, err
	}
	page.Entries, err = s.entries(ctx, ` WHERE id IN (SELECT value FROM json_each(?))`+sortedNewestFirst, string(list))
	return page, err
}
