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

// Copy writes a copy of a file as of one moment to a new file, whatever the schema of
// the file, and changes nothing in it: neither schema nor owner. Others go on working
// meanwhile. The rest is as in [SQLite.Backup].
func Copy(ctx context.Context, from, to string, progress func(done, total int64)) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("back up to %s: %w", to, os.ErrExist)
	}
	db, version, err := openCopied(ctx, from)
	if err != nil {
		return err
	}
	defer db.Close()
	if version == 0 {
		return fmt.Errorf("back up %s: %w: there is no table snapshots", from, ErrForeign)
	}
	partial, err := vacuumInto(ctx, db, to, progress)
	if err != nil {
		return wrap("back up to "+to, err)
	}
	defer os.Remove(partial) //nolint:errcheck // gone when all went well
	if err := publish(partial, to); err != nil {
		return wrap("back up to "+to, err)
	}
	return nil
}

// openCopied opens a file of which copies are made, and reads the version of its
// schema. The error wraps ErrNoUser if there is no file.
func openCopied(ctx context.Context, path string) (*sql.DB, int, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, 0, fmt.Errorf("open database: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, 0, fmt.Errorf("open database %s: %w", path, err)
	case err != nil:
		return nil, 0, wrap("open database", err)
	case info.IsDir():
		return nil, 0, fmt.Errorf("%s is a folder, not a database file", path)
	}
	db, version, err := openToCopy(ctx, path, false)
	if kind := kindOf(err); (errors.Is(kind, ErrUnavailable) || errors.Is(kind, ErrReadOnly)) && !exists(path+"-wal") {
		// In a read-only folder SQLite cannot make the files of a log. Without a log
		// nobody is writing, and it need not.
		db, version, err = openToCopy(ctx, path, true)
	}
	if err != nil {
		return nil, 0, wrap("open database "+path, err)
	}
	return db, version, nil
}

func openToCopy(ctx context.Context, path string, immutable bool) (*sql.DB, int, error) {
	// Not query_only, which VACUUM INTO takes for itself, too.
	query := url.Values{
		"_pragma":   {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "cache_size(-1024)"},
		"mode":      {"ro"},
		"_error_rc": {"1"},
	}
	if immutable {
		query.Set("immutable", "1")
	}
	db, err := sql.Open("sqlite", source(path, query))
	if err != nil {
		return nil, 0, err
	}
	db.SetMaxOpenConns(1)
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return nil, 0, errors.Join(err, db.Close())
	}
	return db, version, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
