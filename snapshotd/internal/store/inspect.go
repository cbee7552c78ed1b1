package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// inspect reads who owns a file and what is in it, and changes nothing: neither the
// schema nor the owner. The error is ErrNoUser if there is no file.
func inspect(ctx context.Context, path, key string) (User, error) {
	user := User{Owner: Owner{User: key}}
	path, err := filepath.Abs(path) // a URI has no relative one
	if err != nil {
		return user, fmt.Errorf("inspect database: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return user, ErrNoUser
	} else if err != nil {
		return user, wrap("inspect database", err)
	}
	db, err := sql.Open("sqlite", readOnlySource(path))
	if err != nil {
		return user, fmt.Errorf("inspect database: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	owner, err := readOwner(ctx, db)
	if err != nil {
		return user, wrap("inspect database "+path, err)
	}
	if owner != nil {
		user.Issuer, user.Subject = owner.Issuer, owner.Subject
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return user, wrap("inspect database "+path, err)
	}
	if all, err := loadMigrations(); err != nil || version > len(all) {
		return user, errors.Join(err, fmt.Errorf("inspect database %s: %w", path, ErrNewer))
	}
	var last sql.NullString
	err = db.QueryRowContext(ctx, totalsOf(version)).Scan(&user.Snapshots, &user.Bytes, &last)
	if err != nil {
		return user, wrap("inspect database "+path, err)
	}
	user.LastWrite = last.String
	return user, nil
}

// countedTotals counts what snapshotd_usage keeps.
const countedTotals = `SELECT count(*), coalesce(sum(length(CAST(coalesce(name, '') AS BLOB)) + length(CAST(summary AS BLOB))
	+ length(CAST(context AS BLOB)) + length(CAST(coalesce(next_steps, '') AS BLOB))), 0), max(created_at) FROM snapshots`

// totalsOf is how to learn the totals of a file of the version.
func totalsOf(version int) string {
	switch {
	case version == 0:
		return `SELECT 0, 0, NULL`
	case version < 3:
		return countedTotals
	default:
		return `SELECT snapshots, bytes, last_write FROM snapshotd_usage`
	}
}
