package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const (
	// checkPage is how many snapshots are read at a time.
	checkPage = 50
	// problemsToldEach is how many of one kind are told.
	problemsToldEach = 20
)

// Check implements [store.Store]. It compares the totals and the search index with the
// snapshots, as of one moment. Whether the server's own files are whole is for the
// server's programs to say: pg_amcheck.
func (s *Store) Check(ctx context.Context) ([]store.Problem, error) {
	var found []store.Problem
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := s.transact(ctx, "check database", options, func(ctx context.Context, tx pgx.Tx) error {
		found = nil
		for _, look := range []func(context.Context, pgx.Tx) ([]store.Problem, error){s.checkTotals, s.checkWords, s.checkOrphans} {
			problems, err := look(ctx, tx)
			if err != nil {
				return err
			}
			found = append(found, problems...)
		}
		return nil
	})
	return found, err
}

// totals are the part of an account that can be counted.
type totals struct{ snapshots, named, bytes, words, highest int64 }

func (s *Store) count(ctx context.Context, tx pgx.Tx) (t totals, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*), count(nullif(name, '')), coalesce(sum(`+bytesOfRow+`), 0)::bigint,
		coalesce(sum(words), 0)::bigint, coalesce(max(id), 0) FROM snapshotd_snapshots WHERE owner = $1`, s.owner).
		Scan(&t.snapshots, &t.named, &t.bytes, &t.words, &t.highest)
	return t, err
}

func (s *Store) checkTotals(ctx context.Context, tx pgx.Tx) ([]store.Problem, error) {
	kept, err := readAccount(ctx, tx, selectAccount, s.owner)
	if err != nil {
		return nil, err
	}
	counted, err := s.count(ctx, tx)
	if err != nil {
		return nil, err
	}
	var found []store.Problem
	if kept.lastID < counted.highest {
		found = append(found, store.Problem{Repairable: true,
			What: fmt.Sprintf("the last id is said to be %d, and there is a snapshot %d", kept.lastID, counted.highest)})
	}
	counted.highest = 0
	if said := (totals{kept.snapshots, kept.named, kept.bytes, kept.words, 0}); said != counted {
		found = append(found, store.Problem{Repairable: true,
			What: fmt.Sprintf("the totals say %d snapshots (%d with a name) of %d bytes and %d words, and there are %d (%d) of %d and %d",
				said.snapshots, said.named, said.bytes, said.words, counted.snapshots, counted.named, counted.bytes, counted.words)})
	}
	return found, nil
}

// checkWords makes the index of each snapshot anew and compares it.
func (s *Store) checkWords(ctx context.Context, tx pgx.Tx) ([]store.Problem, error) {
	var found []store.Problem
	for after := int64(0); ; {
		page, err := s.export(ctx, tx, after, checkPage)
		if err != nil || len(page) == 0 {
			return found, err
		}
		for _, snapshot := range page {
			after = snapshot.ID
			same, err := s.indexed(ctx, tx, snapshot)
			if err != nil {
				return nil, err
			}
			if !same {
				found = append(found, store.Problem{Repairable: true, What: fmt.Sprintf("the search index does not match snapshot %d", after)})
			}
			if len(found) == problemsToldEach {
				return found, nil
			}
		}
	}
}

// indexed says whether the index holds a snapshot as it is.
func (s *Store) indexed(ctx context.Context, tx pgx.Tx, snapshot store.Snapshot) (bool, error) {
	want := indexOf(snapshot.Draft)
	rows, same := 0, true
	var word, at []byte
	var title bool
	found, err := tx.Query(ctx, `SELECT word, title, places FROM snapshotd_words WHERE owner = $1 AND snapshot = $2`, s.owner, snapshot.ID)
	if err != nil {
		return false, err
	}
	_, err = pgx.ForEachRow(found, []any{&word, &title, &at}, func() error {
		rows++
		of := want.words[string(word)]
		same = same && of != nil && of.title() == title && bytes.Equal(of.encode(), at)
		return nil
	})
	return same && rows == len(want.words), err
}

// checkOrphans looks for words of snapshots that are not there.
func (s *Store) checkOrphans(ctx context.Context, tx pgx.Tx) ([]store.Problem, error) {
	return collect(ctx, tx, func(row pgx.CollectableRow) (store.Problem, error) {
		var id int64
		err := row.Scan(&id)
		return store.Problem{Repairable: true, What: fmt.Sprintf("the search index has words of snapshot %d, which is not there", id)}, err
	}, `SELECT DISTINCT w.snapshot FROM snapshotd_words AS w WHERE w.owner = $1 AND NOT EXISTS (
		SELECT 1 FROM snapshotd_snapshots AS s WHERE s.owner = w.owner AND s.id = w.snapshot) ORDER BY w.snapshot LIMIT $2`,
		s.owner, problemsToldEach)
}

// Repair implements [store.Store].
func (s *Store) Repair(ctx context.Context) error {
	return s.write(ctx, "repair database", func(ctx context.Context, w *writing) error {
		if err := w.clearWords(ctx); err != nil {
			return err
		}
		for after := int64(0); ; {
			page, err := s.export(ctx, w.Tx, after, checkPage)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			for _, snapshot := range page {
				after = snapshot.ID
				if err := w.index(ctx, snapshot); err != nil {
					return err
				}
			}
		}
		counted, err := s.count(ctx, w.Tx)
		if err != nil {
			return err
		}
		a := &w.account
		a.snapshots, a.named, a.bytes, a.words = counted.snapshots, counted.named, counted.bytes, counted.words
		a.lastID = max(a.lastID, counted.highest)
		w.changed = true
		return nil
	})
}

// index makes the index of a snapshot that is there.
func (w *writing) index(ctx context.Context, snapshot store.Snapshot) error {
	words := indexOf(snapshot.Draft)
	if _, err := w.Exec(ctx, `UPDATE snapshotd_snapshots SET words = $3 WHERE owner = $1 AND id = $2`,
		w.store.owner, snapshot.ID, words.length); err != nil {
		return err
	}
	return w.insertWords(ctx, snapshot.ID, words)
}
