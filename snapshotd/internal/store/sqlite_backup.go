package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Backup writes a copy of the store as of one moment to a new file at path, while
// others go on working. The file has mode 0600 and is complete, and on disk, when
// Backup returns nil; otherwise there is none. A file that is there already is an error
// that wraps fs.ErrExist. Progress, if not nil, is called now and then with how many
// bytes are written of about how many.
func (s *SQLite) Backup(ctx context.Context, path string, progress func(done, total int64)) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up to %s: %w", path, os.ErrExist)
	}
	db, err := sql.Open("sqlite", dataSource(s.path)) // its own connection: the store goes on working
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	partial, err := vacuumInto(ctx, db, path, progress)
	if err != nil {
		return wrap("back up to "+path, err)
	}
	defer os.Remove(partial) //nolint:errcheck // gone when all went well
	if err := publish(partial, path); err != nil {
		return wrap("back up to "+path, err)
	}
	return nil
}

// vacuumInto writes a copy of a database to a temporary file beside path and
// returns its name.
func vacuumInto(ctx context.Context, db *sql.DB, path string, progress func(done, total int64)) (string, error) {
	partial, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial") // mode 0600
	if err != nil {
		return "", err
	}
	return partial.Name(), vacuumTo(ctx, db, partial, progress)
}

// vacuumTo writes a copy of a database to an empty file and closes it; after an
// error it removes it. VACUUM INTO reads in one transaction, so the copy is of one
// moment, and leaves out what was deleted.
func vacuumTo(ctx context.Context, db *sql.DB, partial *os.File, progress func(done, total int64)) error {
	var size int64
	err := db.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&size)
	if err == nil {
		stop := reportSize(partial.Name(), size, progress)
		_, err = db.ExecContext(ctx, "VACUUM INTO ?", partial.Name())
		stop()
	}
	if err = errors.Join(err, partial.Sync(), partial.Close()); err != nil {
		return errors.Join(err, removePartial(partial.Name()))
	}
	return nil
}

// removePartial removes an unfinished copy, and the journal that SQLite leaves beside
// one that found no room. It may be that there is none.
func removePartial(name string) error {
	for _, file := range []string{name, name + "-journal"} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// reportInterval is how often progress is told.
const reportInterval = 100 * time.Millisecond

// reportSize tells how a file grows until the returned function is called, and at
// last that it is complete. SQLite itself tells nothing during a VACUUM INTO.
func reportSize(path string, total int64, progress func(done, total int64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticks := time.NewTicker(reportInterval)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				if info, err := os.Stat(path); err == nil {
					progress(min(info.Size(), total), total)
				}
			case <-ended:
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-done
		progress(total, total)
	}
}

// publish gives a complete file its name, which must be free, and makes the name
// durable. A name with the log of a database that is gone is not free.
func publish(partial, path string) error {
	if hasLog(path) {
		return fmt.Errorf("%w: %s has a log beside it (%s): remove what is of no use", os.ErrExist, path, strings.Join(logSuffixes, ", "))
	}
	// Link, unlike Rename, never replaces a file that another process has made.
	err := os.Link(partial, path)
	if err != nil && !errors.Is(err, os.ErrExist) {
		err = os.Rename(partial, path) // a file system without links: the name was free a moment ago
	}
	if err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}
