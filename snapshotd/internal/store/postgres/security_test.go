package postgres

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

// logged opens a database and returns what it warns of.
func logged(t *testing.T, address string) string {
	t.Helper()
	var text bytes.Buffer
	d, err := Open(patient(t), address, Options{Logger: slog.New(slog.NewTextHandler(&text, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	return text.String()
}

var ourTables = []string{"snapshotd_users", "snapshotd_snapshots", "snapshotd_words"}

// TestPoliciesHoldWithoutAnyWHERE asks as the owner of the tables what a statement that
// forgot its WHERE would ask.
func TestPoliciesHoldWithoutAnyWHERE(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	d := open(t, server.URL(pgtest.Role, name), Options{})
	alice, bob := acquire(t, d, ownerOf("alice")), acquire(t, d, ownerOf("bob"))
	local, err := d.Local(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []store.Store{alice, bob, local} {
		save(t, s, store.Draft{Summary: "one", Context: "word"})
	}
	ctx := patient(t)
	options := pgx.TxOptions{}
	for _, table := range ourTables {
		owners := func(q interface {
			QueryRow(context.Context, string, ...any) pgx.Row
		}) (all string) {
			if err := q.QueryRow(ctx, `SELECT coalesce(string_agg(DISTINCT owner, ','), '') FROM `+table).Scan(&all); err != nil {
				t.Fatal(err)
			}
			return all
		}
		if got := owners(d.pool); got != "" {
			t.Errorf("%s outside of a user's transaction: %s", table, got)
		}
		err := d.begin(ctx, options, ownerOf("alice").User, func(tx pgx.Tx) error {
			if got := owners(tx); got != ownerOf("alice").User {
				t.Errorf("%s in a transaction of alice: %s", table, got)
			}
			tag, err := tx.Exec(ctx, `DELETE FROM snapshotd_words; DELETE FROM snapshotd_snapshots; DELETE FROM snapshotd_users`)
			if err != nil || tag.RowsAffected() != 1 {
				t.Errorf("deleted %v users, %v", tag, err)
			}
			_, err = tx.Exec(ctx, `INSERT INTO snapshotd_users (owner, issuer, subject) VALUES ('mallory', '', '')`)
			if codeOf(err) != codePrivilege {
				t.Errorf("a row of another was added: %v", err)
			}
			return nil // rolled back
		})
		if err != nil {
			t.Error(err)
		}
		// The connection is the same, and its setting has gone with the transaction.
		if got := owners(d.pool); got != "" {
			t.Errorf("%s after a user's transaction: %s", table, got)
		}
	}
	for _, s := range []store.Store{alice, bob, local} {
		healthy(t, s)
	}
}

func TestOnlyTheListOfUsersCrossesUsers(t *testing.T) {
	server := pgtest.Shared(t)
	d := open(t, server.Database(t), Options{})
	save(t, acquire(t, d, ownerOf("alice")), store.Draft{Summary: "one", Context: "word"})
	ctx := patient(t)
	err := d.begin(ctx, pgx.TxOptions{}, lister, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('snapshotd.list_users', 'yes', true)`); err != nil {
			return err
		}
		for i, want := range []int{1, 0, 0} {
			var n int
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM `+ourTables[i]).Scan(&n); err != nil || n != want {
				t.Errorf("%s: %d rows, %v; want %d", ourTables[i], n, err, want)
			}
		}
		if tag, err := tx.Exec(ctx, `UPDATE snapshotd_users SET issuer = 'https://other'`); err != nil || tag.RowsAffected() != 0 {
			t.Errorf("changed %v, %v", tag, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRolesThatPolicyDoesNotStopAreWarnedOf(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	server.Exec(t, name, `CREATE ROLE passing LOGIN BYPASSRLS; GRANT ALL ON SCHEMA public TO passing`)
	if text := logged(t, server.URL(pgtest.Role, name)); text != "" {
		t.Errorf("an ordinary role: %s", text)
	}
	if text := logged(t, server.URL(pgtest.Superuser, name)); !strings.Contains(text, "superuser") || !strings.Contains(text, pgtest.Superuser) {
		t.Errorf("a superuser: %q", text)
	}
	server.Exec(t, name, `GRANT ALL ON ALL TABLES IN SCHEMA public TO passing`)
	if text := logged(t, server.URL("passing", name)); !strings.Contains(text, "BYPASSRLS") {
		t.Errorf("a role with BYPASSRLS: %q", text)
	}
}

// TestARoleWithLittleRightsWillDo is how an operator has the tables belong to one role
// and snapshotd work with another.
func TestARoleWithLittleRightsWillDo(t *testing.T) {
	server := pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	logged(t, server.URL(pgtest.Role, name)) // makes the tables
	server.Exec(t, name, `CREATE ROLE lesser LOGIN;
		GRANT SELECT ON snapshotd_schema TO lesser;
		GRANT SELECT, INSERT, UPDATE, DELETE ON snapshotd_users, snapshotd_snapshots, snapshotd_words TO lesser`)
	if text := logged(t, server.URL("lesser", name)); text != "" {
		t.Errorf("warned: %s", text)
	}
	s := acquire(t, open(t, server.URL("lesser", name), Options{}), ownerOf("alice"))
	id := save(t, s, store.Draft{Summary: "one", Context: "word"}).ID
	healthy(t, s)
	if err := s.Delete(patient(t), id); err != nil {
		t.Error(err)
	}
	server.Exec(t, name, `ALTER TABLE snapshotd_words NO FORCE ROW LEVEL SECURITY`)
	if text := logged(t, server.URL("lesser", name)); !strings.Contains(text, "row-level security is off") {
		t.Errorf("policies are off: %q", text)
	}
	if text := logged(t, server.URL(pgtest.Role, name)); text != "" { // their owner turns them on
		t.Errorf("warned: %s", text)
	}
	if text := logged(t, server.URL("lesser", name)); text != "" {
		t.Errorf("policies are on again: %s", text)
	}
}

func TestPasswordsAreInNoMessage(t *testing.T) {
	for _, address := range []string{
		"postgres://u:pa%ssw0rd@localhost/d", "postgres://u:ssw0rd@localhost:port/d", "postgres://u:ssw0rd@localhost/d?sslmode=nonsense",
		"postgres://u:ssw0rd@127.0.0.1:1/d?sslmode=disable", "postgres://u@127.0.0.1:1/d?password=ssw0rd&pool_max_conns=x", "postgres://u:ssw0rd @/d\x7f",
	} {
		_, err := Open(patient(t), address, Options{})
		if err == nil || strings.Contains(err.Error(), "ssw0rd") {
			t.Errorf("%s: %v", address, err)
		}
		if place := Place(address); strings.Contains(place, "ssw0rd") {
			t.Errorf("%s: place %s", address, place)
		}
	}
	if _, err := Open(patient(t), "postgres://u:p@h/d?sslmode=nonsense", Options{}); err == nil || !strings.Contains(err.Error(), "sslmode") {
		t.Errorf("does not say what is wrong: %v", err)
	}
}
