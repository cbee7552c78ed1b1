package postgres

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// migrations are numbered from 0001 without gaps. A file name is never reused and the
// content of a released one never changed. Each statement may be made again: where a
// server makes changes of the schema outside of the transaction, as some do, one that
// was broken off is begun anew.
//
//go:embed migrations/*.sql
var migrations embed.FS

// makeSchemaTable makes the row that says which migrations the database has had, and
// that is locked while one is made. CockroachDB has no advisory locks.
const makeSchemaTable = `CREATE TABLE IF NOT EXISTS snapshotd_schema (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL);
INSERT INTO snapshotd_schema (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING`

// migrate brings the schema up to date, a migration a transaction. Where it is up to
// date already, nothing but a row is read, so that a role without the right to change
// the schema may do.
func (d *Database) migrate(ctx context.Context) error {
	all, err := store.Migrations(migrations)
	if err != nil {
		return err
	}
	return untilDone(ctx, func(ctx context.Context) error {
		version, err := d.schemaVersion(ctx)
		if err != nil {
			return err
		}
		for version < len(all) {
			if version, err = d.migrateOnce(ctx, all); err != nil {
				return err
			}
		}
		if version > len(all) {
			return fmt.Errorf("%w: its schema is %d and this one knows %d; upgrade snapshotd", store.ErrNewer, version, len(all))
		}
		return nil
	})
}

// schemaVersion is the number of the last migration, 0 for none.
func (d *Database) schemaVersion(ctx context.Context) (version int, err error) {
	err = d.pool.QueryRow(ctx, `SELECT version FROM snapshotd_schema WHERE one = 1`).Scan(&version)
	switch {
	case err == nil:
		return version, nil
	case err != pgx.ErrNoRows && codeOf(err) != codeNoTable:
		return 0, err
	}
	if _, err := d.pool.Exec(ctx, makeSchemaTable); err != nil && !isRace(err) {
		return 0, fmt.Errorf("make the tables: %w", err)
	}
	return 0, nil
}

// isRace says whether another made the same table at the same time, for which
// IF NOT EXISTS does not look.
func isRace(err error) bool {
	code := codeOf(err)
	return code == codeDuplicate || code == codeTableExists || code == codeTypeExists
}

// migrateOnce makes the next migration, unless another has by the time that the row is
// locked, and returns the version that the database then has.
func (d *Database) migrateOnce(ctx context.Context, all []string) (version int, err error) {
	err = d.locked(ctx, func(tx pgx.Tx, found int) error {
		version = found
		if version >= len(all) {
			return nil
		}
		if _, err := tx.Exec(ctx, all[version]); err != nil {
			return fmt.Errorf("migration %d: %w", version+1, err)
		}
		version++
		_, err := tx.Exec(ctx, `UPDATE snapshotd_schema SET version = $1 WHERE one = 1`, version)
		return err
	})
	return version, err
}

// locked runs a transaction that no other process runs meanwhile.
func (d *Database) locked(ctx context.Context, run func(tx pgx.Tx, version int) error) error {
	return pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		var version int
		if err := tx.QueryRow(ctx, `SELECT version FROM snapshotd_schema WHERE one = 1 FOR UPDATE`).Scan(&version); err != nil {
			return err
		}
		return run(tx, version)
	})
}
