package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// busyTimeout is how long a statement waits for another process's lock.
const busyTimeout = 5 * time.Second

// SQLite is a [Store] in one SQLite file.
type SQLite struct {
	db       *sql.DB
	path     string
	user     string // Owner.User, for changes
	settings Settings

	inserting *sql.Stmt
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
	Settings
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
		return nil, wrap("open database", err)
	}
	db, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// One connection: snapshots are small, and a second one would only contend for
	// the file's locks with the first.
	db.SetMaxOpenConns(1)
	s := &SQLite{db: db, path: path, settings: options.Settings}
	if s.settings.Now == nil {
		s.settings.Now = time.Now
	}
	if options.Owner != nil {
		s.user = options.Owner.User
	}
	if err := s.prepare(ctx, path, options); err != nil {
		return nil, errors.Join(wrap("open database "+path, openKind(path, err)), db.Close())
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
	if options.Owner != nil {
		if err := claim(ctx, s.db, *options.Owner, options.Adopt); err != nil {
			return err
		}
	}
	var err error
	s.inserting, err = s.db.PrepareContext(ctx, insertSnapshot)
	return err
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

// dataSource is the DSN of a file. The pragmas stand in it so that every
// connection that database/sql makes has them.
func dataSource(path string) string {
	return source(path, url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			"journal_mode(WAL)",
			"synchronous(FULL)",
			"cache_size(-1024)", // KiB: many files may be open at once
		},
		"_txlock":   {"immediate"},
		"_error_rc": {"1"},
	})
}

// readOnlySource is the DSN of a file that is looked at and not changed.
func readOnlySource(path string) string {
	return source(path, url.Values{
		"_pragma":   {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "query_only(1)", "cache_size(-1024)"},
		"mode":      {"ro"},
		"_error_rc": {"1"},
	})
}

func source(path string, query url.Values) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a Windows drive: file:///C:/folder/file
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return source.String()
}

// openKind finds out what SQLite means by "cannot open": mostly that it may not make
// the files of its log.
func openKind(path string, err error) error {
	if !errors.Is(kindOf(err), ErrUnavailable) {
		return err
	}
	probe, failed := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial")
	if failed != nil {
		return explained(err, failed)
	}
	return errors.Join(err, probe.Close(), os.Remove(probe.Name()))
}

// explained puts what the system says in the place of SQLite's "cannot open", where that says
// what is to be done: a read-only file system will not be another when it is tried again.
func explained(err, failed error) error {
	if kind := systemKind(failed); kind != nil {
		return fmt.Errorf("%w (%w)", kind, failed)
	}
	return errors.Join(err, failed)
}

// Close implements [Store].
func (s *SQLite) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}
