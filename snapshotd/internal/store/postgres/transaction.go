package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const (
	// patience is how long a transaction is tried again, and so how long a server may
	// take to restart without anybody noticing.
	patience = 15 * time.Second
	// firstPause and longestPause are between two attempts. They double, less a random
	// part, so that those who met do not meet again.
	firstPause   = 5 * time.Millisecond
	longestPause = 500 * time.Millisecond
	// commitPatience is how long a commit may take. It does not end with the call: half
	// a commit cannot be taken back.
	commitPatience = 10 * time.Second
)

// Store is one user's part of a [Database]. It implements [store.Store].
type Store struct {
	database *Database
	owner    string // as in the tables
	user     string // as in changes: "" for the one local user
}

// Close implements [store.Store]. Connections are the database's: there is nothing to end.
func (s *Store) Close() error { return nil }

// read runs a transaction that changes nothing.
func (s *Store) read(ctx context.Context, doing string, run func(ctx context.Context, tx pgx.Tx) error) error {
	return s.transact(ctx, doing, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}, run)
}

// transact runs a transaction that changes nothing with other options.
func (s *Store) transact(ctx context.Context, doing string, options pgx.TxOptions, run func(ctx context.Context, tx pgx.Tx) error) error {
	return s.repeat(ctx, doing, func(ctx context.Context) error {
		return s.database.begin(ctx, options, s.owner, func(tx pgx.Tx) error {
			if err := run(ctx, tx); err != nil {
				return err
			}
			return tx.Commit(ctx)
		})
	})
}

// begin runs a transaction in which the policies let the owner's rows through. What run
// has not committed is rolled back.
func (d *Database) begin(ctx context.Context, options pgx.TxOptions, owner string, run func(tx pgx.Tx) error) error {
	tx, err := d.pool.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() {
		// With its own context: a connection that is left in a transaction is lost to the pool.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		_ = tx.Rollback(ending) // does nothing after a commit; fails with the connection
	}()
	_, err = tx.Exec(ctx, `SELECT set_config('snapshotd.owner', $1, true), set_config('statement_timeout', $2, true)`,
		owner, strconv.FormatInt(statementTimeout.Milliseconds(), 10))
	if err != nil {
		return err
	}
	return run(tx)
}

// repeat makes an attempt within the user's share of connections, and again, within
// patience, if it failed of what may pass: other transactions, a broken connection.
func (s *Store) repeat(ctx context.Context, doing string, attempt func(ctx context.Context) error) error {
	d := s.database
	if d.isClosed() {
		return fmt.Errorf("%s: %w", doing, store.ErrClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()
	giveBack, err := d.shares.take(ctx, s.owner)
	if err == nil {
		defer giveBack()
		err = untilDone(ctx, attempt)
	}
	if err != nil && d.isClosed() {
		err = errors.Join(store.ErrClosed, err)
	}
	return wrap(doing, err)
}

// untilDone returns the error of the last attempt.
func untilDone(ctx context.Context, attempt func(ctx context.Context) error) error {
	pause := firstPause
	for begun := time.Now(); ; pause = min(2*pause, longestPause) {
		err := attempt(ctx)
		if err == nil || !isRepeatable(err) || errors.Is(err, store.ErrUncertain) || time.Since(begun) > patience {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
