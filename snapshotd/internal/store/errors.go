package store

import "errors"

// Errors that callers tell apart with errors.Is. Their texts may be told to clients.
var (
	// ErrNotFound means that there is no such snapshot.
	ErrNotFound = errors.New("no such snapshot")
	// ErrNoUser means that a user has no storage yet.
	ErrNoUser = errors.New("no such user")
	// ErrOwner means that the storage belongs to another user.
	ErrOwner = errors.New("the database belongs to another user")
	// ErrClosed means that the pool has been closed.
	ErrClosed = errors.New("the storage is closed")
	// ErrCursor means that a cursor was not made by this server's pages.
	ErrCursor = errors.New("unknown cursor: take the one that came with the page before, or none for the first page")
	// ErrInvalid means that an argument is out of its range; the text around it says which.
	ErrInvalid = errors.New("invalid value")

	// ErrNewer means that a newer program has changed the storage's schema.
	ErrNewer = errors.New("the database was written by a newer snapshotd")
	// ErrForeign means that there is a table of our name that is not ours.
	ErrForeign = errors.New("the table snapshots is not that of a snapshot server")
	// ErrFull means that there is no room left for the write.
	ErrFull = errors.New("the disk is full: nothing was written, make room and try again")
	// ErrReadOnly means that the storage may be read and not written, or not at all.
	ErrReadOnly = errors.New("the database may not be written: its file or folder is read-only")
	// ErrCorrupt means that the storage is damaged, or is no database.
	ErrCorrupt = errors.New("the database is damaged or is not a database: restore a backup")
	// ErrBusy means that another process kept the storage locked for too long.
	ErrBusy = errors.New("the database is locked by another process: nothing was written, try again")
	// ErrUnavailable means that the storage cannot be reached now: a failure of the disk, a
	// server that is away, too many open files.
	ErrUnavailable = errors.New("the database cannot be reached: nothing was written, try again")
	// ErrUncertain means that the connection to a server broke while it confirmed a
	// write. It is the one error of a method that writes after which the write may be there.
	ErrUncertain = errors.New("the connection broke while the write was confirmed: look whether it is there before you try again")
)

// told are the errors whose text is what a client is told of them.
var told = []error{
	ErrNotFound, ErrNoUser, ErrOwner, ErrClosed, ErrCursor, ErrNewer, ErrForeign,
	ErrFull, ErrReadOnly, ErrCorrupt, ErrBusy, ErrUnavailable, ErrUncertain,
}
