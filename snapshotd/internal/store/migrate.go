package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// migrations are numbered from 0001 without gaps. A file name is never reused and
// the content of a released one never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migration is one step of the schema.
type migration struct {
	number int
	sql    string
}

func loadMigrations() ([]migration, error) {
	texts, err := Migrations(migrations)
	all := make([]migration, len(texts))
	for i, text := range texts {
		all[i] = migration{number: i + 1, sql: text}
	}
	return all, err
}

// Migrations reads the files of the folder migrations, in order. They are numbered from
// 0001; the error says which number is missing.
func Migrations(files fs.FS) ([]string, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var all []string
	for i, name := range names {
		if !strings.HasPrefix(path.Base(name), fmt.Sprintf("%04d_", i+1)) {
			return nil, fmt.Errorf("migration %d is missing: found %s", i+1, name)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		all = append(all, string(text))
	}
	return all, nil
}

// migrationPatience is how long a process waits for another that migrates the file.
const migrationPatience = 5 * time.Minute

// migrate brings the schema up to date. A file that has snapshots is copied aside
// before its first change.
func migrate(ctx context.Context, db *sql.DB, file string) error {
	all, err := loadMigrations()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if version > len(all) {
		return fmt.Errorf("%w: its schema is %d and this one knows %d; upgrade snapshotd", ErrNewer, version, len(all))
	}
	if version == len(all) {
		return nil
	}
	for deadline := time.Now().Add(migrationPatience); ; {
		err := applyBeside(ctx, db, all, func(version int) error { return copyAside(ctx, file, version) })
		if !isBusy(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
	}
}

// apply is applyBeside for a file that needs no copy.
func apply(ctx context.Context, db *sql.DB, all []migration) error {
	return applyBeside(ctx, db, all, func(int) error { return nil })
}

// applyBeside makes the migrations that the file has not had, by the time that no other
// process can make one, all in one transaction: so the file is never seen between
// two of them, and one that is broken off has changed nothing. The write lock is held
// from before the copy is made, so that only one process makes one.
func applyBeside(ctx context.Context, db *sql.DB, all []migration, copyAside func(version int) error) error {
	tx, err := db.BeginTx(ctx, nil) // BEGIN IMMEDIATE, by the DSN
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	version, err := schemaVersion(ctx, tx)
	if err != nil || version >= len(all) {
		return err
	}
	// First, so that a file which may not be written is not copied: BEGIN passes there.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(all))); err != nil {
		return err
	}
	if version > 0 {
		if err := copyAside(version); err != nil {
			return fmt.Errorf("copy the file aside before changing it: %w", err)
		}
	}
	for _, m := range all[version:] {
		if _, err := tx.ExecContext(ctx, m.sql); err != nil {
			return fmt.Errorf("migration %d: %w", m.number, err)
		}
	}
	return tx.Commit()
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schemaVersion is the number of the last migration that the file has had. The
// original server numbers nothing, so its files are told by their columns.
func schemaVersion(ctx context.Context, q querier) (int, error) {
	var version int
	if err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if version != 0 {
		return version, nil
	}
	columns, err := snapshotsColumns(ctx, q)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read schema: %w", err)
	case len(columns) == 0:
		return 0, nil
	}
	for _, name := range []string{"id", "name", "summary", "context", "next_steps", "created_at"} {
		if !columns[name] {
			return 0, fmt.Errorf("%w: it has no column %s", ErrForeign, name)
		}
	}
	if columns["continuation_prompt"] {
		return 2, nil
	}
	return 1, nil
}

func snapshotsColumns(ctx context.Context, q querier) (map[string]bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT name FROM pragma_table_info('snapshots')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns := make(map[string]bool)
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		columns[name] = true
	}
	return columns, rows.Err()
}
