package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// Restoration says how to restore a file. The zero Restoration is fine.
type Restoration struct {
	// Owner is whose the file is to be: nil for whose it is, or else whose the copy is,
	// the zero Owner for no one's.
	Owner *Owner
	// Vacant refuses a file that has snapshots already, with an error that wraps
	// fs.ErrExist.
	Vacant bool
	// Private is as in [Options].
	Private bool
	// Progress, if not nil, is called now and then with how many bytes are written of
	// about how many.
	Progress func(done, total int64)
}

// Restored is what a restored file holds.
type Restored struct {
	User
	// Aside is where a copy of what the file held before is; "" if it held no snapshots.
	Aside string
}

// Restore puts what a copy holds, of any schema that this package knows, in the place
// of all that a file holds. The file may be in use: SQLite writes it in one
// transaction, so others see all of the old or all of the new. If anything fails
// before that, nothing has changed. A file that is too damaged to be read as a
// database is moved aside instead, with its log.
//
// The error wraps [ErrOwner] if the file belongs to another than the copy or
// Restoration.Owner, and [ErrCorrupt], [ErrForeign] or [ErrNewer] if the copy cannot be
// used.
func Restore(ctx context.Context, from, to string, how Restoration) (Restored, error) {
	to, err := filepath.Abs(to)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	target, err := lookAtTarget(ctx, from, to, how)
	if err != nil {
		return Restored{}, fmt.Errorf("restore %s: %w", to, err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return Restored{}, wrap("restore", err)
	}
	staged, owner, err := stage(ctx, from, to, target, how)
	if err != nil {
		return Restored{}, err
	}
	defer removePartial(staged) //nolint:errcheck // gone if it was given the name itself
	var restored Restored
	if target.usable {
		restored.Aside, err = overwrite(ctx, staged, to, overwriting{target, owner, how})
	} else {
		restored.Aside, err = putInPlace(staged, to, target)
	}
	if err != nil {
		return Restored{}, wrap("restore "+to, err)
	}
	restored.User, err = inspect(ctx, to, "")
	return restored, err
}

// target is what is in the place of a restored file.
type target struct {
	usable   bool // it is there, and a database
	damaged  bool // it is there, and none; or only its log is
	used     bool // it has snapshots
	owner    Owner
	pageSize int64
}

func lookAtTarget(ctx context.Context, from, to string, how Restoration) (target, error) {
	info, err := os.Stat(to)
	if errors.Is(err, os.ErrNotExist) {
		return target{damaged: hasLog(to)}, nil
	}
	if err != nil {
		return target{}, err
	}
	if source, err := os.Stat(from); err == nil && os.SameFile(source, info) {
		return target{}, fmt.Errorf("%w: it is the copy itself", ErrInvalid)
	}
	return lookAtDatabase(ctx, to, how)
}

// lookAtDatabase is asked twice: before anything is done, and, because others may have
// written meanwhile, when the write lock keeps them from it.
func lookAtDatabase(ctx context.Context, to string, how Restoration) (target, error) {
	db, version, err := openCopied(ctx, to)
	if errors.Is(err, ErrCorrupt) {
		return target{damaged: true}, nil
	}
	if err != nil {
		return target{}, err
	}
	defer db.Close()
	all, err := loadMigrations()
	if err != nil {
		return target{}, err
	}
	if version > len(all) {
		return target{}, ErrNewer
	}
	found := target{usable: true}
	if err := db.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&found.pageSize); err != nil {
		return target{}, err
	}
	if owner, err := readOwner(ctx, db); err == nil && owner != nil {
		found.owner = *owner
	} else if err != nil && !errors.Is(kindOf(err), ErrCorrupt) {
		return target{}, err
	}
	asked := `SELECT EXISTS (SELECT 1 FROM snapshots)`
	if version == 0 { // it is empty, or another program's, which is somebody's all the same
		asked = `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'snapshotd~_%' ESCAPE '~' AND name NOT LIKE 'sqlite~_%' ESCAPE '~')`
	}
	err = db.QueryRowContext(ctx, asked).Scan(&found.used)
	if errors.Is(kindOf(err), ErrCorrupt) {
		found.used = true // and copied aside as far as it can be
	} else if err != nil {
		return target{}, err
	}
	if found.used && how.Vacant {
		return target{}, fmt.Errorf("%w: it has snapshots, or is another program's", os.ErrExist)
	}
	return found, nil
}

// stage makes a file beside the target that has what the target is to hold, and
// returns its name and whose it is.
func stage(ctx context.Context, from, to string, target target, how Restoration) (staged string, owner Owner, err error) {
	db, version, err := openCopied(ctx, from)
	if err != nil {
		return "", owner, err
	}
	defer db.Close()
	all, err := loadMigrations()
	switch {
	case err != nil:
		return "", owner, err
	case version == 0:
		return "", owner, fmt.Errorf("restore from %s: %w: there is no table snapshots", from, ErrForeign)
	case version > len(all):
		return "", owner, fmt.Errorf("restore from %s: %w: its schema is %d and this one knows %d; upgrade snapshotd", from, ErrNewer, version, len(all))
	}
	if target.pageSize > 0 { // a file with a log keeps the size of its pages
		if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA page_size = %d", target.pageSize)); err != nil {
			return "", owner, wrap("restore from "+from, err)
		}
	}
	staged, err = vacuumInto(ctx, db, to, nil)
	if err != nil {
		return "", owner, wrap("restore from "+from, err)
	}
	if owner, err = finishStaged(ctx, staged, all, target, how); err != nil {
		return "", owner, errors.Join(wrap("restore from "+from, err), removePartial(staged))
	}
	return staged, owner, nil
}

// finishStaged checks a staged file, brings its schema up to date and gives it its owner,
// whom it returns.
func finishStaged(ctx context.Context, staged string, all []migration, target target, how Restoration) (owner Owner, err error) {
	db, err := sql.Open("sqlite", stagedSource(staged))
	if err != nil {
		return owner, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := apply(ctx, db, all); err != nil {
		return owner, err
	}
	problems, err := checkPages(ctx, db)
	if err != nil {
		return owner, err
	}
	if len(problems) > 0 {
		return owner, fmt.Errorf("%w: %s", ErrCorrupt, problems[0].What)
	}
	if owner, err = ownerOfRestored(ctx, db, target, how); err != nil {
		return owner, err
	}
	if err := setOwner(ctx, db, owner); err != nil {
		return owner, err
	}
	return owner, db.Close()
}

// stagedSource is the DSN of a file that nobody else uses: it needs no log, which
// would be a file of its own.
func stagedSource(path string) string {
	return source(path, url.Values{
		"_pragma":   {"journal_mode(DELETE)", "synchronous(FULL)"},
		"_txlock":   {"immediate"},
		"_error_rc": {"1"},
	})
}

// ownerOfRestored decides whose the file is to be. What belongs to one is never put in
// the place of what belongs to another, unless it is said whose it is to be.
func ownerOfRestored(ctx context.Context, staged *sql.DB, target target, how Restoration) (Owner, error) {
	var nobody Owner
	if how.Owner != nil {
		if target.owner != nobody && sameOwner(target.owner, *how.Owner) != nil {
			return nobody, ErrOwner
		}
		return *how.Owner, nil
	}
	found, err := readOwner(ctx, staged)
	switch {
	case err != nil:
		return nobody, err
	case found == nil:
		return target.owner, nil
	case target.owner != nobody:
		return *found, sameOwner(target.owner, *found)
	}
	return *found, nil
}

// setOwner writes whose a file is, whoever had it before.
func setOwner(ctx context.Context, db *sql.DB, owner Owner) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	if _, err := tx.ExecContext(ctx, `DROP TABLE IF EXISTS snapshotd_owner`); err != nil {
		return err
	}
	if owner.Issuer != "" || owner.Subject != "" {
		if _, err := tx.ExecContext(ctx, ownerTable); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO snapshotd_owner VALUES (1, ?, ?)`, owner.Issuer, owner.Subject); err != nil {
			return err
		}
	}
	return tx.Commit()
}
