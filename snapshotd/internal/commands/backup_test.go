package commands

import (
	"os"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func TestBackupAndRestoreWhileTheFileIsOpen(t *testing.T) {
	s := newShell(t)
	live := s.file(s.path("a.db"), nil)
	fill(t, live, "one", "two")
	s.do("backup", s.path("copy.db"), "--db", s.path("a.db"))
	fill(t, live, "three")
	got := reads[struct{ Restored []restored }](s, "restore", "--db", s.path("a.db"), s.path("copy.db"))
	if len(got.Restored) != 1 || got.Restored[0].Snapshots != 2 || got.Restored[0].Aside == "" {
		t.Errorf("got %+v", got)
	}
	if all := summaries(t, live); all != "two one" {
		t.Errorf("restored: %s", all)
	}
	if all := summaries(t, s.file(got.Restored[0].Aside, nil)); all != "three two one" {
		t.Errorf("aside: %s", all)
	}
}

func TestBackupInAFolderIsNamedAfterTheTime(t *testing.T) {
	s := newShell(t)
	fill(t, s.file(s.path("a.db"), nil), "one")
	got := reads[struct{ Backups []backedUp }](s, "backup", s.path(), "--db", s.path("a.db"))
	if len(got.Backups) != 1 || got.Backups[0].File != s.path("snapshots-20260301T120000Z.db") || got.Backups[0].Bytes == 0 {
		t.Errorf("got %+v", got)
	}
	s.fails(Failed, []string{"snapshots-20260301T120000Z.db", "exists"}, "backup", s.path(), "--db", s.path("a.db"))
}

func TestAllUsersAreBackedUpAndRestored(t *testing.T) {
	s := newShell(t)
	alice, bob := s.user("alice"), s.user("bob")
	fill(t, alice, "a1", "a2")
	fill(t, bob, "b1")
	data := []string{"--data", s.path("users")}
	if got := s.do(append([]string{"backup", s.path("copies"), "--all"}, data...)...); got != "Backed up 2 users to "+s.path("copies")+"\n" {
		t.Errorf("got %q", got)
	}
	fill(t, alice, "a3")
	fill(t, bob, "b2")
	// One alone, and then all, also where there is nothing yet.
	s.do(append([]string{"restore", store.UserFile(s.path("copies"), ownerOf("alice")), "--user", ownerOf("alice").User}, data...)...)
	if a, b := summaries(t, alice), summaries(t, bob); a != "a2 a1" || b != "b2 b1" {
		t.Errorf("alice has %s, bob %s", a, b)
	}
	s.do("restore", s.path("copies"), "--all", "--data", s.path("elsewhere"))
	got := reads[struct{ Users []listed }](s, "users", "--data", s.path("elsewhere"))
	if len(got.Users) != 2 || got.Users[0].Snapshots+got.Users[1].Snapshots != 3 || got.Users[0].Issuer != issuer {
		t.Errorf("got %+v", got)
	}
}

func TestABackupIsNotPutIntoAnothersPlace(t *testing.T) {
	s := newShell(t)
	fill(t, s.user("alice"), "a1")
	bob := s.user("bob")
	fill(t, bob, "b1")
	copied := s.path("alice.db")
	s.do("backup", copied, "--data", s.path("users"), "--issuer", issuer, "--subject", "alice")
	for _, subject := range []string{"bob", "carol"} { // one who is there, and one who is not
		s.fails(Failed, []string{"belongs to another user"}, "restore", copied, "--data", s.path("users"), "--user", ownerOf(subject).User)
	}
	if all := summaries(t, bob); all != "b1" {
		t.Errorf("bob has %s", all)
	}
}

func TestOneDamagedFileKeepsNoOtherFromItsBackup(t *testing.T) {
	s := newShell(t)
	fill(t, s.user("alice"), "a1")
	damaged := store.UserFile(s.path("users"), ownerOf("bob"))
	if err := os.MkdirAll(s.path("users", ownerOf("bob").User), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.run("backup", s.path("copies"), "--all", "--data", s.path("users"))
	if got.status != Failed || !strings.Contains(got.out, "Backed up 1 user ") || !strings.Contains(got.log, ownerOf("bob").User) || !strings.Contains(got.log, "damaged") {
		t.Errorf("got %+v", got)
	}
}

func TestWhatCannotBeRestoredIsExplained(t *testing.T) {
	s := newShell(t)
	live := s.file(s.path("a.db"), nil)
	fill(t, live, "one")
	if err := os.WriteFile(s.path("text"), []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fails(Failed, []string{"not a database"}, "restore", s.path("text"), "--db", s.path("a.db"))
	s.fails(Failed, []string{"none", "no such file"}, "restore", s.path("none"), "--db", s.path("a.db"))
	s.fails(Failed, []string{"backup --all"}, "restore", s.home, "--all", "--data", s.path("users"))
	s.fails(Failed, []string{"no such file"}, "backup", s.path("x"), "--db", s.path("none"))
	if all := summaries(t, live); all != "one" {
		t.Errorf("left %s", all)
	}
}
