package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallShowsItsChangesAndUninstallTakesThemBack(t *testing.T) {
	s := newShell(t)
	s.fails(Failed, []string{"no client was found", "--client"}, "install")
	file := s.path(".cursor", "mcp.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	const before = "{\n  \"mcpServers\": {}\n}\n"
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	content := func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	dry := s.do("install", "--dry-run", "--db", s.path("a.db"), "--keep-days", "9", "--prune-named")
	if content() != before || !strings.Contains(dry, `+      "command": "/usr/local/bin/snapshotd"`) || !strings.Contains(dry, "would be installed") {
		t.Errorf("dry: %s", dry)
	}
	got := s.do("install", "--db", s.path("a.db"), "--keep-days", "9", "--prune-named")
	if !strings.Contains(got, file+".before-snapshotd") {
		t.Errorf("got %s", got)
	}
	for _, want := range []string{`"--db"`, `"--keep-days"`, `"9"`, `"--prune-named=true"`} {
		if !strings.Contains(content(), want) {
			t.Errorf("no %s in %s", want, content())
		}
	}
	type answer struct {
		Clients []changed
		DryRun  bool `json:"dry_run"`
	}
	if again := reads[answer](s, "install"); len(again.Clients) != 1 || again.Clients[0].Status != "unchanged" || again.Clients[0].Diff != "" {
		t.Errorf("again: %+v", again)
	}
	if gone := reads[answer](s, "uninstall"); gone.Clients[0].Status != "restored" || content() != before {
		t.Errorf("gone: %+v", gone)
	}
}

func TestOneClientsTroubleKeepsNoOther(t *testing.T) {
	s := newShell(t)
	if err := os.WriteFile(s.path(".claude.json"), []byte("{ oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.run("install", "--client", "claude-code", "--client", "vscode")
	if got.status != Failed || !strings.Contains(got.out, "Claude Code: ") || !strings.Contains(got.out, "line 1") || !strings.Contains(got.out, "VS Code: installed") {
		t.Errorf("got %+v", got)
	}
}

func TestAProgramThatGoesAwayIsNotInstalled(t *testing.T) {
	c := &call{Surroundings: Surroundings{Executable: func() (string, error) {
		return filepath.Join(os.TempDir(), "go-build123", "exe", "snapshotd"), nil
	}}}
	_, err := c.program()
	if err == nil || !strings.Contains(err.Error(), "go install") {
		t.Errorf("got %v", err)
	}
}
