package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// busyPatience is how long a write tries to get its turn among other processes.
// SQLite's lock has no queue: one that waits within busyTimeout may be unlucky.
const busyPatience = 3 * busyTimeout

// write runs a transaction that holds the file's write lock from its start, so that
// what it reads is still true when it writes. It is durable when write returns nil,
// and has changed nothing if write returns an error.
func (s *SQLite) write(ctx context.Context, doing string, run func(tx *sql.Tx) error) error {
	for deadline := time.Now().Add(busyPatience); ; {
		err := s.attempt(ctx, run)
		switch {
		case err == nil:
			return nil
		case isBusy(err) && ctx.Err() == nil && time.Now().Before(deadline):
			continue
		case errors.Is(err, ErrNotFound):
			return err
		default:
			return wrap(doing, err)
		}
	}
}

func (s *SQLite) attempt(ctx context.Context, run func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil) // BEGIN IMMEDIATE, by the DSN
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	if err := run(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// tell reports a change that is durable.
func (s *SQLite) tell(change Change) {
	if s.settings.Changed == nil || len(change.Added)+len(change.Replaced)+len(change.Removed) == 0 {
		return
	}
	change.User = s.user
	s.settings.Changed(change)
}

const insertSnapshot = `INSERT INTO snapshots (id, name, summary, context, next_steps, created_at, continuation_prompt)
	VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`

// insert adds a row, under the next id if its own is 0. The id is asked back by
// RETURNING, which no trigger can mislead. The statement is kept prepared: parsing
// the triggers behind it takes as long as a short save.
func (s *SQLite) insert(ctx context.Context, tx *sql.Tx, snapshot Snapshot) (id int64, err error) {
	err = tx.StmtContext(ctx, s.inserting).QueryRowContext(ctx, sql.NullInt64{Int64: snapshot.ID, Valid: snapshot.ID != 0},
		orNull(snapshot.Name), snapshot.Summary, snapshot.Context, orNull(snapshot.NextSteps),
		snapshot.CreatedAt, snapshot.ContinuationPrompt).Scan(&id)
	return id, err
}

// Save implements [Store].
func (s *SQLite) Save(ctx context.Context, draft Draft) (Saved, error) {
	if err := s.settings.Limits.Check(draft); err != nil {
		return Saved{}, err
	}
	var saved Saved
	var pruned []int64
	err := s.write(ctx, "save snapshot", func(tx *sql.Tx) error {
		saved = Saved{CreatedAt: s.settings.Now().UTC().Format(time.DateTime)}
		var before Usage
		var err error
		if s.settings.Limits.ofAll() {
			if before, err = s.usage(ctx, tx); err != nil {
				return err
			}
		}
		saved.ID, err = s.insert(ctx, tx, Snapshot{Draft: draft, Saved: saved, ContinuationPrompt: draft.Prompt()})
		if err != nil {
			return err
		}
		pruned, err = s.makeRoom(ctx, tx, before, saved.ID)
		return err
	})
	if err != nil {
		return Saved{}, err
	}
	s.tell(Change{Added: []int64{saved.ID}, Removed: pruned})
	return saved, nil
}

// makeRoom applies the retention and then the limits to a transaction that has
// added a snapshot. One batch of the retention is enough, unless the limits need more.
func (s *SQLite) makeRoom(ctx context.Context, tx *sql.Tx, before Usage, added int64) ([]int64, error) {
	var pruned []int64
	for {
		batch, err := s.pruneBatch(ctx, tx, s.settings.Retention, added)
		if err != nil {
			return nil, err
		}
		pruned = append(pruned, batch...)
		if !s.settings.Limits.ofAll() {
			return pruned, nil
		}
		after, err := s.usage(ctx, tx)
		if err != nil {
			return nil, err
		}
		exceeded := s.settings.Limits.Exceeded(before, after)
		switch {
		case exceeded == nil:
			return pruned, nil
		case len(batch) < pruneBatch:
			exceeded.Suggested, err = suggest(ctx, tx, `id <> ?`, added)
			return nil, errors.Join(err, exceeded)
		}
	}
}

// suggest returns the snapshots that are the first to be thought of for deletion, of
// those that pass a condition: it leaves out what the write itself has added.
func suggest(ctx context.Context, q querier, which string, args ...any) ([]Entry, error) {
	const few = ` ORDER BY created_at, id LIMIT 3`
	found, err := entriesOf(ctx, q, "suggest", ` WHERE `+unnamed+` AND `+which+few, args...)
	if err != nil || len(found) > 0 {
		return found, err
	}
	return entriesOf(ctx, q, "suggest", ` WHERE `+which+few, args...)
}

// Delete implements [Store].
func (s *SQLite) Delete(ctx context.Context, id int64) error {
	err := s.write(ctx, "delete snapshot", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM snapshots WHERE id = ?`, id)
		if err != nil {
			return err
		}
		deleted, err := result.RowsAffected()
		if err == nil && deleted == 0 {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return err
	}
	s.tell(Change{Removed: []int64{id}})
	return nil
}
