package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ownerTable holds the one user whose file this is. Only files that are handed out
// by verified identity have it; the original server does not look at it.
const ownerTable = `CREATE TABLE IF NOT EXISTS snapshotd_owner (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL
)`

// claim checks that the file is the owner's, and makes it so if it is no one's. A
// file's place is derived from the identity; what is written inside still decides,
// so that a file that was moved or restored into the wrong place is refused.
func claim(ctx context.Context, db *sql.DB, owner Owner, adopt bool) error {
	found, err := readOwner(ctx, db)
	if err == nil && found != nil {
		return sameOwner(*found, owner)
	}
	if err != nil {
		return fmt.Errorf("read owner: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("write owner: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	if found, err = readOwner(ctx, tx); err != nil {
		return fmt.Errorf("read owner: %w", err)
	}
	if found != nil { // another process was first
		return sameOwner(*found, owner)
	}
	if !adopt {
		var used bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM snapshots)`).Scan(&used); err != nil {
			return fmt.Errorf("read owner: %w", err)
		}
		if used {
			return fmt.Errorf("%w: it has snapshots and names no owner", ErrOwner)
		}
	}
	if _, err := tx.ExecContext(ctx, ownerTable); err != nil {
		return fmt.Errorf("write owner: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO snapshotd_owner VALUES (1, ?, ?)`, owner.Issuer, owner.Subject); err != nil {
		return fmt.Errorf("write owner: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("write owner: %w", err)
	}
	return nil
}

// readOwner returns nil for a file of no owner.
func readOwner(ctx context.Context, q querier) (*Owner, error) {
	var exists bool
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'snapshotd_owner')`).Scan(&exists)
	if err != nil || !exists {
		return nil, err
	}
	var owner Owner
	err = q.QueryRowContext(ctx, `SELECT issuer, subject FROM snapshotd_owner`).Scan(&owner.Issuer, &owner.Subject)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &owner, err
}

// sameOwner names neither owner in its error, which a client may get to see.
func sameOwner(found, want Owner) error {
	if found.Issuer != want.Issuer || found.Subject != want.Subject {
		return ErrOwner
	}
	return nil
}
