package commands

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// harm changes a database behind everyone's back.
func harm(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsAndRepairs(t *testing.T) {
	s := newShell(t)
	live := s.file(s.path("a.db"), nil)
	fill(t, live, "one", "two")
	args := []string{"check", "--db", s.path("a.db")}
	if got := s.do(args...); got != "1 database checked: no damage\n" {
		t.Errorf("got %q", got)
	}
	harm(t, s.path("a.db"), "UPDATE snapshotd_usage SET snapshots = 7")
	got := s.run(args...)
	if got.status != Damaged || !strings.Contains(got.out, "7 snapshots") || !strings.Contains(got.out, "--repair mends it") {
		t.Errorf("got %+v", got)
	}
	type answer struct{ Checked []checked }
	mended := reads[answer](s, append(args, "--repair")...)
	if len(mended.Checked) != 1 || len(mended.Checked[0].Problems) != 1 || !mended.Checked[0].Problems[0].Repaired {
		t.Errorf("got %+v", mended)
	}
	if again := reads[answer](s, args...); len(again.Checked[0].Problems) != 0 {
		t.Errorf("left %+v", again)
	}
	if usage, err := live.Usage(context.Background()); err != nil || usage.Snapshots != 2 {
		t.Errorf("%+v, %v", usage, err)
	}
}

func TestCheckTellsWhatItCannotRepair(t *testing.T) {
	s := newShell(t)
	if err := os.WriteFile(s.path("a.db"), []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"--json", "--repair"} {
		got := s.run("check", "--db", s.path("a.db"), more)
		if got.status != Damaged || !strings.Contains(got.out, "damaged") || got.log != "" {
			t.Errorf("%s: %+v", more, got)
		}
	}
	s.fails(Failed, []string{"no such file"}, "check", "--db", s.path("none"))
}

func TestCheckFindsAFileInAnothersFolder(t *testing.T) {
	s := newShell(t)
	fill(t, s.user("alice"), "a1")
	bob := ownerOf("bob")
	s.file(store.UserFile(s.path("users"), store.Owner{User: ownerOf("carol").User}), &bob)
	got := s.run("check", "--data", s.path("users"), "--all")
	if got.status != Damaged || !strings.Contains(got.out, ownerOf("carol").User) || !strings.Contains(got.out, bob.User) || !strings.Contains(got.out, "1 problem found") {
		t.Errorf("got %+v", got)
	}
}

func TestMoveToAUserAndBack(t *testing.T) {
	s := newShell(t)
	local := s.file(s.path("a.db"), nil)
	fill(t, local, "one", "two")
	to := []string{"migrate", "to-user", "--db", s.path("a.db"), "--data", s.path("users"), "--issuer", issuer, "--subject", "alice"}
	if got := s.do(append(to, "--dry-run")...); !strings.HasPrefix(got, "Would copy 2 snapshots") {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(s.path("users")); !os.IsNotExist(err) {
		t.Errorf("a dry run made something: %v", err)
	}
	s.do(to...)
	// It is hers now: the server opens it for her.
	alice := s.user("alice")
	if all := summaries(t, alice); all != "two one" {
		t.Errorf("alice has %s", all)
	}
	s.fails(Failed, []string{"2 snapshots already", "--replace"}, to...)
	fill(t, alice, "three")
	back := []string{"migrate", "to-file", "--data", s.path("users"), "--user", ownerOf("alice").User, "--db"}
	s.do(append(back, s.path("b.db"))...)
	got := reads[struct{ Users []listed }](s, "users", "--db", s.path("b.db"))
	if len(got.Users) != 1 || got.Users[0].Subject != "" || got.Users[0].Snapshots != 3 {
		t.Errorf("got %+v", got)
	}
	s.do(append(back, s.path("a.db"), "--replace")...)
	if all := summaries(t, local); all != "three two one" {
		t.Errorf("local: %s", all)
	}
	if all := summaries(t, s.file(s.path("a.db.replaced.bak"), nil)); all != "two one" {
		t.Errorf("aside: %s", all)
	}
}

func TestAnothersFileIsNotMovedToAUser(t *testing.T) {
	s := newShell(t)
	bob := ownerOf("bob")
	fill(t, s.file(s.path("bob.db"), &bob), "b1")
	s.fails(Failed, []string{"belongs to another user"}, "migrate", "to-user", "--db", s.path("bob.db"), "--data", s.path("users"), "--issuer", issuer, "--subject", "alice")
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	s := newShell(t)
	data := s.path("users")
	for _, test := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"backup"}, []string{"missing argument", "--help"}},
		{[]string{"backup", "a", "b"}, []string{`unexpected argument "b"`}},
		{[]string{"backup", "a", "--db", "x", "--user", "k"}, []string{"--user", "--data"}},
		{[]string{"backup", "a", "--data", data}, []string{"--user", "--issuer"}},
		{[]string{"backup", "a", "--data", data, "--user", "../x"}, []string{"../x"}},
		{[]string{"backup", "a", "--data", data, "--issuer", "i"}, []string{"--subject"}},
		{[]string{"backup", "a", "--data", data, "--user", "k", "--issuer", "i", "--subject", "s"}, []string{"k", "one of the two"}},
		{[]string{"backup", "a", "--all", "--db", "x"}, []string{"--all", "--data"}},
		{[]string{"backup", "a", "--all", "--data", data, "--user", "k"}, []string{"exclude"}},
		{[]string{"backup", "a", "--db", "x", "--data", "y"}, []string{"exclude"}},
		{[]string{"check", "--nope"}, []string{"nope"}},
		{[]string{"export", "--format", "pdf"}, []string{"pdf", "markdown"}},
		{[]string{"export", "--json"}, []string{"--output"}},
		{[]string{"import", "-", "--conflict", "merge"}, []string{"merge", "renumber"}},
		{[]string{"import", "-", "--max-bytes", "x"}, []string{"--max-bytes"}},
		{[]string{"prune"}, []string{"--keep-days"}},
		{[]string{"prune", "--keep-days", "x"}, []string{"--keep-days"}},
		{[]string{"migrate", "sideways"}, []string{"sideways", "to-user"}},
		{[]string{"migrate", "to-user", "--user", "k"}, []string{"--issuer"}},
		{[]string{"migrate", "to-file"}, []string{"--user"}},
		{[]string{"install", "--client", "emacs"}, []string{"emacs", "vscode"}},
		{[]string{"install", "--data", "x"}, []string{"--data", "gateway"}},
	} {
		s.fails(Usage, test.wants, test.args...)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	s := newShell(t)
	for _, c := range list() {
		got := s.do(c.name, "--help")
		for _, want := range []string{"Usage:\n  snapshotd " + c.name, "--json", "--progress", "Exit status"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in %s", c.name, want, got)
			}
		}
		if !Is(c.name) || !strings.Contains(List(), "  "+c.name+" ") {
			t.Errorf("%s is not listed", c.name)
		}
	}
	if Is("serve") || Is("--db") {
		t.Error("too much is a command")
	}
}
