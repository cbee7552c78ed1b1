package store

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// SQLite says of a database with a log on a read-only file system only that it cannot open it.
func TestWhatTheSystemSaysComesBeforeCannotOpen(t *testing.T) {
	db, version, err := openToCopy(context.Background(), filepath.Join(t.TempDir(), "missing", "a.db"), false)
	if err == nil {
		t.Fatalf("opened %v, schema %d", db, version)
	}
	if kind := kindOf(err); kind != ErrUnavailable {
		t.Fatalf("%v is of kind %v", err, kind)
	}
	for number, want := range map[syscall.Errno]error{
		syscall.EROFS: ErrReadOnly, syscall.EACCES: ErrReadOnly, syscall.ENOSPC: ErrFull, syscall.EMFILE: ErrUnavailable,
	} {
		got := wrap("open database", explained(err, &fs.PathError{Op: "open", Path: "/data/a.db.partial", Err: number}))
		if !errors.Is(got, want) || !errors.Is(got, number) || Reason(got) != want.Error() {
			t.Errorf("%v: %v, told as %q", number, got, Reason(got))
		}
	}
}
