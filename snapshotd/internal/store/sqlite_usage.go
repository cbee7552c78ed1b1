package store

import (
	"context"
	"database/sql"
	"slices"
)

// Usage implements [Store].
func (s *SQLite) Usage(ctx context.Context) (Usage, error) {
	u, err := s.usage(ctx, s.db)
	if err != nil {
		return Usage{}, wrap("read usage", err)
	}
	return u, nil
}

// usage reads the totals that triggers keep.
func (s *SQLite) usage(ctx context.Context, q querier) (Usage, error) {
	u := Usage{Limits: s.settings.Limits}
	err := q.QueryRowContext(ctx, `SELECT snapshots, bytes, coalesce(last_write, '') FROM snapshotd_usage`).
		Scan(&u.Snapshots, &u.Bytes, &u.LastWrite)
	return u, err
}

// unnamed is the condition of the index snapshotd_unnamed, word for word.
const unnamed = `coalesce(name, '') = ''`

// oldestFirst ends a query for the oldest, one snapshot excepted.
const oldestFirst = ` AND id <> ? ORDER BY created_at, id LIMIT ?`

// pruneBatch is how many snapshots one transaction of a retention deletes at most,
// so that no save waits long for it.
const pruneBatch = 100

// Prune implements [Store].
func (s *SQLite) Prune(ctx context.Context, keep Retention) (int64, error) {
	var deleted int64
	for {
		var batch []int64
		err := s.write(ctx, "apply the retention", func(tx *sql.Tx) (err error) {
			batch, err = s.pruneBatch(ctx, tx, keep, 0)
			return err
		})
		if err != nil {
			return deleted, err
		}
		s.tell(Change{Removed: batch})
		deleted += int64(len(batch))
		if len(batch) < pruneBatch {
			return deleted, nil
		}
	}
}

// pruneBatch deletes the oldest of what the retention does not keep, except one
// snapshot, and returns the ids in ascending order.
func (s *SQLite) pruneBatch(ctx context.Context, tx *sql.Tx, keep Retention, except int64) ([]int64, error) {
	if keep.KeepsAll() {
		return nil, nil
	}
	which, counted := unnamed, `snapshots - named`
	if keep.Named {
		which, counted = `true`, `snapshots`
	}
	old, excess := "", int64(0)
	if keep.MaxAge > 0 {
		old = wholeSecond(s.settings.Now().Add(-keep.MaxAge))
	}
	if keep.MaxCount > 0 {
		if err := tx.QueryRowContext(ctx, `SELECT `+counted+` - ? FROM snapshotd_usage`, keep.MaxCount).Scan(&excess); err != nil {
			return nil, err
		}
	}
	ids, err := oldest(ctx, tx, which+oldestFirst, except, min(max(excess, 0), pruneBatch))
	if err != nil {
		return nil, err
	}
	aged, err := oldest(ctx, tx, which+` AND created_at < ?`+oldestFirst, old, except, pruneBatch)
	if err != nil {
		return nil, err
	}
	if len(aged) > len(ids) { // both begin with the oldest, so one holds the other
		ids = aged
	}
	for _, id := range ids {
		if _, err := tx.ExecContext(ctx, `DELETE FROM snapshots WHERE id = ?`, id); err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func oldest(ctx context.Context, q querier, where string, args ...any) ([]int64, error) {
	return collect(ctx, q, "find the oldest", func(rows *sql.Rows) (id int64, err error) {
		return id, rows.Scan(&id)
	}, `SELECT id FROM snapshots WHERE `+where, args...)
}
