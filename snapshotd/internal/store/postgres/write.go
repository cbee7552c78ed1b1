package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// storable says whether the server's type TEXT can hold a text.
func storable(text string) bool { return strings.IndexByte(text, 0) < 0 }

// checkTexts refuses what TEXT cannot hold, rather than change it.
func checkTexts(snapshot store.Snapshot) error {
	for field, text := range map[string]string{
		"name": snapshot.Name, "summary": snapshot.Summary, "context": snapshot.Context,
		"next_steps": snapshot.NextSteps, "continuation_prompt": snapshot.ContinuationPrompt,
	} {
		if !storable(text) {
			return fmt.Errorf("%w: the %s has a NUL character (U+0000), which PostgreSQL cannot store: leave it out", store.ErrInvalid, field)
		}
	}
	return nil
}

// tell reports a change that is durable.
func (s *Store) tell(change store.Change) {
	changed := s.database.settings.Changed
	if changed == nil || len(change.Added)+len(change.Replaced)+len(change.Removed) == 0 {
		return
	}
	change.User = s.user
	changed(change)
}

// Save implements [store.Store].
func (s *Store) Save(ctx context.Context, draft store.Draft) (store.Saved, error) {
	snapshot := store.Snapshot{Draft: draft, ContinuationPrompt: draft.Prompt()}
	if err := checkTexts(snapshot); err != nil {
		return store.Saved{}, err
	}
	if err := s.database.settings.Limits.Check(draft); err != nil {
		return store.Saved{}, err
	}
	words := indexOf(draft)
	var saved store.Saved
	var pruned []int64
	err := s.write(ctx, "save snapshot", func(ctx context.Context, w *writing) (err error) {
		before := w.account
		snapshot.CreatedAt = w.now.Format(time.DateTime)
		snapshot.ID = 0
		if snapshot.ID, err = w.insert(ctx, snapshot, words); err != nil {
			return err
		}
		saved = snapshot.Saved
		pruned, err = w.makeRoom(ctx, before, saved.ID)
		return err
	})
	if err != nil {
		return store.Saved{}, err
	}
	s.tell(store.Change{Added: []int64{saved.ID}, Removed: pruned})
	return saved, nil
}

// insert adds a row and its words, under the next id if its own is 0.
func (w *writing) insert(ctx context.Context, snapshot store.Snapshot, words index) (id int64, err error) {
	created, err := time.Parse(time.DateTime, snapshot.CreatedAt)
	if err != nil {
		return 0, err
	}
	if snapshot.ID == 0 {
		if w.account.lastID == math.MaxInt64 {
			return 0, fmt.Errorf("%w: an imported snapshot has the highest id there can be, so there is none for another", store.ErrInvalid)
		}
		snapshot.ID = w.account.lastID + 1
	}
	_, err = w.Exec(ctx, `INSERT INTO snapshotd_snapshots
		(owner, id, name, name_start, summary, context, next_steps, continuation_prompt, created_at, words)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		w.store.owner, snapshot.ID, snapshot.Name, startOf(snapshot.Name), snapshot.Summary, snapshot.Context,
		snapshot.NextSteps, snapshot.ContinuationPrompt, created, words.length)
	if err != nil {
		return 0, err
	}
	if err := w.insertWords(ctx, snapshot.ID, words); err != nil {
		return 0, err
	}
	w.account.lastID = max(w.account.lastID, snapshot.ID)
	w.count(1, snapshot.Name != "", snapshot.Bytes(), words.length)
	return snapshot.ID, nil
}

// count adds to the account what one snapshot more, or with -1 one fewer, makes.
func (w *writing) count(sign int64, named bool, bytes, words int64) {
	w.account.snapshots += sign
	if named {
		w.account.named += sign
	}
	w.account.bytes += sign * bytes
	w.account.words += sign * words
}

// remove deletes those of the snapshots that are there and returns how many that were.
func (w *writing) remove(ctx context.Context, ids []int64) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	type gone struct {
		named        bool
		bytes, words int64
	}
	all, err := collect(ctx, w.Tx, func(row pgx.CollectableRow) (g gone, err error) {
		return g, row.Scan(&g.named, &g.bytes, &g.words)
	}, `DELETE FROM snapshotd_snapshots WHERE owner = $1 AND id = ANY($2::bigint[]) RETURNING name <> '', `+bytesOfRow+`, words`,
		w.store.owner, ids)
	if err != nil {
		return 0, err
	}
	for _, g := range all {
		w.count(-1, g.named, g.bytes, g.words)
	}
	_, err = w.Exec(ctx, `DELETE FROM snapshotd_words WHERE owner = $1 AND snapshot = ANY($2::bigint[])`, w.store.owner, ids)
	return len(all), err
}

// bytesOfRow is Draft.Bytes in SQL.
const bytesOfRow = `(octet_length(name) + octet_length(summary) + octet_length(context) + octet_length(next_steps))::bigint`

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, id int64) error {
	err := s.write(ctx, "delete snapshot", func(ctx context.Context, w *writing) error {
		deleted, err := w.remove(ctx, []int64{id})
		if err == nil && deleted == 0 {
			return store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return err
	}
	s.tell(store.Change{Removed: []int64{id}})
	return nil
}

// makeRoom applies the retention and then the limits to a transaction that has added
// a snapshot. One batch of the retention is enough, unless the limits need more.
func (w *writing) makeRoom(ctx context.Context, before account, added int64) ([]int64, error) {
	settings := w.store.database.settings
	var pruned []int64
	for {
		batch, err := w.pruneBatch(ctx, settings.Retention, added)
		if err != nil {
			return nil, err
		}
		pruned = append(pruned, batch...)
		exceeded := settings.Limits.Exceeded(w.store.usage(before), w.store.usage(w.account))
		switch {
		case exceeded == nil:
			return pruned, nil
		case len(batch) < pruneBatch:
			exceeded.Suggested, err = w.suggest(ctx, []int64{added})
			return nil, errors.Join(err, exceeded)
		}
	}
}

// suggest returns the snapshots that are the first to be thought of for deletion, those
// that are not to be stored apart.
func (w *writing) suggest(ctx context.Context, not []int64) ([]store.Entry, error) {
	const few = 3
	unnamed, err := entriesOf(ctx, w.Tx, `AND name_start = $4 AND NOT (id = ANY ($2)) ORDER BY created_at, id LIMIT $3`, w.store.owner, not, few, []byte{})
	if err != nil || len(unnamed) > 0 {
		return unnamed, err
	}
	return entriesOf(ctx, w.Tx, `AND NOT (id = ANY ($2)) ORDER BY created_at, id LIMIT $3`, w.store.owner, not, few)
}
