package postgres

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5"
)

// security makes the policies. It is no migration, because a server that has no
// row-level security is used without it, and may learn it later.
//
//go:embed security.sql
var security string

// secured counts the tables of ours in which the policies hold for everyone.
const secured = `SELECT count(*) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity
	AND oid IN ('snapshotd_users'::regclass, 'snapshotd_snapshots'::regclass, 'snapshotd_words'::regclass)`

// secure makes the policies where they are missing, and warns of what they do not stop.
func (d *Database) secure(ctx context.Context, logger *slog.Logger) error {
	const tables = 3
	var count int
	if err := d.pool.QueryRow(ctx, secured).Scan(&count); err != nil {
		return err
	}
	if count < tables {
		err := untilDone(ctx, func(ctx context.Context) error {
			return d.locked(ctx, func(tx pgx.Tx, _ int) error {
				_, err := tx.Exec(ctx, security)
				return err
			})
		})
		switch codeOf(err) {
		case codeUnsupported, codeSyntax, codeNoFunction:
			logger.Warn("the database has no row-level security: users are kept apart by snapshotd's own statements alone", "error", err)
			return nil
		case codePrivilege:
			logger.Warn("row-level security is off, and only the owner of the tables may turn it on: start snapshotd once with that role", "error", err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return d.checkRole(ctx, logger)
}

// checkRole warns of a role for which policies do not count.
func (d *Database) checkRole(ctx context.Context, logger *slog.Logger) error {
	var name string
	var super, bypasses bool
	err := d.pool.QueryRow(ctx, `SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user`).Scan(&name, &super, &bypasses)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // a server that lists its roles otherwise
	}
	if err != nil {
		return err
	}
	if super || bypasses {
		logger.Warn("row-level security does not hold for this role, because it is a superuser or has BYPASSRLS: use a role that is neither", "role", name)
	}
	return nil
}
