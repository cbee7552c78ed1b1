package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite"
)

// restorePages is how many pages are written between two looks at the context.
const restorePages = 256

// overwriting is what is known of a database that is about to be overwritten.
type overwriting struct {
	found target // before the staged file was made
	owner Owner  // whose the staged file is
	Restoration
}

// overwrite writes a staged file over a database that may be in use, and returns
// where the copy of what was there is.
func overwrite(ctx context.Context, staged, to string, o overwriting) (aside string, err error) {
	if err := prepareFile(to, o.Private); err != nil {
		return "", err
	}
	db, err := sql.Open("sqlite", dataSource(to))
	if err != nil {
		return "", err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := connect(ctx, db); err != nil {
		return "", err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	err = conn.Raw(func(driver any) error {
		restorer, ok := driver.(interface {
			NewRestore(string) (*sqlite.Backup, error)
		})
		if !ok {
			return errors.New("the SQLite driver cannot restore")
		}
		restoring, err := restorer.NewRestore(stagedSource(staged))
		if err != nil {
			return err
		}
		aside, err = overwriteLocked(ctx, restoring, to, o)
		// Unless all steps were made, this takes back those that were.
		return errors.Join(err, restoring.Finish())
	})
	return aside, err
}

// overwriteLocked makes the steps of an online backup. The first takes the file's
// write lock, so that nobody saves between the copy that is put aside and the end. What
// was written before it is looked for only then: the file may have been empty when the
// restore began, and nobody's.
func overwriteLocked(ctx context.Context, restoring *sqlite.Backup, to string, o overwriting) (aside string, err error) {
	more, err := lockingStep(ctx, restoring)
	if err != nil {
		return "", err
	}
	now, err := lookAtDatabase(ctx, to, o.Restoration)
	switch {
	case err != nil:
		return "", err
	case now.damaged:
		return "", ErrCorrupt
	case sameOwner(now.owner, o.found.owner) != nil && sameOwner(now.owner, o.owner) != nil:
		return "", fmt.Errorf("%w, since a moment", ErrOwner)
	}
	if now.used {
		if aside, err = putAside(ctx, to); err != nil {
			return "", fmt.Errorf("copy the file aside before overwriting it: %w", err)
		}
	}
	for more {
		if ctx.Err() != nil {
			return aside, ctx.Err()
		}
		if more, err = restoring.Step(restorePages); err != nil {
			return aside, err
		}
		if o.Progress != nil {
			size, total := max(now.pageSize, 1), int64(restoring.PageCount())
			o.Progress((total-int64(restoring.Remaining()))*size, total*size)
		}
	}
	return aside, nil
}

// lockingStep waits for the file's write lock as [SQLite.write] does.
func lockingStep(ctx context.Context, restoring *sqlite.Backup) (more bool, err error) {
	for deadline := time.Now().Add(busyPatience); ; {
		more, err := restoring.Step(1)
		if !isBusy(err) || time.Now().After(deadline) {
			return more, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// putAside copies a database to a free name beside it. One that is damaged so that
// SQLite cannot copy it is copied as it is.
func putAside(ctx context.Context, path string) (string, error) {
	db, _, err := openCopied(ctx, path)
	if err != nil {
		return "", err
	}
	defer db.Close()
	partial, err := vacuumInto(ctx, db, path, nil)
	if errors.Is(kindOf(err), ErrCorrupt) {
		return copyDamaged(path)
	}
	if err != nil {
		return "", err
	}
	defer os.Remove(partial) //nolint:errcheck // gone when all went well
	return publishAside(partial, path)
}

// publishAside gives a file the first free name for what was replaced.
func publishAside(partial, path string) (string, error) {
	for n := 1; ; n++ {
		name := asideName(path, n)
		if err := publish(partial, name); !errors.Is(err, os.ErrExist) {
			return name, err
		}
	}
}

func asideName(path string, n int) string {
	if n == 1 {
		return path + ".replaced.bak"
	}
	return fmt.Sprintf("%s.replaced.%d.bak", path, n)
}
