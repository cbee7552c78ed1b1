package store

import (
	"context"
	"time"
)

// Store is one user's snapshots. It is safe for concurrent use. A nil error of a
// method that writes means that the write is durable; an error means that nothing of
// it was written, [ErrUncertain] excepted.
//
// The newest snapshot is the one with the latest creation time and, within one
// second, the highest id.
//
// Every error wraps one of this package's if it is of a kind that a caller can do
// something about; see [Reason] for what may be told to a client.
type Store interface {
	// Save adds a snapshot and returns its id and creation time. In the same
	// transaction it applies the retention, which never takes the new snapshot, and
	// then the limits: a [*QuotaError] names the one that would be passed.
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
	// Page returns snapshots that pass the filter, newest first, and the cursor of
	// the page after it. The first page has the cursor "". Later pages hold no
	// snapshot twice and leave none out, whatever is added or deleted meanwhile.
	// The limit is from 1 to [MaxPage]. Errors: ErrCursor, ErrInvalid.
	Page(ctx context.Context, filter Filter, cursor string, limit int) (Page, error)
	// Search returns the snapshots that match the query, the best first; see
	// [ParseQuery] for its language and [Matches] for what best means. Cursor and
	// limit are those of Page, but a snapshot that is deleted between two pages may
	// push another past the reader. A query of no words matches nothing.
	// Errors: ErrCursor, ErrInvalid.
	Search(ctx context.Context, query, cursor string, limit int) (Matches, error)
	// Names returns the distinct names that begin with the prefix, case-sensitively,
	// the most recently used first: at most limit of them, from 1 to [MaxPage].
	Names(ctx context.Context, prefix string, limit int) ([]string, error)
	// Delete removes a snapshot by id, or returns ErrNotFound.
	Delete(ctx context.Context, id int64) error
	// Usage returns what is used, and the limits. It costs the same however many
	// snapshots there are.
	Usage(ctx context.Context) (Usage, error)
	// Prune deletes what the retention does not keep, a batch a transaction, and
	// returns the number deleted, which is right even with an error.
	Prune(ctx context.Context, keep Retention) (int64, error)
	// Export returns whole snapshots in the order of their ids, those above the id
	// after: at most limit of them, from 1 to [MaxPage], and no more than some [ExportBytes]
	// of text, but at least one. An empty result is the end. [Each] makes one sequence of it.
	Export(ctx context.Context, after int64, limit int) ([]Snapshot, error)
	// Import adds snapshots that were exported, in one transaction, at most MaxPage of
	// them. A snapshot that is there already, with the same text and creation time, is
	// left out, so that an import that broke off may be repeated from its start; the
	// rule decides about other snapshots with the same id. The limits apply and the
	// retention does not. Errors: ErrInvalid, *QuotaError.
	Import(ctx context.Context, snapshots []Snapshot, rule Rule) (Imported, error)
	// Check looks for damage and returns what it found; none is a nil slice. The
	// error is one of looking. It takes time in proportion to the snapshots and
	// keeps no one else from working.
	Check(ctx context.Context) ([]Problem, error)
	// Repair makes the search index and the totals anew from the snapshots, in one
	// transaction. It loses nothing.
	Repair(ctx context.Context) error
	// Close ends the use of the store.
	Close() error
}

// MaxPage is the most that one call returns or imports, [Store.List] excepted.
const MaxPage = 1000

// Provider hands out the store of a user.
type Provider interface {
	// Acquire returns the store of the owner, opening or making it if need be. The
	// caller calls release once, when it is done. The error wraps [ErrOwner] if the
	// storage in that place is another user's, and ctx's error if ctx ends while the
	// storage is being opened, or waited for because too much is open.
	Acquire(ctx context.Context, owner Owner) (s Store, release func(), err error)
	// AcquireUser is Acquire for an operator, who knows the user's key and not the
	// identity behind it. It makes no new storage: [ErrNoUser].
	AcquireUser(ctx context.Context, key string) (s Store, release func(), err error)
	// Users lists the users that have storage, in the order of their keys, those
	// above the key after ("" for the first): at most limit, from 1 to MaxPage. It
	// opens nobody's storage for longer than it takes to read three rows.
	Users(ctx context.Context, after string, limit int) ([]User, error)
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

// User is one user in a list for operators.
type User struct {
	Owner // without issuer and subject if no one with them has come yet
	// Snapshots and Bytes are as in [Usage].
	Snapshots, Bytes int64
	// LastWrite is when a snapshot was last saved, imported or deleted: UTC, as in
	// [Saved]; "" if never.
	LastWrite string
	// Problem says why the rest is not known, as [Reason] tells it; "" if all is well.
	Problem string
}

// Settings are what stores of all kinds are opened with. The zero Settings are fine.
type Settings struct {
	// Limits are the user's quotas.
	Limits Limits
	// Retention is applied by every save.
	Retention Retention
	// Changed, if not nil, is called after each write by this store that changed
	// something, in the goroutine of the caller and before the write returns. It must
	// be quick. What other processes change it does not tell.
	Changed func(Change)
	// Now is the clock for creation times and for the retention, time.Now if nil.
	Now func() time.Time
}

// Change tells what a write changed, after it is durable.
type Change struct {
	User     string  // Owner.User; "" for the one local user
	Added    []int64 // ids, ascending
	Replaced []int64
	Removed  []int64
}
