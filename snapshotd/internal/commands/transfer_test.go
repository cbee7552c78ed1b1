package commands

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func TestWhatIsExportedCanBeImported(t *testing.T) {
	s := newShell(t)
	fill(t, s.file(s.path("a.db"), nil), "one", "two <&>", "three")
	lines := s.do("export", "--db", s.path("a.db"))
	if strings.Count(lines, "\n") != 3 || !strings.Contains(lines, "two <&>") {
		t.Errorf("exported %s", lines)
	}
	s.in = lines
	if got := s.do("import", "-", "--db", s.path("b.db")); !strings.Contains(got, "3 added") {
		t.Errorf("got %s", got)
	}
	if got := s.do("import", "-", "--db", s.path("b.db")); !strings.HasSuffix(got, ": 3 present already\n") {
		t.Errorf("again: %s", got)
	}
	if again := s.do("export", "--db", s.path("b.db")); again != lines {
		t.Errorf("exported again: %s", again)
	}
}

func TestExportToFiles(t *testing.T) {
	s := newShell(t)
	fill(t, s.user("alice"), "a1", "a2")
	fill(t, s.user("bob"), "b1")
	data := []string{"--data", s.path("users")}
	got := reads[struct{ Exports []exported }](s, append([]string{"export", "--all", "--output", s.path("out"), "--format", "markdown"}, data...)...)
	if len(got.Exports) != 2 {
		t.Fatalf("got %+v", got)
	}
	for _, one := range got.Exports {
		text, err := os.ReadFile(one.File)
		if err != nil || strings.Count(string(text), "\n### Context\n") != int(one.Snapshots) {
			t.Errorf("%s: %s, %v", one.File, text, err)
		}
	}
	one := append([]string{"export", "--user", ownerOf("bob").User, "--output", s.path("bob.jsonl")}, data...)
	s.do(one...)
	s.fails(Failed, []string{"bob.jsonl", "exists"}, one...)
}

func TestImportFollowsItsRuleAndItsQuotas(t *testing.T) {
	for rule, want := range map[string]string{
		"skip": "1 skipped", "replace": "1 replaced", "renumber": "1 renumbered", "": "1 skipped",
	} {
		s := newShell(t)
		fill(t, s.file(s.path("a.db"), nil), "there")
		s.in = `{"id":1,"summary":"other","context":"c","created_at":"2026-01-01T00:00:00Z"}`
		args := []string{"import", "-", "--db", s.path("a.db")}
		if rule != "" {
			args = append(args, "--conflict", rule)
		}
		if got := s.do(args...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", rule, got)
		}
	}
	s := newShell(t)
	s.in = dated("", "", "")
	s.fails(Failed, []string{"quota exceeded", "2 snapshots"}, "import", "-", "--db", s.path("a.db"), "--max-snapshots", "2")
	s.env["SNAPSHOT_MAX_SNAPSHOT_BYTES"] = "2"
	s.fails(Failed, []string{"quota exceeded", "at most 2"}, "import", "-", "--db", s.path("a.db"))
}

func TestAnImportThatBreaksOffSaysHowFarItCame(t *testing.T) {
	s := newShell(t)
	var b strings.Builder
	for i := range batchSnapshots + 10 {
		fmt.Fprintf(&b, `{"id":%d,"summary":"s","context":"c","created_at":"2026-01-01 00:00:00"}`+"\n", i+1)
	}
	good := b.String()
	s.in = good + "nonsense\n"
	s.fails(Failed, []string{fmt.Sprintf("line %d", batchSnapshots+11), fmt.Sprintf("%d added", batchSnapshots), "repeat the import"}, "import", "-", "--db", s.path("a.db"))
	s.in = good
	if got := s.do("import", "-", "--db", s.path("a.db")); !strings.Contains(got, "10 added") {
		t.Errorf("got %s", got)
	}
}

func TestImportMakesAUsersFileOnlyForOneWhoIsNamed(t *testing.T) {
	s := newShell(t)
	s.in = dated("n")
	s.fails(Failed, []string{"no such user"}, "import", "-", "--data", s.path("users"), "--user", ownerOf("alice").User)
	s.do("import", "-", "--data", s.path("users"), "--issuer", issuer, "--subject", "alice")
	got := reads[struct{ Users []listed }](s, "users", "--data", s.path("users"))
	if len(got.Users) != 1 || got.Users[0].Subject != "alice" || got.Users[0].User != ownerOf("alice").User || got.Users[0].Snapshots != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestPruneKeepsWhatItSays(t *testing.T) {
	for _, test := range []struct {
		args    string
		deleted int64
	}{
		{"--keep-days 2", 1},
		{"--keep-days 2 --prune-named", 3},
		{"--keep-count 1", 2},
		{"--keep-count 3", 0},
		{"--keep-count 1 --prune-named", 5},
		{"--keep-count 2 --keep-days 2", 1},
		{"--keep-count 2 --keep-days 1 --prune-named", 4},
		{"--keep-days 100", 0},
	} {
		s := newShell(t)
		s.in = dated("", "", "n", "", "n", "n") // the newest first
		s.do("import", "-", "--db", s.path("a.db"))
		args := append([]string{"prune", "--db", s.path("a.db")}, strings.Fields(test.args)...)
		type answer struct {
			Pruned []pruned
			DryRun bool `json:"dry_run"`
		}
		dry := reads[answer](s, append(args, "--dry-run")...)
		wet := reads[answer](s, args...)
		if !dry.DryRun || dry.Pruned[0].Deleted != test.deleted || wet.DryRun || wet.Pruned[0].Deleted != test.deleted {
			t.Errorf("%s: would delete %d, deleted %d, want %d", test.args, dry.Pruned[0].Deleted, wet.Pruned[0].Deleted, test.deleted)
		}
	}
}

func TestProgressIsForPeople(t *testing.T) {
	s := newShell(t)
	s.in = dated("", "", "")
	tick := today
	s.now = func() time.Time {
		tick = tick.Add(time.Second)
		return tick
	}
	args := []string{"import", "-", "--db", s.path("a.db")}
	if got := s.run(args...); got.status != Done || got.log != "" {
		t.Errorf("to a file: %+v", got)
	}
	if got := s.run(append(args, "--progress")...); got.status != Done || !strings.HasPrefix(got.log, "3 present") || !strings.HasSuffix(got.log, "\n") {
		t.Errorf("asked for: %+v", got)
	}
	s.terminal = true
	if got := s.run(args...); got.status != Done || !strings.HasPrefix(got.log, "\r\x1b[K3 present") || !strings.HasSuffix(got.log, "\r\x1b[K") {
		t.Errorf("on a terminal: %+v", got)
	}
	if got := s.run(append(args, "--progress=false")...); got.status != Done || got.log != "" {
		t.Errorf("forbidden: %+v", got)
	}
}

func TestUsersAreListedWithTheirTrouble(t *testing.T) {
	s := newShell(t)
	fill(t, s.user("alice"), "a1")
	damaged := store.UserFile(s.path("users"), store.Owner{User: "broken"})
	if err := os.MkdirAll(s.path("users", "broken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := reads[struct{ Users []listed }](s, "users", "--data", s.path("users"))
	if len(got.Users) != 2 || got.Users[0].User != "broken" && got.Users[1].User != "broken" {
		t.Fatalf("got %+v", got)
	}
	text := s.do("users", "--data", s.path("users"))
	for _, want := range []string{"USER", "alice", issuer, "broken", "damaged"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	s.fails(Failed, []string{"nowhere", "no such file"}, "users", "--data", s.path("nowhere"))
	s.fails(Failed, []string{"nowhere", "no such file"}, "users", "--db", s.path("nowhere"))
	if got := oneLine("a\x1b[31m\nb\u009b"); got != "a?[31m?b?" {
		t.Errorf("a terminal would get %q", got)
	}
}
