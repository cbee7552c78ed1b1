package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// codeCommitUnknown is CockroachDB's word for a commit of which it does not know
// itself what became (SQLSTATE 40003).
const codeCommitUnknown = "40003"

// writing is a transaction that holds the lock of its user's row.
type writing struct {
	pgx.Tx
	store   *Store
	now     time.Time // UTC, whole seconds
	account account   // written back before the commit
	changed bool      // whether there is something to commit although the account is as it was
}

// account is a user's row: what is kept of all their snapshots together.
type account struct {
	lastID                         int64
	snapshots, named, bytes, words int64
	lastWrite                      *time.Time
	writes                         int64
}

const selectAccount = `SELECT last_id, snapshots, named, bytes, words, last_write, writes FROM snapshotd_users WHERE owner = $1`

func readAccount(ctx context.Context, tx pgx.Tx, statement, owner string) (account, error) {
	var a account
	err := tx.QueryRow(ctx, statement, owner).Scan(&a.lastID, &a.snapshots, &a.named, &a.bytes, &a.words, &a.lastWrite, &a.writes)
	if errors.Is(err, pgx.ErrNoRows) {
		err = store.ErrNoUser // an operator has deleted them while we knew them
	}
	return a, err
}

// usage is the account as the interface tells it.
func (s *Store) usage(a account) store.Usage {
	u := store.Usage{Snapshots: a.snapshots, Bytes: a.bytes, Limits: s.database.settings.Limits}
	if a.lastWrite != nil {
		u.LastWrite = a.lastWrite.UTC().Format(time.DateTime)
	}
	return u
}

// write runs a transaction that changes the user's rows. It is durable when write
// returns nil, and has changed nothing if write returns an error other than
// [store.ErrUncertain]. Run may be called again, from the beginning.
func (s *Store) write(ctx context.Context, doing string, run func(ctx context.Context, w *writing) error) error {
	return s.repeat(ctx, doing, func(ctx context.Context) error {
		w := &writing{store: s, now: s.database.settings.Now().UTC().Truncate(time.Second)}
		var before account
		mark := rand.Int64()
		sent := false
		options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
		err := s.database.begin(ctx, options, s.owner, func(tx pgx.Tx) (err error) {
			w.Tx = tx
			if before, err = readAccount(ctx, tx, selectAccount+` FOR UPDATE`, s.owner); err != nil {
				s.database.forget(s.user)
				return err
			}
			w.account = before
			if err := run(ctx, w); err != nil || w.account == before && !w.changed {
				return err
			}
			if err := w.keepAccount(ctx, mark); err != nil {
				return err
			}
			sent = true
			return commit(ctx, tx)
		})
		if sent && err != nil && (isBroken(err) || errors.Is(err, context.DeadlineExceeded) || codeOf(err) == codeCommitUnknown) {
			return s.settle(ctx, before.writes, mark, err)
		}
		return err
	})
}

// commit does not end with the call, so that a client that leaves is no reason not to
// know.
func commit(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitPatience)
	defer cancel()
	return tx.Commit(ctx)
}

func (w *writing) keepAccount(ctx context.Context, mark int64) error {
	a := w.account
	_, err := w.Exec(ctx, `UPDATE snapshotd_users SET last_id = $2, snapshots = $3, named = $4, bytes = $5, words = $6,
		last_write = $7, writes = $8, written = $9 WHERE owner = $1`,
		w.store.owner, a.lastID, a.snapshots, a.named, a.bytes, a.words, w.now, a.writes+1, mark)
	return err
}

// errNotWritten means that a commit did not take place, and may be made again.
var errNotWritten = errors.New("the connection broke before the commit")

// settle finds out whether a write took place whose commit was not answered. It locks
// the user's row, and so waits for a server that is still at it. The row says which
// write was the last: ours, none since, or another in our place. If more were made
// since, it is not known.
func (s *Store) settle(ctx context.Context, before, mark int64, broken error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var writes, written int64
	err := untilDone(ctx, func(ctx context.Context) error {
		return s.database.begin(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, s.owner, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `SELECT writes, written FROM snapshotd_users WHERE owner = $1 FOR UPDATE`, s.owner).Scan(&writes, &written)
		})
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w (%w; %w)", store.ErrUncertain, broken, err)
	case written == mark:
		return nil
	case writes <= before+1:
		return errNotWritten
	default:
		return fmt.Errorf("%w (%w)", store.ErrUncertain, broken)
	}
}
