package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// Export implements [store.Store].
func (s *Store) Export(ctx context.Context, after int64, limit int) (page []store.Snapshot, err error) {
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	err = s.read(ctx, "export snapshots", func(ctx context.Context, tx pgx.Tx) error {
		page, err = s.export(ctx, tx, after, limit)
		return err
	})
	return page, err
}

// export asks for the sizes first, because a result that is not read to its end is
// sent to its end all the same.
func (s *Store) export(ctx context.Context, tx pgx.Tx, after int64, limit int) ([]store.Snapshot, error) {
	type sized struct{ id, bytes int64 }
	sizes, err := collect(ctx, tx, func(row pgx.CollectableRow) (one sized, err error) {
		return one, row.Scan(&one.id, &one.bytes)
	}, `SELECT id, `+bytesOfRow+` FROM snapshotd_snapshots WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3`, s.owner, after, limit)
	if err != nil || len(sizes) == 0 {
		return nil, err
	}
	n, total := 0, int64(0)
	for n < len(sizes) && total < store.ExportBytes {
		total += sizes[n].bytes
		n++
	}
	return collect(ctx, tx, func(row pgx.CollectableRow) (store.Snapshot, error) { return scanSnapshot(row) },
		selectSnapshot+`AND id > $2 AND id <= $3 ORDER BY id LIMIT $4`, s.owner, after, sizes[n-1].id, n)
}

// Import implements [store.Store].
func (s *Store) Import(ctx context.Context, snapshots []store.Snapshot, rule store.Rule) (store.Imported, error) {
	ready, err := s.importable(snapshots)
	if err != nil {
		return store.Imported{}, err
	}
	var done importing
	err = s.write(ctx, "import snapshots", func(ctx context.Context, w *writing) error {
		done = importing{writing: w, rule: rule}
		before := w.account
		for _, snapshot := range ready {
			if err := done.add(ctx, snapshot); err != nil {
				return err
			}
		}
		exceeded := s.database.settings.Limits.Exceeded(s.usage(before), s.usage(w.account))
		if exceeded == nil {
			return nil
		}
		exceeded.Suggested, err = w.suggest(ctx, slices.Concat(done.change.Added, done.change.Replaced))
		return errors.Join(err, exceeded)
	})
	if err != nil {
		return store.Imported{}, err
	}
	slices.Sort(done.change.Added)
	slices.Sort(done.change.Replaced)
	s.tell(done.change)
	return done.counts, nil
}

func (s *Store) importable(snapshots []store.Snapshot) ([]store.Snapshot, error) {
	if len(snapshots) > store.MaxPage {
		return nil, fmt.Errorf("%w: %d snapshots at once, of which there may be %d", store.ErrInvalid, len(snapshots), store.MaxPage)
	}
	ready := make([]store.Snapshot, len(snapshots))
	for i, snapshot := range snapshots {
		var err error
		if ready[i], err = store.Importable(snapshot); err != nil {
			return nil, err
		}
		if err := checkTexts(snapshot); err != nil {
			return nil, err
		}
		if err := s.database.settings.Limits.Check(snapshot.Draft); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

// importing is an import at work.
type importing struct {
	*writing
	rule   store.Rule
	counts store.Imported
	change store.Change
}

func (i *importing) add(ctx context.Context, snapshot store.Snapshot) error {
	taken, present, err := i.look(ctx, snapshot)
	if err != nil {
		return err
	}
	switch {
	case present:
		i.counts.Present++
		return nil
	case taken && i.rule == store.Skip:
		i.counts.Skipped++
		return nil
	case taken && i.rule == store.Replace:
		if _, err := i.remove(ctx, []int64{snapshot.ID}); err != nil {
			return err
		}
		i.counts.Replaced++
		i.change.Replaced = append(i.change.Replaced, snapshot.ID)
		_, err := i.insert(ctx, snapshot, indexOf(snapshot.Draft))
		return err
	case taken:
		snapshot.ID = 0
		i.counts.Renumbered++
	default:
		i.counts.Added++
	}
	id, err := i.insert(ctx, snapshot, indexOf(snapshot.Draft))
	i.change.Added = append(i.change.Added, id)
	return err
}

// look says whether another snapshot has the id, and whether this one is there: under
// its id, or, where it may have been given another, under any.
func (i *importing) look(ctx context.Context, snapshot store.Snapshot) (taken, present bool, err error) {
	found, err := scanSnapshot(i.QueryRow(ctx, selectSnapshot+`AND id = $2`, i.store.owner, snapshot.ID))
	switch {
	case err == nil:
		taken, present = true, found.Draft == snapshot.Draft && found.CreatedAt == snapshot.CreatedAt
	case !errors.Is(err, pgx.ErrNoRows):
		return false, false, err
	}
	if present || snapshot.ID != 0 && !(taken && i.rule == store.Renumber) {
		return taken, present, nil
	}
	created, err := time.Parse(time.DateTime, snapshot.CreatedAt)
	if err != nil {
		return taken, false, err
	}
	err = i.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM snapshotd_snapshots WHERE owner = $1 AND created_at = $2
		AND name = $3 AND summary = $4 AND context = $5 AND next_steps = $6)`,
		i.store.owner, created, snapshot.Name, snapshot.Summary, snapshot.Context, snapshot.NextSteps).Scan(&present)
	return taken, present, err
}
