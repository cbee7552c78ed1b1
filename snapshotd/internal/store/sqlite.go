package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout is how long a statement waits for another process's lock.
const busyTimeout = 5 * time.Second

// SQLite is a [Store] in one SQLite file.
type SQLite struct {
	db  *sql.DB
	now func() time.Time
}

// Options say how to open a file.
type Options struct {
	// Private tightens the modes of a file and folder that exist already to 0600
	// and 0700. What is created has these modes in any case.
	Private bool
	// Owner, if not nil, is who the file must belong to. A file of no owner becomes
	// theirs; see Adopt.
	Owner *Owner
	// Adopt lets a file that has snapshots and no owner become Owner's. Without it
	// only an empty file does.
	Adopt bool
	// Now is the clock for creation times, time.Now if nil.
	Now func() time.Time
}

// Open opens the file, creates it and its folder if they are not there, and brings
// its schema up to date. A file of a newer schema than this package knows is
// refused, as is one that belongs to another owner ([ErrOwner]).
func Open(ctx context.Context, path string, options Options) (*SQLite, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := prepareFile(path, options.Private); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// One connection: snapshots are small, and a second one would only contend for
	// the file's locks with the first.
	db.SetMaxOpenConns(1)
	s := &SQLite{db: db, now: options.Now}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.prepare(ctx, path, options); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	return s, nil
}

func (s *SQLite) prepare(ctx context.Context, path string, options Options) error {
	if err := connect(ctx, s.db); err != nil {
		return err
	}
	if err := migrate(ctx, s.db, path); err != nil {
		return err
	}
	if options.Owner == nil {
		return nil
	}
	return claim(ctx, s.db, *options.Owner, options.Adopt)
}

// connect makes the connection. Changing a new file to WAL needs a lock for which
// SQLite does not always wait, so two processes that start at once may meet there.
func connect(ctx context.Context, db *sql.DB) error {
	for deadline := time.Now().Add(busyTimeout); ; {
		err := db.PingContext(ctx)
		if !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isBusy(err error) bool {
	var failure *sqlite.Error
	return errors.As(err, &failure) && failure.Code()&0xFF == sqlite3.SQLITE_BUSY
}

// dataSource is the DSN of a file. The pragmas stand in it so that every
// connection that database/sql makes has them.
func dataSource(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a Windows drive: file:///C:/folder/file
	}
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"cache_size(-1024)", // KiB: many files may be open at once
	}}
	pragmas.Set("_txlock", "immediate")
	pragmas.Set("_error_rc", "1")
	source := url.URL{Scheme: "file", Path: path, RawQuery: pragmas.Encode()}
	return source.String()
}

// Close implements [Store].
func (s *SQLite) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}
