package commands

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func (s *shell) write(name, text string) string {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// everyFile lists all files of the machine.
func (s *shell) everyFile() (all []string) {
	s.t.Helper()
	err := filepath.WalkDir(s.home, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// TestAHostileArchiveWritesNothingOutsideOfTheFolder gives archives whose users' names lead
// elsewhere. A user without issuer and subject has no key to be compared with.
func TestAHostileArchiveWritesNothingOutsideOfTheFolder(t *testing.T) {
	s := newShell(t)
	if err := os.MkdirAll(s.path("a", "users"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"..", "../../b", "x/../../c", "/" + s.path("d"), "."} {
		archive := s.write("hostile.jsonl", `{"archive":"snapshotd","version":1}
{"user":"`+key+`"}
{"id":1,"summary":"s","context":"c","created_at":"2025-10-26 12:00:00"}
{"end":"`+key+`","snapshots":1}
{"archive":"end","users":1,"snapshots":1}
`)
		s.fails(Failed, []string{"no whole archive", "no user's key"}, "restore", archive, "--all", "--data", s.path("a", "users"))
	}
	if got := s.everyFile(); !slices.Equal(got, []string{s.path("hostile.jsonl")}) {
		t.Errorf("files: %v", got)
	}
}

// TestTwoArchivesInOneFileAreRefused is about "cat monday.jsonl tuesday.jsonl", of which the
// second half would be left out.
func TestTwoArchivesInOneFileAreRefused(t *testing.T) {
	s := newShell(t)
	folder := []string{"--data", s.path("users")}
	var text string
	for _, subject := range []string{"alice", "bob"} {
		fill(t, s.user(subject), "of "+subject)
		s.do(slices.Concat([]string{"backup", s.path(subject), "--portable"}, folder, as(subject))...)
		one, err := os.ReadFile(s.path(subject))
		if err != nil {
			t.Fatal(err)
		}
		text += string(one)
	}
	s.fails(Failed, []string{"line 6: there is more behind its end"}, "restore", s.write("both", text), "--all", "--data", s.path("elsewhere"))
	if _, err := os.Stat(s.path("elsewhere")); !os.IsNotExist(err) {
		t.Errorf("something was restored: %v", err)
	}
}

func TestHostileLinesAreRefusedAndNamed(t *testing.T) {
	s := newShell(t)
	db := []string{"--db", s.path("a.db")}
	const good = `{"id":1,"summary":"s","context":"c","created_at":"2025-10-26 12:00:00"}`
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for text, want := range map[string]string{
		good + "\n" + good[:40]:                       "line 2: ", // cut off
		with(`"id":1`, `"id":-1`):                     "id -1, which must be",
		with(`"id":1`, `"id":9007199254740992`):       "which must be from 1 to 9007199254740991",
		with(`"id":1`, `"id":1e400`):                  "line 1: ",
		with(`"s"`, `null`):                           "line 1: a snapshot needs summary",
		with(`"s"`, `["s"]`):                          "line 1: ",
		with(`"s"`, "\"\xed\xa0\x80\""):               "line 1: it is not UTF-8",
		with(`"c"`, "\"\x00\""):                       "line 1: ",
		with(`2025-10-26 12:00:00`, `0000-00-00`):     "must be a time",
		with(`2025-10-26 12:00:00`, `2025-02-30 1:1`): "must be a time",
		strings.Repeat("[", 100_000):                  "line 1: ",
		`[` + good + `]`:                              "line 1: ",
		"\ufeff" + good:                               "line 1: ",
		`{"archive":"snapshotd","version":99}`:        "line 1: it is of an archive",
		`{"user":"../x"}`:                             "line 1: a snapshot needs summary",
	} {
		s.in = text
		s.fails(Failed, []string{want}, append([]string{"import", "-"}, db...)...)
	}
	// JSON may say halves of characters that no text has: they are what the server makes of them.
	s.in = with(`"id":1`, `"id":2`)
	s.in = strings.Replace(s.in, `"s"`, `"\ud800 \u0000"`, 1) + "\r\n\r\n"
	s.do(append([]string{"import", "-"}, db...)...)
	if got := s.do(append([]string{"export"}, db...)...); !strings.Contains(got, `"summary":"`+"\ufffd"+` \u0000"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("exported %q", got)
	}
	s.do(append([]string{"check"}, db...)...)
}
