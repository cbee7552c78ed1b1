package commands

import (
	"os"
	"strings"
	"testing"
)

// No command takes the address of a server for the name of a file, nor repeats its password.
func TestCommandsNameTheProgramsOfAServer(t *testing.T) {
	const address = "postgres://alice:secret@db.example/snapshots"
	s := newShell(t)
	for _, args := range [][]string{
		{"backup", "copy"}, {"restore", "copy"}, {"export"}, {"import", "lines"}, {"check"}, {"users"}, {"prune", "--keep-days", "1"},
		{"migrate", "to-user", "--issuer", issuer, "--subject", "alice"},
	} {
		args = append(args, "--db", address)
		s.fails(Usage, []string{"pg_dump"}, args...)
		if got := s.run(args...); strings.Contains(got.log, "secret") {
			t.Errorf("%v repeats the password: %s", args, got.log)
		}
	}
	s.fails(Usage, []string{"SNAPSHOT_DB_PATH"}, "install", "--client", "cursor", "--db", address)
	if left, err := os.ReadDir(s.home); err != nil || len(left) != 0 {
		t.Errorf("it left %v %v", left, err)
	}
}
