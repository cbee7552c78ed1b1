package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// knownOwners is how many users are remembered as having rows. When there are more,
// all are forgotten, which costs a question each.
const knownOwners = 10_000

// lister is who lists the users: the owner of nothing, with a share of its own.
const lister = "(operator)"

// Acquire implements [store.Provider]. The user's rows are made at the first time.
func (d *Database) Acquire(ctx context.Context, owner store.Owner) (store.Store, func(), error) {
	if d.isClosed() {
		return nil, nil, store.ErrClosed
	}
	if !isKey(owner.User) {
		return nil, nil, fmt.Errorf("%w: %q is no user's key", store.ErrInvalid, owner.User)
	}
	if !storable(owner.Issuer) || !storable(owner.Subject) {
		return nil, nil, fmt.Errorf("%w: the issuer or the subject of user %s has a NUL character (U+0000), which PostgreSQL cannot store", store.ErrInvalid, owner.User)
	}
	s := &Store{database: d, owner: owner.User, user: owner.User}
	d.mu.Lock()
	known, ok := d.known[owner.User]
	d.mu.Unlock()
	if !ok || known != owner {
		if err := s.claim(ctx, owner); err != nil {
			return nil, nil, err
		}
	}
	return s, func() {}, nil
}

// AcquireUser implements [store.Provider].
func (d *Database) AcquireUser(ctx context.Context, key string) (store.Store, func(), error) {
	if d.isClosed() {
		return nil, nil, store.ErrClosed
	}
	if !isKey(key) {
		return nil, nil, store.ErrNoUser
	}
	s := &Store{database: d, owner: key, user: key}
	if _, err := s.identity(ctx); err != nil {
		return nil, nil, err
	}
	return s, func() {}, nil
}

// Owner returns who the user with the key is, or [store.ErrNoUser].
func (d *Database) Owner(ctx context.Context, key string) (store.Owner, error) {
	if !isKey(key) {
		return store.Owner{}, store.ErrNoUser
	}
	return (&Store{database: d, owner: key, user: key}).identity(ctx)
}

// FindLocal is Local for one who makes no new storage: [store.ErrNoUser].
func (d *Database) FindLocal(ctx context.Context) (store.Store, error) {
	s := &Store{database: d, owner: localOwner}
	if _, err := s.identity(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// identity reads whose rows these are, or finds that there are none.
func (s *Store) identity(ctx context.Context) (owner store.Owner, err error) {
	owner.User = s.user
	err = s.read(ctx, "find user", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT issuer, subject FROM snapshotd_users WHERE owner = $1`, s.owner).Scan(&owner.Issuer, &owner.Subject)
		if errors.Is(err, pgx.ErrNoRows) {
			return store.ErrNoUser
		}
		return err
	})
	return owner, err
}

// isKey says whether a text can be a user's: not one of our own names.
func isKey(key string) bool {
	return key != "" && key[0] != '(' && storable(key)
}

// claim makes the owner's row, or compares the one that is there: the key is derived
// from the identity, and what is stored decides.
func (s *Store) claim(ctx context.Context, owner store.Owner) error {
	var found store.Owner
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted}
	err := s.transact(ctx, "find user", options, func(ctx context.Context, tx pgx.Tx) error {
		found = store.Owner{User: owner.User}
		_, err := tx.Exec(ctx, `INSERT INTO snapshotd_users (owner, issuer, subject) VALUES ($1, $2, $3) ON CONFLICT (owner) DO NOTHING`,
			s.owner, owner.Issuer, owner.Subject)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT issuer, subject FROM snapshotd_users WHERE owner = $1`, s.owner).Scan(&found.Issuer, &found.Subject)
	})
	if err != nil {
		return err
	}
	if found != owner {
		return store.ErrOwner
	}
	s.database.remember(owner)
	return nil
}

func (d *Database) remember(owner store.Owner) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= knownOwners {
		clear(d.known)
	}
	d.known[owner.User] = owner
}

func (d *Database) forget(user string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, user)
}

// Users implements [store.Provider]. It is the one question across users, and the
// policies let it see their totals only. Keys are in order as the server compares
// texts, which for lower-case letters and digits is the same everywhere.
func (d *Database) Users(ctx context.Context, after string, limit int) (users []store.User, err error) {
	if err := store.CheckLimit(limit); err != nil {
		return nil, err
	}
	if !storable(after) {
		return nil, fmt.Errorf("%w: no user's key has a NUL character", store.ErrInvalid)
	}
	all := &Store{database: d, owner: lister}
	err = all.read(ctx, "list users", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('snapshotd.list_users', 'yes', true)`); err != nil {
			return err
		}
		users, err = collect(ctx, tx, func(row pgx.CollectableRow) (u store.User, err error) {
			var last *time.Time
			err = row.Scan(&u.User, &u.Issuer, &u.Subject, &u.Snapshots, &u.Bytes, &last)
			if last != nil {
				u.LastWrite = last.UTC().Format(time.DateTime)
			}
			return u, err
		}, `SELECT owner, issuer, subject, snapshots, bytes, last_write FROM snapshotd_users
			WHERE owner > $1 AND owner <> $2 ORDER BY owner LIMIT $3`, after, localOwner, limit)
		return err
	})
	return users, err
}

var (
	_ store.Provider = (*Database)(nil)
	_ store.Store    = (*Store)(nil)
)
