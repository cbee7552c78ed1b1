package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// newestFirst is the order of snapshots: creation times have whole seconds only.
const newestFirst = ` ORDER BY created_at DESC, id DESC `

const snapshotColumns = `SELECT id, coalesce(name, ''), summary, context, coalesce(next_steps, ''), created_at, continuation_prompt FROM snapshots `

// Save implements [Store].
func (s *SQLite) Save(ctx context.Context, draft Draft) (Saved, error) {
	created := s.now().UTC().Format(time.DateTime)
	// One statement is one transaction, durable when Exec returns.
	result, err := s.db.ExecContext(ctx,
		`INSERT INTO snapshots (name, summary, context, next_steps, created_at, continuation_prompt) VALUES (?, ?, ?, ?, ?, ?)`,
		orNull(draft.Name), draft.Summary, draft.Context, orNull(draft.NextSteps), created, draft.Prompt())
	if err != nil {
		return Saved{}, fmt.Errorf("save snapshot: %w", err)
	}
	id, err := result.LastInsertId()
	if err != nil {
		return Saved{}, fmt.Errorf("save snapshot: %w", err)
	}
	return Saved{ID: id, CreatedAt: created}, nil
}

// orNull stores no name and no next steps as NULL, as the original did.
func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// Load implements [Store].
func (s *SQLite) Load(ctx context.Context, id int64) (Snapshot, error) {
	return s.load(ctx, `WHERE id = ?`, id)
}

// LoadNamed implements [Store].
func (s *SQLite) LoadNamed(ctx context.Context, name string) (Snapshot, error) {
	return s.load(ctx, `WHERE id = (SELECT max(id) FROM snapshots
		WHERE name = ?1 AND created_at = (SELECT max(created_at) FROM snapshots WHERE name = ?1))`, name)
}

// LoadNewest implements [Store].
func (s *SQLite) LoadNewest(ctx context.Context) (Snapshot, error) {
	// Not ORDER BY … LIMIT 1: that sorts all snapshots of the newest second, contexts
	// and all, where this is three searches of an index.
	return s.load(ctx, `WHERE id = (SELECT max(id) FROM snapshots
		WHERE created_at = (SELECT max(created_at) FROM snapshots))`)
}

func (s *SQLite) load(ctx context.Context, where string, args ...any) (Snapshot, error) {
	var found Snapshot
	err := s.db.QueryRowContext(ctx, snapshotColumns+where, args...).Scan(&found.ID, &found.Name, &found.Summary,
		&found.Context, &found.NextSteps, &found.CreatedAt, &found.ContinuationPrompt)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Snapshot{}, ErrNotFound
	case err != nil:
		return Snapshot{}, fmt.Errorf("load snapshot: %w", err)
	}
	if found.ContinuationPrompt == "" { // of a row that the original's first version wrote
		found.ContinuationPrompt = found.Prompt()
	}
	return found, nil
}

// List implements [Store].
func (s *SQLite) List(ctx context.Context, limit int64) ([]Entry, error) {
	rows, err := s.db.QueryContext(ctx,
		`SELECT id, coalesce(name, ''), summary, created_at FROM snapshots`+newestFirst+`LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.ID, &e.Name, &e.Summary, &e.CreatedAt); err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return entries, nil
}

// Delete implements [Store].
func (s *SQLite) Delete(ctx context.Context, id int64) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM snapshots WHERE id = ?`, id)
	if err != nil {
		return fmt.Errorf("delete snapshot: %w", err)
	}
	deleted, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("delete snapshot: %w", err)
	}
	if deleted == 0 {
		return ErrNotFound
	}
	return nil
}
