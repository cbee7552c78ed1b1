package commands

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// database opens a database as a server would, until the test ends.
func (s *shell) database(address string) *postgres.Database {
	s.t.Helper()
	d, err := postgres.Open(context.Background(), address, postgres.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return d
}

// rows are a user's in a database.
func (s *shell) rows(d *postgres.Database, subject string) store.Store {
	s.t.Helper()
	rows, _, err := d.Acquire(context.Background(), ownerOf(subject))
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// as names a user by flags.
func as(subject string) []string { return []string{"--issuer", issuer, "--subject", subject} }

type userList struct{ Users []listed }

func TestCommandsWorkInPostgreSQL(t *testing.T) {
	s := newShell(t)
	db := []string{"--db", pgtest.Shared(t).Database(t)}
	s.in = dated("", "n", "", "")
	for _, subject := range []string{"alice", "bob"} {
		if got := s.do(slices.Concat([]string{"import", "-"}, db, as(subject))...); !strings.Contains(got, "4 added") || strings.Contains(got, "secret") {
			t.Errorf("%s: %s", subject, got)
		}
	}
	s.in = dated("local")
	s.do(append([]string{"import", "-"}, db...)...)
	s.in = dated("n")
	s.fails(Failed, []string{"quota exceeded"}, slices.Concat([]string{"import", "-", "--max-snapshots", "4", "--conflict", "renumber"}, db, as("alice"))...)
	s.fails(Failed, []string{"no such user"}, slices.Concat([]string{"import", "-", "--user", ownerOf("carol").User}, db)...)

	got := reads[userList](s, append([]string{"users"}, db...)...)
	if len(got.Users) != 3 || got.Users[0].User != "" || got.Users[0].Snapshots != 1 || got.Users[1].Snapshots != 4 || got.Users[2].Issuer != issuer {
		t.Errorf("users: %+v", got)
	}
	s.in = ""
	if lines := s.do(slices.Concat([]string{"export", "--user", ownerOf("alice").User}, db)...); strings.Count(lines, "\n") != 4 {
		t.Errorf("alice exports %s", lines)
	}
	if lines := s.do(append([]string{"export"}, db...)...); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"local"`) {
		t.Errorf("the local user exports %s", lines)
	}
	type answer struct {
		Pruned []pruned
		DryRun bool `json:"dry_run"`
	}
	prune := slices.Concat([]string{"prune", "--keep-count", "2", "--all"}, db)
	for _, args := range [][]string{append(prune, "--dry-run"), prune} {
		pruned := reads[answer](s, args...)
		if len(pruned.Pruned) != 3 || pruned.Pruned[0].Deleted+pruned.Pruned[1].Deleted+pruned.Pruned[2].Deleted != 2 {
			t.Errorf("%v: %+v", args, pruned)
		}
	}
	exported := reads[struct{ Exports []exported }](s, slices.Concat([]string{"export", "--all", "--output", s.path("out")}, db)...)
	if len(exported.Exports) != 3 || exported.Exports[1].Snapshots != 3 || exported.Exports[0].File != s.path("out", "local.jsonl") {
		t.Errorf("after the prune: %+v", exported)
	}
}

func TestCheckInPostgreSQL(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	address := server.URL(pgtest.Role, name)
	d := s.database(address)
	fill(t, s.rows(d, "alice"), "one", "two")
	fill(t, s.rows(d, "bob"), "one")
	args := []string{"check", "--all", "--db", address}
	if got := s.do(args...); got != "2 databases checked: no damage\n" {
		t.Errorf("got %q", got)
	}
	server.Exec(t, name, "UPDATE snapshotd_users SET snapshots = 7 WHERE subject = 'alice'")
	got := s.run(args...)
	if got.status != Damaged || !strings.Contains(got.out, "user "+ownerOf("alice").User) || !strings.Contains(got.out, "--repair mends it") || !strings.HasSuffix(got.out, "1 problem found\n") {
		t.Errorf("got %+v", got)
	}
	if got := s.do(append(args, "--repair")...); !strings.Contains(got, "(repaired)") {
		t.Errorf("got %s", got)
	}
	if usage, err := s.rows(d, "alice").Usage(context.Background()); err != nil || usage.Snapshots != 2 {
		t.Errorf("%+v, %v", usage, err)
	}
}

// TestCommandsNeedNoRoleAboveTheServers runs them with the rights that the documents
// give to a server: row-level security lets it see one user at a time.
func TestCommandsNeedNoRoleAboveTheServers(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	name := server.NewDatabase(t, "")
	d := s.database(server.URL(pgtest.Role, name)) // makes the tables
	fill(t, s.rows(d, "alice"), "a1", "a2")
	fill(t, s.rows(d, "bob"), "b1")
	server.Exec(t, name, `CREATE ROLE commands_app LOGIN;
		GRANT SELECT ON snapshotd_schema TO commands_app;
		GRANT SELECT, INSERT, UPDATE, DELETE ON snapshotd_users, snapshotd_snapshots, snapshotd_words TO commands_app`)
	t.Cleanup(func() { server.Exec(t, name, "DROP OWNED BY commands_app; DROP ROLE commands_app") })
	db := []string{"--all", "--db", server.URL("commands_app", name)}
	s.do(append([]string{"check"}, db...)...)
	s.do(append([]string{"backup", s.path("all.jsonl")}, db...)...)
	fill(t, s.rows(d, "alice"), "a3")
	s.do(append([]string{"restore", s.path("all.jsonl")}, db...)...)
	if got := summaries(t, s.rows(d, "alice")); got != "a2 a1" {
		t.Errorf("alice has %s", got)
	}
}

func TestNoMessageHasThePassword(t *testing.T) {
	const address = "postgres://alice:secret@127.0.0.1:1/snapshots?sslmode=disable"
	s := newShell(t)
	for _, args := range [][]string{
		{"backup", "copy"}, {"export"}, {"import", "-"}, {"check"}, {"users"}, {"prune", "--keep-days", "1"},
	} {
		args = append(args, "--db", address)
		s.fails(Failed, []string{"127.0.0.1:1/snapshots"}, args...)
		if got := s.run(args...); strings.Contains(got.log, "secret") {
			t.Errorf("%v repeats the password: %s", args, got.log)
		}
	}
	for direction, wants := range map[string]string{"to-user": "to-server", "to-server": "SNAPSHOT_DB_PATH"} {
		args := []string{"migrate", direction, "--issuer", issuer, "--subject", "alice", "--db", address}
		s.fails(Usage, []string{wants}, args...)
		if got := s.run(args...); strings.Contains(got.log, "secret") {
			t.Errorf("%v repeats the password: %s", args, got.log)
		}
	}
	s.fails(Usage, []string{"SNAPSHOT_DB_PATH"}, "install", "--client", "cursor", "--db", address)
	if left, err := os.ReadDir(s.home); err != nil || len(left) != 0 {
		t.Errorf("it left %v %v", left, err)
	}
}

// everything is an export of all users, one after the other.
func (s *shell) everything(place ...string) string {
	s.t.Helper()
	folder, err := os.MkdirTemp(s.home, "export")
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, one := range reads[struct{ Exports []exported }](s, append([]string{"export", "--all", "--output", folder}, place...)...).Exports {
		text, err := os.ReadFile(one.File)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s", one.User, text)
	}
	return b.String()
}
