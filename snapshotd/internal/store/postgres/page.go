package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// conditions are joined by AND. Their parameters are numbered as they are added.
type conditions struct {
	parts []string
	args  []any
}

// add adds a condition, in which a question mark stands for each value.
func (c *conditions) add(condition string, values ...any) {
	for _, value := range values {
		c.args = append(c.args, value)
		condition = strings.Replace(condition, "?", c.last(), 1)
	}
	c.parts = append(c.parts, condition)
}

// value adds a value and returns the number that stands for it.
func (c *conditions) value(v any) string {
	c.args = append(c.args, v)
	return c.last()
}

// last is the number of the last parameter, as SQL writes it.
func (c *conditions) last() string { return fmt.Sprint("$", len(c.args)) }

func (c *conditions) String() string { return strings.Join(c.parts, " AND ") }

// Page implements [store.Store].
func (s *Store) Page(ctx context.Context, filter store.Filter, cursor string, limit int) (store.Page, error) {
	if err := store.CheckLimit(limit); err != nil {
		return store.Page{}, err
	}
	query, err := store.ParseQuery(filter.Text)
	if err != nil {
		return store.Page{}, err
	}
	after, err := parsePageCursor(cursor)
	if err != nil {
		return store.Page{}, err
	}
	if !storable(filter.Name+filter.NamePrefix) || filter.Text != "" && len(query) == 0 {
		return store.Page{}, nil
	}
	var entries []store.Entry
	err = s.read(ctx, "list snapshots", func(ctx context.Context, tx pgx.Tx) (err error) {
		entries, err = s.filtered(ctx, tx, filter, query, after, limit+1)
		return err
	})
	if err != nil {
		return store.Page{}, err
	}
	return store.PageOf(entries, limit), nil
}

// position is that of a snapshot in the order of creation. The zero position is before all.
type position struct {
	createdAt time.Time
	id        int64
}

func parsePageCursor(cursor string) (position, error) {
	if cursor == "" {
		return position{}, nil
	}
	parsed, err := store.ParsePageCursor(cursor)
	if err != nil {
		return position{}, err
	}
	return positionOf(store.Saved(parsed))
}

func positionOf(saved store.Saved) (position, error) {
	at, err := time.Parse(time.DateTime, saved.CreatedAt)
	if err != nil {
		return position{}, store.ErrCursor
	}
	return position{at, saved.ID}, nil
}

// filtered returns the next snapshots that pass a filter. A query that an index cannot
// answer alone is asked of one batch after another.
func (s *Store) filtered(ctx context.Context, tx pgx.Tx, filter store.Filter, query store.Query, after position, limit int) ([]store.Entry, error) {
	if len(query) == 0 {
		return s.batch(ctx, tx, filter, nil, after, limit)
	}
	look, err := s.newLookup(ctx, tx, query)
	if err != nil {
		return nil, err
	}
	var found []store.Entry
	for size := max(limit, firstBatch); ; size = min(4*size, largestBatch) {
		some, err := s.batch(ctx, tx, filter, &look.rarest, after, size)
		if err != nil {
			return nil, err
		}
		hits, err := look.match(ctx, bare(some), look.elements(), false)
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if hits[e.ID] != nil && len(found) < limit {
				found = append(found, e)
			}
		}
		if len(found) == limit || len(some) < size {
			return found, nil
		}
		if after, err = positionOf(some[len(some)-1].Saved); err != nil {
			return nil, err
		}
	}
}

// batch returns snapshots that pass all of a filter but its text, and have the element.
func (s *Store) batch(ctx context.Context, tx pgx.Tx, filter store.Filter, having *element, after position, limit int) ([]store.Entry, error) {
	where := conditions{args: []any{s.owner}} // $1 of selectEntry
	where.add(`true`)
	if filter.Name != "" {
		where.add(`name_start = ? AND name = ?`, startOf(filter.Name), filter.Name)
	}
	if filter.NamePrefix != "" {
		where.addPrefix(filter.NamePrefix)
	}
	if !filter.From.IsZero() {
		where.add(`created_at >= ?`, wholeSecond(filter.From))
	}
	if !filter.To.IsZero() {
		where.add(`created_at < ?`, wholeSecond(filter.To))
	}
	if after != (position{}) {
		where.add(`(created_at, id) < (?, ?)`, after.createdAt, after.id)
	}
	if having != nil {
		where.add(`EXISTS (SELECT 1 FROM snapshotd_words AS w WHERE w.owner = $1 AND w.snapshot = id AND w.word >= ? AND w.word < ?)`,
			having.from, having.to)
	}
	where.args = append(where.args, limit)
	return entriesOf(ctx, tx, `AND `+where.String()+newestFirst+`LIMIT `+where.last(), where.args...)
}

// addPrefix adds that a name begins so. The first bytes narrow it down by an index,
// and the comparison of the beginning depends on no collation.
func (c *conditions) addPrefix(prefix string) {
	start := startOf(prefix)
	c.add(`name_start >= ? AND name_start < ? AND left(name, char_length(?::text)) = ?::text`, start, afterPrefix(start), prefix, prefix)
}

// afterPrefix is above all that begin with the prefix, and below what is above these:
// UTF-8 has no byte 0xFF.
func afterPrefix(prefix []byte) []byte { return append(append([]byte(nil), prefix...), 0xFF) }

// Names implements [store.Store].
func (s *Store) Names(ctx context.Context, prefix string, limit int) (names []string, err error) {
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if !storable(prefix) {
		return nil, nil
	}
	var where conditions
	where.add(`owner = ? AND name <> ''`, s.owner)
	if prefix != "" {
		where.addPrefix(prefix)
	}
	where.args = append(where.args, limit)
	err = s.read(ctx, "list names", func(ctx context.Context, tx pgx.Tx) error {
		names, err = collect(ctx, tx, pgx.RowTo[string], `SELECT name FROM snapshotd_snapshots WHERE `+where.String()+
			` GROUP BY name ORDER BY max(created_at) DESC, max(id) DESC LIMIT `+where.last(), where.args...)
		return err
	})
	return names, err
}

// bare are snapshots of which no postings have been read.
func bare(entries []store.Entry) []candidate {
	some := make([]candidate, len(entries))
	for i, e := range entries {
		some[i].id = e.ID
	}
	return some
}
