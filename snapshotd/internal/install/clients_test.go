package install

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

func system(os, home string, env map[string]string) settings.System {
	return settings.System{
		Getenv: func(name string) string { return env[name] },
		Home:   func() (string, error) { return home, nil },
		OS:     os,
	}
}

func client(t *testing.T, name string) Client {
	t.Helper()
	chosen, err := Choose([]string{name}, system("linux", "/nowhere", nil))
	if err != nil {
		t.Fatal(err)
	}
	return chosen[0]
}

func TestPlacesOnEachSystem(t *testing.T) {
	xdg, err := filepath.Abs("xdg")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		client, os string
		env        map[string]string
		want       string
	}{
		{"claude-desktop", "darwin", nil, "/home/a/Library/Application Support/Claude/claude_desktop_config.json"},
		{"claude-desktop", "windows", map[string]string{"APPDATA": "/appdata"}, "/appdata/Claude/claude_desktop_config.json"},
		{"claude-desktop", "windows", nil, "/home/a/AppData/Roaming/Claude/claude_desktop_config.json"},
		{"claude-desktop", "linux", nil, "/home/a/.config/Claude/claude_desktop_config.json"},
		{"claude-desktop", "linux", map[string]string{"XDG_CONFIG_HOME": xdg}, filepath.ToSlash(xdg) + "/Claude/claude_desktop_config.json"},
		{"claude-desktop", "linux", map[string]string{"XDG_CONFIG_HOME": "relative"}, "/home/a/.config/Claude/claude_desktop_config.json"},
		{"claude-code", "darwin", nil, "/home/a/.claude.json"},
		{"claude-code", "windows", map[string]string{"APPDATA": "/appdata"}, "/home/a/.claude.json"},
		{"claude-code", "linux", nil, "/home/a/.claude.json"},
		{"claude-code", "linux", map[string]string{"CLAUDE_CONFIG_DIR": "/other/claude"}, "/other/claude/.claude.json"},
		{"cursor", "darwin", nil, "/home/a/.cursor/mcp.json"},
		{"cursor", "windows", nil, "/home/a/.cursor/mcp.json"},
		{"cursor", "linux", nil, "/home/a/.cursor/mcp.json"},
		{"vscode", "darwin", nil, "/home/a/Library/Application Support/Code/User/mcp.json"},
		{"vscode", "windows", map[string]string{"APPDATA": "/appdata"}, "/appdata/Code/User/mcp.json"},
		{"vscode", "linux", nil, "/home/a/.config/Code/User/mcp.json"},
	}
	for _, test := range tests {
		got, err := client(t, test.client).file(system(test.os, "/home/a", test.env))
		if err != nil || filepath.ToSlash(got) != test.want {
			t.Errorf("%s on %s %v: got %s, %v; want %s", test.client, test.os, test.env, got, err, test.want)
		}
	}
}

func TestClientsAreFoundByTheirFolders(t *testing.T) {
	home := t.TempDir()
	linux := system("linux", home, nil)
	names := func() []string {
		t.Helper()
		chosen, err := Choose(nil, linux)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range chosen {
			names = append(names, c.Name)
		}
		return names
	}
	if got := names(); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	for _, folder := range []string{".cursor", ".config/Code/User"} {
		if err := os.MkdirAll(filepath.Join(home, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, ".claude.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"claude-code", "cursor", "vscode"}) {
		t.Errorf("found %v", got)
	}
}

func TestUnknownClientsAndNoHomeAreExplained(t *testing.T) {
	if _, err := Choose([]string{"emacs"}, system("linux", "/home/a", nil)); err == nil || !strings.Contains(err.Error(), "claude-desktop, claude-code, cursor, vscode") {
		t.Errorf("got %v", err)
	}
	homeless := system("linux", "", nil)
	homeless.Home = func() (string, error) { return "", errors.New("$HOME is not defined") }
	if _, err := Choose(nil, homeless); err == nil || !strings.Contains(err.Error(), "no home folder") {
		t.Errorf("got %v", err)
	}
	if chosen, err := Choose([]string{"cursor", "cursor"}, homeless); err != nil || len(chosen) != 1 {
		t.Errorf("got %v, %v", chosen, err)
	}
}

func TestClaudeDesktopInAPackageOfWindowsHasAFolderOfItsOwn(t *testing.T) {
	home := t.TempDir()
	windows := system("windows", home, map[string]string{"LOCALAPPDATA": filepath.Join(home, "local"), "APPDATA": filepath.Join(home, "roaming")})
	file := func() string {
		t.Helper()
		path, err := client(t, "claude-desktop").file(windows)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	packaged := func(name string) string {
		return filepath.Join(home, "local", "Packages", name, "LocalCache", "Roaming", "Claude")
	}
	makeFolder := func(folder string) {
		t.Helper()
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	plain := filepath.Join(home, "roaming", "Claude")
	makeFolder(plain)
	makeFolder(filepath.Join(home, "local", "Packages", "Claude_removed")) // of which nothing is left
	makeFolder(packaged("Other_1"))
	if got := file(); got != filepath.Join(plain, claudeFile) {
		t.Errorf("without a package: %s", got)
	}
	makeFolder(packaged("Claude_a"))
	if got := file(); got != filepath.Join(packaged("Claude_a"), claudeFile) {
		t.Errorf("with one: %s", got)
	}
	makeFolder(packaged("Claude_b"))
	if err := os.WriteFile(filepath.Join(packaged("Claude_b"), claudeFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := file(); got != filepath.Join(packaged("Claude_b"), claudeFile) {
		t.Errorf("with two, of which one is configured: %s", got)
	}
}
