package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Reason is what may be told to a client of an error of this package: what the
// database says, without the server's paths. It is "" if there is nothing to tell.
func Reason(err error) string {
	var quota *QuotaError
	if errors.As(err, &quota) {
		return quota.Error()
	}
	if errors.Is(err, ErrInvalid) {
		return err.Error() // made of the caller's own values
	}
	for _, known := range told {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		return failure.Error()
	}
	return ""
}

// wrap says what was being done when SQLite or the system failed, and of what kind
// the failure is. An error that has a kind already, or is the context's, keeps it.
func wrap(doing string, err error) error {
	if kind := kindOf(err); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%s: %w (%w)", doing, kind, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func kindOf(err error) error {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return systemKind(err)
	}
	if failure.Code() == sqlite3.SQLITE_IOERR_WRITE {
		return ErrFull // SQLite says FULL for ENOSPC, and this for a user's quota or a limit on the size of files
	}
	switch failure.Code() & 0xFF { // the rest of an extended code refines it
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return ErrReadOnly
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrCorrupt
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return ErrBusy
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return ErrUnavailable
	}
	return nil
}

// systemKind is the kind of an error of making or looking at files.
func systemKind(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return ErrFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	}
	return nil
}

func isBusy(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code()&0xFF == sqlite3.SQLITE_BUSY
}
