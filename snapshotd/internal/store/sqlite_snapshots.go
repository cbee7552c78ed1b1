package store

import (
	"context"
	"database/sql"
	"errors"
)

// newestFirst is the order of snapshots: creation times have whole seconds only.
const newestFirst = ` ORDER BY created_at DESC, id DESC `

const snapshotColumns = `SELECT id, coalesce(name, ''), summary, context, coalesce(next_steps, ''), created_at, continuation_prompt FROM snapshots `

const entryColumns = `SELECT id, coalesce(name, ''), summary, created_at FROM snapshots`

// orNull stores no name and no next steps as NULL, as the original did.
func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// What selects a snapshot. The plans of these are pinned by a test.
const (
	whereID     = `WHERE id = ?`
	whereNamed  = `WHERE id = (SELECT id FROM snapshots WHERE name = ?` + newestFirst + `LIMIT 1)`
	whereNewest = `WHERE id = (SELECT id FROM snapshots` + newestFirst + `LIMIT 1)`
)

// Load implements [Store].
func (s *SQLite) Load(ctx context.Context, id int64) (Snapshot, error) {
	return s.load(ctx, whereID, id)
}

// LoadNamed implements [Store].
func (s *SQLite) LoadNamed(ctx context.Context, name string) (Snapshot, error) {
	return s.load(ctx, whereNamed, name)
}

// LoadNewest implements [Store].
func (s *SQLite) LoadNewest(ctx context.Context) (Snapshot, error) {
	return s.load(ctx, whereNewest)
}

func (s *SQLite) load(ctx context.Context, where string, args ...any) (Snapshot, error) {
	found, err := scanSnapshot(s.db.QueryRowContext(ctx, snapshotColumns+where, args...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Snapshot{}, ErrNotFound
	case err != nil:
		return Snapshot{}, wrap("load snapshot", err)
	}
	return found, nil
}

// scanSnapshot reads a row of snapshotColumns.
func scanSnapshot(row interface{ Scan(...any) error }) (Snapshot, error) {
	var found Snapshot
	err := row.Scan(&found.ID, &found.Name, &found.Summary,
		&found.Context, &found.NextSteps, &found.CreatedAt, &found.ContinuationPrompt)
	if found.ContinuationPrompt == "" { // of a row that the original's first version wrote
		found.ContinuationPrompt = found.Prompt()
	}
	return found, err
}

// List implements [Store].
func (s *SQLite) List(ctx context.Context, limit int64) ([]Entry, error) {
	return s.entries(ctx, newestFirst+`LIMIT ?`, limit)
}

// entries returns the snapshots of a query's second half.
func (s *SQLite) entries(ctx context.Context, rest string, args ...any) ([]Entry, error) {
	return entriesOf(ctx, s.db, "list snapshots", rest, args...)
}

func entriesOf(ctx context.Context, q querier, doing, rest string, args ...any) ([]Entry, error) {
	return collect(ctx, q, doing, func(rows *sql.Rows) (e Entry, err error) {
		return e, rows.Scan(&e.ID, &e.Name, &e.Summary, &e.CreatedAt)
	}, entryColumns+rest, args...)
}

// collect runs a query and scans each of its rows.
func collect[T any](ctx context.Context, q querier, doing string, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, wrap(doing, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, wrap(doing, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(doing, err)
	}
	return all, nil
}
