package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Check implements [Store]. It looks at the pages of the file, at the search index and
// the totals, which triggers keep, and at the rows.
func (s *SQLite) Check(ctx context.Context) ([]Problem, error) {
	// A connection of its own: the store goes on working meanwhile. The full-text
	// tables are checked by what looks like a write, so it may not be read-only.
	db, err := sql.Open("sqlite", dataSource(s.path))
	if err != nil {
		return nil, fmt.Errorf("check database: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var found []Problem
	for _, look := range []func(context.Context, *sql.DB) ([]Problem, error){
		checkPages, checkSchema, checkIndex, checkTotals, checkRows,
	} {
		problems, err := look(ctx, db)
		switch {
		case errors.Is(kindOf(err), ErrCorrupt):
			found = append(found, Problem{What: err.Error()})
		case err != nil:
			return found, wrap("check database", err)
		}
		found = append(found, problems...)
	}
	return found, nil
}

// checkPages has SQLite look at every page, index and constraint.
func checkPages(ctx context.Context, db *sql.DB) ([]Problem, error) {
	lines, err := collect(ctx, db, "integrity_check", func(rows *sql.Rows) (line string, err error) {
		return line, rows.Scan(&line)
	}, `PRAGMA integrity_check(20)`)
	if err != nil || len(lines) == 1 && lines[0] == "ok" {
		return nil, err
	}
	var found []Problem
	for _, line := range lines {
		found = append(found, Problem{What: line})
	}
	return found, nil
}

// schemaObjects are what migrations beyond the original's schema have made.
var schemaObjects = []string{
	"snapshotd_newest", "snapshotd_unnamed", "snapshotd_named", "snapshotd_words", "snapshotd_trigrams",
	"snapshotd_trigram_terms", "snapshotd_usage", "snapshotd_unspaced",
	"snapshotd_added", "snapshotd_removed", "snapshotd_changing", "snapshotd_changed",
}

// checkSchema looks for what another program may have dropped.
func checkSchema(ctx context.Context, db *sql.DB) ([]Problem, error) {
	var found []Problem
	for _, name := range schemaObjects {
		var there bool
		err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)`, name).Scan(&there)
		if err != nil {
			return found, err
		}
		if !there {
			found = append(found, Problem{What: name + " is missing from the schema", Repairable: true})
		}
	}
	return found, nil
}

// checkIndex compares the full-text tables with the snapshots.
func checkIndex(ctx context.Context, db *sql.DB) ([]Problem, error) {
	var found []Problem
	for _, statement := range []string{
		// With 1, the text of every snapshot is read and compared.
		`INSERT INTO snapshotd_words(snapshotd_words, rank) VALUES ('integrity-check', 1)`,
		`INSERT INTO snapshotd_trigrams(snapshotd_trigrams) VALUES ('integrity-check')`,
	} {
		_, err := db.ExecContext(ctx, statement)
		switch {
		case err == nil:
		case errors.Is(kindOf(err), ErrCorrupt), kindOf(err) == nil:
			found = append(found, Problem{What: "the search index does not match the snapshots", Repairable: true})
		default:
			return found, err
		}
	}
	var differ bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT id FROM snapshotd_unspaced EXCEPT SELECT id FROM snapshotd_trigrams_docsize)
		OR EXISTS (SELECT id FROM snapshotd_trigrams_docsize EXCEPT SELECT id FROM snapshotd_unspaced)`).Scan(&differ)
	if err != nil && kindOf(err) != nil || differ {
		found = append(found, Problem{What: "the search index of scripts without spaces does not match the snapshots", Repairable: true})
	}
	return found, ctx.Err()
}

// checkTotals compares the kept totals with counted ones.
func checkTotals(ctx context.Context, db *sql.DB) ([]Problem, error) {
	var kept, counted [2]int64
	var last sql.NullString
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // both of one moment
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was changed
	if err := tx.QueryRowContext(ctx, countedTotals).Scan(&counted[0], &counted[1], &last); err != nil {
		return nil, err
	}
	err = tx.QueryRowContext(ctx, `SELECT snapshots, bytes FROM snapshotd_usage`).Scan(&kept[0], &kept[1])
	if err != nil && (kindOf(err) != nil || ctx.Err() != nil) {
		return nil, err
	}
	if err != nil || kept != counted {
		return []Problem{{
			What:       fmt.Sprintf("the totals say %d snapshots of %d bytes, and there are %d of %d", kept[0], kept[1], counted[0], counted[1]),
			Repairable: true,
		}}, nil
	}
	return nil, nil
}

// checkRows looks for values that no snapshot server writes, and that cannot be moved to
// another store.
func checkRows(ctx context.Context, db *sql.DB) ([]Problem, error) {
	return collect(ctx, db, "check snapshots", func(rows *sql.Rows) (p Problem, err error) {
		var id int64
		var created string
		var isTime bool
		err = rows.Scan(&id, &created, &isTime)
		if isTime {
			p.What = fmt.Sprintf("snapshot %d has an id that is not from 1 to %d", id, int64(MaxID))
		} else {
			p.What = fmt.Sprintf("snapshot %d was created at %q, which is no time of the form 2025-10-26 12:00:00", id, created)
		}
		return p, err
	}, `SELECT id, created_at, datetime(created_at) IS created_at FROM snapshots
		WHERE datetime(created_at) IS NOT created_at OR id NOT BETWEEN 1 AND ? ORDER BY id LIMIT 20`, int64(MaxID))
}

// Repair implements [Store]. All that migrations made beyond the original's schema
// is dropped and made again; the snapshots are only read.
func (s *SQLite) Repair(ctx context.Context) error {
	all, err := loadMigrations()
	if err != nil {
		return err
	}
	return s.write(ctx, "repair database", func(tx *sql.Tx) error {
		for _, name := range schemaObjects {
			var kind sql.NullString
			err := tx.QueryRowContext(ctx, `SELECT max(type) FROM sqlite_schema WHERE name = ?`, name).Scan(&kind)
			if err != nil {
				return err
			}
			if !kind.Valid {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DROP `+kind.String+` "`+name+`"`); err != nil {
				return err
			}
		}
		for _, m := range all[originalSchemas:] {
			if _, err := tx.ExecContext(ctx, m.sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// originalSchemas is how many migrations only follow the original server. Those
// after them make nothing that cannot be made anew from its table.
const originalSchemas = 2
