package store

import (
	"context"
	"errors"
)

// ErrNotFound means that there is no such snapshot.
var ErrNotFound = errors.New("no such snapshot")

// ErrOwner means that the storage belongs to another user.
var ErrOwner = errors.New("the database belongs to another user")

// Store is one user's snapshots. It is safe for concurrent use. A nil error of a
// method that writes means that the write is durable.
//
// The newest snapshot is the one with the latest creation time and, within one
// second, the highest id.
type Store interface {
	// Save adds a snapshot and returns its id and creation time.
	Save(ctx context.Context, draft Draft) (Saved, error)
	// Load returns a snapshot by id, or ErrNotFound.
	Load(ctx context.Context, id int64) (Snapshot, error)
	// LoadNamed returns the newest snapshot of that name, or ErrNotFound.
	LoadNamed(ctx context.Context, name string) (Snapshot, error)
	// LoadNewest returns the newest snapshot, or ErrNotFound.
	LoadNewest(ctx context.Context) (Snapshot, error)
	// List returns the newest snapshots, newest first: at most limit of them, or
	// all if limit is negative.
	List(ctx context.Context, limit int64) ([]Entry, error)
	// Delete removes a snapshot by id, or returns ErrNotFound.
	Delete(ctx context.Context, id int64) error
	// Close ends the use of the store.
	Close() error
}

// Provider hands out the store of a user.
type Provider interface {
	// Acquire returns the store of the owner, opening it if need be. The caller
	// calls release once, when it is done. The error wraps [ErrOwner] if the
	// storage in that place is another user's.
	Acquire(ctx context.Context, owner Owner) (s Store, release func(), err error)
	// Close closes all stores.
	Close() error
}

// Owner is whose snapshots a store holds. The zero Owner is the one local user.
type Owner struct {
	// User names the owner in a path: short, unique, safe as a file name.
	User string
	// Issuer and Subject are the verified identity behind User.
	Issuer, Subject string
}

// Single is a Provider of one store for whoever asks.
type Single struct{ Store Store }

// Acquire implements [Provider]. Its error is always nil.
func (s Single) Acquire(context.Context, Owner) (Store, func(), error) {
	return s.Store, func() {}, nil
}

// Close implements [Provider].
func (s Single) Close() error { return s.Store.Close() }

var (
	_ Provider = Single{}
	_ Provider = (*Pool)(nil)
	_ Store    = (*SQLite)(nil)
)
