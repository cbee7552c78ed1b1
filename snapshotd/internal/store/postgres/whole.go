package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// All implements [store.Whole]. It is not begun anew where the connection breaks, since
// what it has given cannot be taken back.
func (s *Store) All(ctx context.Context, do func(iter.Seq2[store.Snapshot, error]) error) error {
	var failed error
	begun := false
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := s.transact(ctx, "read snapshots", options, func(ctx context.Context, tx pgx.Tx) error {
		if !begun {
			begun = true
			failed = do(s.each(ctx, tx))
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// each yields all snapshots that a transaction sees, in the order of their ids.
func (s *Store) each(ctx context.Context, tx pgx.Tx) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		for after := int64(0); ; {
			page, err := s.export(ctx, tx, after, checkPage)
			if err != nil {
				yield(store.Snapshot{}, wrap("read snapshots", err))
				return
			}
			if len(page) == 0 {
				return
			}
			for _, snapshot := range page {
				if !yield(snapshot, nil) {
					return
				}
			}
			after = page[len(page)-1].ID
		}
	}
}

// Replace implements [store.Whole]. Ids that were given once are not given again.
func (s *Store) Replace(ctx context.Context, snapshots iter.Seq2[store.Snapshot, error], how store.Replacement) (n int64, err error) {
	var change store.Change
	err = s.write(ctx, "replace snapshots", func(ctx context.Context, w *writing) error {
		change = store.Change{}
		if w.account.snapshots > 0 {
			if how.Vacant {
				return fmt.Errorf("%w: there are %d snapshots", fs.ErrExist, w.account.snapshots)
			}
			if how.Aside != nil {
				if err := how.Aside(s.each(ctx, w.Tx)); err != nil {
					return fmt.Errorf("put aside what there is: %w", err)
				}
			}
		}
		if change.Removed, err = w.clear(ctx); err != nil {
			return err
		}
		for snapshot, err := range snapshots {
			if err != nil {
				return err
			}
			id, err := w.take(ctx, snapshot)
			if err != nil {
				return err
			}
			change.Added = append(change.Added, id)
			if how.Written != nil {
				how.Written(int64(len(change.Added)))
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	s.tell(change)
	return int64(len(change.Added)), nil
}

// clear deletes all snapshots of the user and returns their ids.
func (w *writing) clear(ctx context.Context) ([]int64, error) {
	if err := w.clearWords(ctx); err != nil {
		return nil, err
	}
	removed, err := collect(ctx, w.Tx, pgx.RowTo[int64], `DELETE FROM snapshotd_snapshots WHERE owner = $1 RETURNING id`, w.store.owner)
	if err != nil {
		return nil, err
	}
	w.account = account{lastID: w.account.lastID, lastWrite: w.account.lastWrite, writes: w.account.writes}
	w.changed = true
	return removed, nil
}

// wordsCleared is about how many rows of the search index one statement deletes, so that
// it ends well within [statementTimeout].
const wordsCleared = 100_000

// clearWords deletes the whole search index of the user.
func (w *writing) clearWords(ctx context.Context) error {
	for after := int64(math.MinInt64); ; {
		var last *int64
		err := w.QueryRow(ctx, `SELECT max(snapshot) FROM (SELECT snapshot FROM snapshotd_words
			WHERE owner = $1 AND snapshot > $2 ORDER BY snapshot LIMIT $3) AS beginning`, w.store.owner, after, wordsCleared).Scan(&last)
		if err != nil || last == nil {
			return err
		}
		_, err = w.Exec(ctx, `DELETE FROM snapshotd_words WHERE owner = $1 AND snapshot > $2 AND snapshot <= $3`, w.store.owner, after, *last)
		if err != nil {
			return err
		}
		after = *last
	}
}

// take adds a snapshot from elsewhere under its own id.
func (w *writing) take(ctx context.Context, snapshot store.Snapshot) (int64, error) {
	ready, err := store.Importable(snapshot)
	if err == nil {
		err = checkTexts(ready)
	}
	if err != nil {
		return 0, fmt.Errorf("snapshot %d: %w", snapshot.ID, err)
	}
	return w.insert(ctx, ready, indexOf(ready.Draft))
}

var _ store.Whole = (*Store)(nil)
