package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// pruneBatch is how many snapshots one transaction of a retention deletes at most,
// so that no save waits long for it.
const pruneBatch = 100

// Prune implements [store.Store].
func (s *Store) Prune(ctx context.Context, keep store.Retention) (int64, error) {
	var deleted int64
	for {
		var batch []int64
		err := s.write(ctx, "apply the retention", func(ctx context.Context, w *writing) (err error) {
			batch, err = w.pruneBatch(ctx, keep, 0)
			return err
		})
		if err != nil {
			return deleted, err
		}
		s.tell(store.Change{Removed: batch})
		deleted += int64(len(batch))
		if len(batch) < pruneBatch {
			return deleted, nil
		}
	}
}

// pruneBatch deletes the oldest of what the retention does not keep, except one
// snapshot, and returns the ids in ascending order.
func (w *writing) pruneBatch(ctx context.Context, keep store.Retention, except int64) ([]int64, error) {
	if keep.KeepsAll() {
		return nil, nil
	}
	var ids []int64
	if keep.MaxCount > 0 {
		counted := w.account.snapshots
		if !keep.Named {
			counted -= w.account.named
		}
		excess := min(max(counted-keep.MaxCount, 0), pruneBatch)
		var err error
		if ids, err = w.oldest(ctx, keep.Named, except, time.Time{}, excess); err != nil {
			return nil, err
		}
	}
	if keep.MaxAge > 0 {
		aged, err := w.oldest(ctx, keep.Named, except, wholeSecond(w.store.database.settings.Now().Add(-keep.MaxAge)), pruneBatch)
		if err != nil {
			return nil, err
		}
		if len(aged) > len(ids) { // both begin with the oldest, so one holds the other
			ids = aged
		}
	}
	if _, err := w.remove(ctx, ids); err != nil {
		return nil, err
	}
	slices.Sort(ids)
	return ids, nil
}

// oldest returns the oldest snapshots, those before a time if it is not zero.
func (w *writing) oldest(ctx context.Context, named bool, except int64, before time.Time, limit int64) ([]int64, error) {
	if limit == 0 {
		return nil, nil
	}
	var where conditions
	where.add(`owner = ?`, w.store.owner)
	where.add(`id <> ?`, except)
	if !named {
		where.add(`name_start = ?`, []byte{})
	}
	if !before.IsZero() {
		where.add(`created_at < ?`, before)
	}
	where.args = append(where.args, limit)
	return collect(ctx, w.Tx, pgx.RowTo[int64],
		`SELECT id FROM snapshotd_snapshots WHERE `+where.String()+` ORDER BY created_at, id LIMIT `+where.last(), where.args...)
}

// wholeSecond is the first whole second at or after t, as creation times are stored.
func wholeSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}
