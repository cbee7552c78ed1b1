package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Export implements [Store].
func (s *SQLite) Export(ctx context.Context, after int64, limit int) ([]Snapshot, error) {
	if err := CheckLimit(limit); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, snapshotColumns+`WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, wrap("export snapshots", err)
	}
	defer rows.Close()
	var page []Snapshot
	for size := int64(0); size < ExportBytes && rows.Next(); {
		snapshot, err := scanSnapshot(rows)
		if err != nil {
			return nil, wrap("export snapshots", err)
		}
		page = append(page, snapshot)
		size += snapshot.Bytes()
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("export snapshots", err)
	}
	return page, nil
}

// Import implements [Store].
func (s *SQLite) Import(ctx context.Context, snapshots []Snapshot, rule Rule) (Imported, error) {
	if len(snapshots) > MaxPage {
		return Imported{}, fmt.Errorf("%w: %d snapshots at once, of which there may be %d", ErrInvalid, len(snapshots), MaxPage)
	}
	ready := make([]Snapshot, len(snapshots))
	for i, snapshot := range snapshots {
		var err error
		if ready[i], err = Importable(snapshot); err != nil {
			return Imported{}, err
		}
		if err := s.settings.Limits.Check(snapshot.Draft); err != nil {
			return Imported{}, err
		}
	}
	var counts Imported
	var change Change
	err := s.write(ctx, "import snapshots", func(tx *sql.Tx) error {
		counts, change = Imported{}, Change{}
		before, err := s.usage(ctx, tx)
		if err != nil {
			return err
		}
		for _, snapshot := range ready {
			if err := s.importOne(ctx, tx, snapshot, rule, &counts, &change); err != nil {
				return err
			}
		}
		if len(change.Added)+len(change.Replaced) == 0 {
			return nil // also where limits were lowered since
		}
		after, err := s.usage(ctx, tx)
		if err != nil {
			return err
		}
		exceeded := s.settings.Limits.Exceeded(before, after)
		if exceeded == nil {
			return nil
		}
		exceeded.Suggested, err = suggestOthers(ctx, tx, change)
		return errors.Join(err, exceeded)
	})
	if err != nil {
		return Imported{}, err
	}
	slices.Sort(change.Added)
	slices.Sort(change.Replaced)
	s.tell(change)
	return counts, nil
}

// suggestOthers is suggest for what was there before an import that added or replaced
// snapshots.
func suggestOthers(ctx context.Context, q querier, change Change) ([]Entry, error) {
	list, err := json.Marshal(append(change.Added, change.Replaced...))
	if err != nil {
		return nil, err
	}
	return suggest(ctx, q, `id NOT IN (SELECT value FROM json_each(?))`, string(list))
}

func (s *SQLite) importOne(ctx context.Context, tx *sql.Tx, snapshot Snapshot, rule Rule, counts *Imported, change *Change) error {
	taken, present, err := look(ctx, tx, snapshot, rule)
	if err != nil {
		return err
	}
	switch {
	case present:
		counts.Present++
		return nil
	case taken && rule == Skip:
		counts.Skipped++
		return nil
	case taken && rule == Replace:
		if _, err := tx.ExecContext(ctx, `DELETE FROM snapshots WHERE id = ?`, snapshot.ID); err != nil {
			return err
		}
		counts.Replaced++
		change.Replaced = append(change.Replaced, snapshot.ID)
		_, err := s.insert(ctx, tx, snapshot)
		return err
	case taken:
		snapshot.ID = 0
		counts.Renumbered++
	default:
		counts.Added++
	}
	id, err := s.insert(ctx, tx, snapshot)
	change.Added = append(change.Added, id)
	return err
}

// look says whether another snapshot has the id, and whether this one is there: under
// its id, or, where it may have been given another, under any.
func look(ctx context.Context, tx *sql.Tx, snapshot Snapshot, rule Rule) (taken, present bool, err error) {
	found, err := scanSnapshot(tx.QueryRowContext(ctx, snapshotColumns+`WHERE id = ?`, snapshot.ID))
	switch {
	case err == nil:
		taken, present = true, found.Draft == snapshot.Draft && found.CreatedAt == snapshot.CreatedAt
	case !errors.Is(err, sql.ErrNoRows):
		return false, false, err
	}
	if present || snapshot.ID != 0 && !(taken && rule == Renumber) {
		return taken, present, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM snapshots WHERE created_at = ? AND coalesce(name, '') = ?
		AND summary = ? AND context = ? AND coalesce(next_steps, '') = ?)`,
		snapshot.CreatedAt, snapshot.Name, snapshot.Summary, snapshot.Context, snapshot.NextSteps).Scan(&present)
	return taken, present, err
}
