package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

// TestNoUserIsLeftOnAConnection has transactions end in every way there is, with one
// connection for all: the next to have it must not be taken for the one before.
func TestNoUserIsLeftOnAConnection(t *testing.T) {
	d := open(t, pgtest.Shared(t).Database(t)+"&pool_max_conns=1", Options{})
	save(t, acquire(t, d, ownerOf("alice")), store.Draft{Summary: "one", Context: "word"})
	alice := ownerOf("alice").User
	failed := errors.New("failed")
	for name, end := range map[string]func(ctx context.Context, tx pgx.Tx) error{
		"commit":   func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
		"rollback": func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) },
		"nothing":  func(context.Context, pgx.Tx) error { return nil },
		"failure":  func(context.Context, pgx.Tx) error { return failed },
		"refused statement": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1/0`)
			return err
		},
		"cancelled statement": func(ctx context.Context, tx pgx.Tx) error {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			_, err := tx.Exec(ctx, `SELECT pg_sleep(60)`)
			return err
		},
		"result that is not read": func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT generate_series(1, 100000)`)
			if err != nil {
				return err
			}
			rows.Next()
			rows.Close()
			return failed
		},
		"connection that the server ends": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
			return err
		},
		"savepoint": func(ctx context.Context, tx pgx.Tx) error {
			inner, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			return inner.Commit(ctx)
		},
	} {
		_ = d.begin(patient(t), pgx.TxOptions{}, alice, func(tx pgx.Tx) error { return end(patient(t), tx) }) // each fails as it must
		var owner string
		var rows int
		err := untilDone(patient(t), func(ctx context.Context) error {
			return d.pool.QueryRow(ctx, `SELECT coalesce(current_setting('snapshotd.owner', true), ''), (SELECT count(*) FROM snapshotd_snapshots)`).Scan(&owner, &rows)
		})
		if err != nil || owner != "" || rows != 0 {
			t.Errorf("after %s: the connection is of %q and sees %d rows, %v", name, owner, rows, err)
		}
	}
}

// TestSecurityThatWasBrokenOffIsMadeAtTheNextStart leaves off after each statement, as a
// server may whose changes of the schema are in no transaction.
func TestSecurityThatWasBrokenOffIsMadeAtTheNextStart(t *testing.T) {
	server := pgtest.Shared(t)
	statements := strings.SplitAfter(strings.TrimSpace(security), ";")
	name := server.NewDatabase(t, "")
	d := open(t, server.URL(pgtest.Role, name), Options{})
	alice := acquire(t, d, ownerOf("alice"))
	save(t, alice, store.Draft{Summary: "one", Context: "word"})
	for n := range statements {
		for _, table := range ourTables {
			server.Exec(t, name, fmt.Sprintf(`DROP POLICY IF EXISTS snapshotd_own ON %[1]s; DROP POLICY IF EXISTS snapshotd_list ON %[1]s;
				ALTER TABLE %[1]s NO FORCE ROW LEVEL SECURITY; ALTER TABLE %[1]s DISABLE ROW LEVEL SECURITY`, table))
		}
		if _, err := d.pool.Exec(patient(t), strings.Join(statements[:n], "")); err != nil {
			t.Fatal(err)
		}
		if text := logged(t, server.URL(pgtest.Role, name)); text != "" {
			t.Errorf("after %d statements: warned %s", n, text)
		}
		if got, err := alice.List(patient(t), -1); err != nil || len(got) != 1 {
			t.Errorf("after %d statements alice has %d snapshots, %v", n, len(got), err)
		}
		var visible int
		if err := d.pool.QueryRow(patient(t), `SELECT count(*) FROM snapshotd_snapshots`).Scan(&visible); err != nil || visible != 0 {
			t.Errorf("after %d statements nobody sees %d rows, %v", n, visible, err)
		}
	}
}

func TestAPoolerWithoutPreparedStatementsIsExplained(t *testing.T) {
	s := acquire(t, open(t, pgtest.Shared(t).Database(t)+"&pool_max_conns=1", Options{}), ownerOf("alice"))
	// What another connection is like, which such a pooler gives to the next transaction.
	if _, err := s.(*Store).database.pool.Exec(patient(t), `DEALLOCATE ALL`); err != nil {
		t.Fatal(err)
	}
	_, err := s.Usage(patient(t))
	if err == nil || !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
		t.Errorf("got %v", err)
	}
}
