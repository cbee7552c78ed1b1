package commands

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestAnArchiveIsRestoredIntoEitherStore(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	fill(t, s.user("alice"), "a1", "a2 <東京>")
	fill(t, s.user("bob"), "b1")
	folder := []string{"--data", s.path("users")}
	want := s.everything(folder...)
	s.do(slices.Concat([]string{"backup", s.path("files.jsonl"), "--portable", "--all"}, folder)...)

	first := []string{"--db", server.Database(t)}
	if got := s.do(slices.Concat([]string{"restore", s.path("files.jsonl"), "--all"}, first)...); got != "Restored 2 users from "+s.path("files.jsonl")+"\n" {
		t.Errorf("got %q", got)
	}
	if got := s.everything(first...); got != want {
		t.Errorf("from files to PostgreSQL:\n%s\nwant\n%s", got, want)
	}
	s.do(slices.Concat([]string{"check", "--all"}, first)...)
	s.do(slices.Concat([]string{"backup", s.path("server.jsonl"), "--all"}, first)...)
	for _, place := range [][]string{{"--data", s.path("elsewhere")}, {"--db", server.Database(t)}} {
		s.do(slices.Concat([]string{"restore", s.path("server.jsonl"), "--all"}, place)...)
		if got := s.everything(place...); got != want {
			t.Errorf("from PostgreSQL to %s:\n%s\nwant\n%s", place, got, want)
		}
	}
	if got := reads[userList](s, "users", "--data", s.path("elsewhere")); len(got.Users) != 2 || got.Users[0].Issuer != issuer {
		t.Errorf("users: %+v", got)
	}
}

func TestBackupsOfFilesAreRestoredIntoPostgreSQL(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	fill(t, s.user("alice"), "a1", "a2")
	fill(t, s.file(s.path("a.db"), nil), "mine")
	folder := []string{"--data", s.path("users")}
	db := []string{"--db", server.Database(t)}
	s.do(slices.Concat([]string{"backup", s.path("copies"), "--all"}, folder)...)
	s.do(slices.Concat([]string{"restore", s.path("copies"), "--all"}, db)...)
	if got, want := s.everything(db...), s.everything(folder...); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.do(slices.Concat([]string{"restore", s.path("a.db")}, db)...)
	if got := s.do(append([]string{"export"}, db...)...); !strings.Contains(got, "mine") {
		t.Errorf("the local user has %s", got)
	}
}

func TestRestoreInPostgreSQLPutsAsideWhatWasThere(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	address := server.Database(t)
	d := s.database(address)
	alice := s.rows(d, "alice")
	fill(t, alice, "a1", "a2")
	one := slices.Concat([]string{"--db", address}, as("alice"))
	s.do(slices.Concat([]string{"backup", s.path("alice.jsonl")}, one)...)
	fill(t, alice, "a3")
	for i, end := range []string{".replaced.jsonl", ".replaced.2.jsonl"} {
		got := reads[struct{ Restored []restored }](s, slices.Concat([]string{"restore", s.path("alice.jsonl")}, one)...)
		if len(got.Restored) != 1 || got.Restored[0].Snapshots != 2 || !strings.HasSuffix(got.Restored[0].Aside, end) {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if got := summaries(t, alice); got != "a2 a1" {
		t.Errorf("alice has %s", got)
	}
	aside := s.path("alice.jsonl." + ownerOf("alice").User + ".replaced.jsonl")
	s.do(slices.Concat([]string{"restore", aside}, one)...)
	if got := summaries(t, alice); got != "a3 a2 a1" {
		t.Errorf("from what was put aside: %s", got)
	}
	fill(t, alice, "a4")
	if saved := s.do(slices.Concat([]string{"export"}, one)...); !strings.Contains(saved, `{"id":4,"summary":"a4"`) {
		t.Errorf("exported %s", saved)
	}
}

func TestAnArchiveOfAnotherIsRefused(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	address := server.Database(t)
	d := s.database(address)
	fill(t, s.rows(d, "alice"), "a1")
	bob := s.rows(d, "bob")
	fill(t, bob, "b1")
	db := []string{"--db", address}
	archive := s.path("alice.jsonl")
	s.do(slices.Concat([]string{"backup", archive}, db, as("alice"))...)
	for _, place := range [][]string{db, {"--data", s.path("users")}} {
		s.fails(Failed, []string{"belongs to another user"}, slices.Concat([]string{"restore", archive}, place, as("bob"))...)
	}
	s.fails(Failed, []string{"belongs to another user", "--user"}, slices.Concat([]string{"restore", archive}, db)...)
	all := s.path("all.jsonl")
	s.do(slices.Concat([]string{"backup", all, "--all"}, db)...)
	s.fails(Failed, []string{"2 users", "--user"}, "restore", all, "--db", s.path("a.db"))
	s.fails(Failed, []string{"nothing of user"}, slices.Concat([]string{"restore", all}, db, as("carol"))...)
	s.fails(Failed, []string{"it is of an archive", "restore"}, "import", all, "--db", s.path("b.db"))
	// One who is not whom the key stands for.
	text, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(text), `"subject":"alice"`, `"subject":"mallory"`, 1)
	if err := os.WriteFile(archive, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fails(Failed, []string{"belongs to another user"}, slices.Concat([]string{"restore", archive, "--user", ownerOf("alice").User}, db)...)
	if got := summaries(t, bob); got != "b1" {
		t.Errorf("bob has %s", got)
	}
}

func TestAnArchiveThatIsCutOffChangesNothing(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	address := server.Database(t)
	alice := s.rows(s.database(address), "alice")
	fill(t, alice, "a1", "a2")
	s.do(slices.Concat([]string{"backup", s.path("a.jsonl"), "--db", address}, as("alice"))...)
	text, err := os.ReadFile(s.path("a.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for n := 1; n < len(lines)-1; n++ {
		if err := os.WriteFile(s.path("cut.jsonl"), []byte(strings.Join(lines[:n], "")), 0o600); err != nil {
			t.Fatal(err)
		}
		s.fails(Failed, []string{"no whole archive"}, slices.Concat([]string{"restore", s.path("cut.jsonl"), "--db", address}, as("alice"))...)
	}
	if got := summaries(t, alice); got != "a2 a1" {
		t.Errorf("alice has %s", got)
	}
}

func TestMigrateToPostgreSQLAndBack(t *testing.T) {
	s, server := newShell(t), pgtest.Shared(t)
	address := server.Database(t)
	s.env["SNAPSHOT_DB_PATH"] = address // also where --data is by its variable
	fill(t, s.user("alice"), "a1", "a2")
	fill(t, s.user("bob"), "b1")
	fill(t, s.file(s.path("a.db"), nil), "mine")
	folder := []string{"--data", s.path("users")}
	type answer struct {
		Migrated []migrated
		DryRun   bool `json:"dry_run"`
	}
	all := slices.Concat([]string{"migrate", "to-server", "--all"}, folder)
	if got := reads[answer](s, append(all, "--dry-run")...); len(got.Migrated) != 2 || !got.DryRun || got.Migrated[0].Snapshots+got.Migrated[1].Snapshots != 3 {
		t.Errorf("would migrate %+v", got)
	}
	if got := s.do(all...); got != "Copied 3 snapshots of 2 users\n" {
		t.Errorf("got %q", got)
	}
	want := s.everything(folder...)
	if got := s.everything("--db", address); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := s.run(all...); got.status != Failed || !strings.Contains(got.log, "--replace replaces them") {
		t.Errorf("again: %+v", got)
	}
	s.do(append(all, "--replace")...)
	s.do("migrate", "from-server", "--all", "--data", s.path("elsewhere"), "--server", address)
	if got := s.everything("--data", s.path("elsewhere")); got != want {
		t.Errorf("back:\n%s\nwant\n%s", got, want)
	}
	// A file of one's own, to be a local server's, or a user's, and back.
	s.do("migrate", "to-server", "--db", s.path("a.db"))
	s.do(slices.Concat([]string{"migrate", "to-server", "--db", s.path("a.db")}, as("carol"))...)
	s.do(slices.Concat([]string{"migrate", "from-server", "--db", s.path("carol.db")}, as("carol"))...)
	s.do("migrate", "from-server", "--db", s.path("b.db"))
	for _, file := range []string{"carol.db", "b.db"} {
		if got := summaries(t, s.file(s.path(file), nil)); got != "mine" {
			t.Errorf("%s has %s", file, got)
		}
		if got := reads[userList](s, "users", "--db", s.path(file)); got.Users[0].Subject != "" {
			t.Errorf("%s belongs to %+v", file, got)
		}
	}
	bobs := store.UserFile(s.path("users"), ownerOf("bob"))
	s.fails(Failed, []string{"belongs to another user"}, slices.Concat([]string{"migrate", "to-server", "--db", bobs}, as("dora"))...)
	s.fails(Usage, []string{"--all"}, slices.Concat([]string{"migrate", "to-server"}, folder)...)
}
