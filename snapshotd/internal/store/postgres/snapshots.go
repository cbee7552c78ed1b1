package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// newestFirst is the order of snapshots: creation times have whole seconds only.
const newestFirst = ` ORDER BY created_at DESC, id DESC `

const (
	selectSnapshot = `SELECT id, name, summary, context, next_steps, created_at, continuation_prompt FROM snapshotd_snapshots WHERE owner = $1 `
	selectEntry    = `SELECT id, name, summary, created_at FROM snapshotd_snapshots WHERE owner = $1 `
)

// nameStart is how many bytes of a name are in an index, whose rows are limited.
const nameStart = 64

func startOf(name string) []byte { return []byte(name[:min(len(name), nameStart)]) }

// Load implements [store.Store].
func (s *Store) Load(ctx context.Context, id int64) (store.Snapshot, error) {
	return s.load(ctx, `AND id = $2`, id)
}

// LoadNamed implements [store.Store].
func (s *Store) LoadNamed(ctx context.Context, name string) (store.Snapshot, error) {
	if name == "" || !storable(name) {
		return store.Snapshot{}, store.ErrNotFound
	}
	return s.load(ctx, `AND name_start = $2 AND name = $3`+newestFirst+`LIMIT 1`, startOf(name), name)
}

// LoadNewest implements [store.Store].
func (s *Store) LoadNewest(ctx context.Context) (store.Snapshot, error) {
	return s.load(ctx, newestFirst+`LIMIT 1`)
}

func (s *Store) load(ctx context.Context, rest string, args ...any) (found store.Snapshot, err error) {
	err = s.read(ctx, "load snapshot", func(ctx context.Context, tx pgx.Tx) error {
		found, err = scanSnapshot(tx.QueryRow(ctx, selectSnapshot+rest, append([]any{s.owner}, args...)...))
		if errors.Is(err, pgx.ErrNoRows) {
			return store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return store.Snapshot{}, err
	}
	return found, nil
}

// scanSnapshot reads a row of selectSnapshot.
func scanSnapshot(row pgx.Row) (store.Snapshot, error) {
	var found store.Snapshot
	var created time.Time
	err := row.Scan(&found.ID, &found.Name, &found.Summary, &found.Context, &found.NextSteps, &created, &found.ContinuationPrompt)
	found.CreatedAt = created.UTC().Format(time.DateTime)
	return found, err
}

// List implements [store.Store].
func (s *Store) List(ctx context.Context, limit int64) (entries []store.Entry, err error) {
	most := &limit
	if limit < 0 {
		most = nil // LIMIT NULL is none
	}
	err = s.read(ctx, "list snapshots", func(ctx context.Context, tx pgx.Tx) error {
		entries, err = entriesOf(ctx, tx, newestFirst+`LIMIT $2`, s.owner, most)
		return err
	})
	return entries, err
}

// entriesOf returns the snapshots of the second half of a query.
func entriesOf(ctx context.Context, tx pgx.Tx, rest string, args ...any) ([]store.Entry, error) {
	return collect(ctx, tx, func(row pgx.CollectableRow) (e store.Entry, err error) {
		var created time.Time
		err = row.Scan(&e.ID, &e.Name, &e.Summary, &created)
		e.CreatedAt = created.UTC().Format(time.DateTime)
		return e, err
	}, selectEntry+rest, args...)
}

// collect runs a query and scans each of its rows. It returns nil for none.
func collect[T any](ctx context.Context, tx pgx.Tx, scan pgx.RowToFunc[T], query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]T(nil), rows, scan)
}

// Usage implements [store.Store].
func (s *Store) Usage(ctx context.Context) (store.Usage, error) {
	var a account
	err := s.read(ctx, "read usage", func(ctx context.Context, tx pgx.Tx) (err error) {
		a, err = readAccount(ctx, tx, selectAccount, s.owner)
		return err
	})
	if err != nil {
		return store.Usage{}, err
	}
	return s.usage(a), nil
}
