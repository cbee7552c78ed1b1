package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/commands"
	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

func TestHelpAndVersion(t *testing.T) {
	home := t.TempDir()
	if got := runToEnd(t, home, nil, "", "--help"); got != (finished{0, settings.HelpText + commands.List(), ""}) {
		t.Errorf("--help: %+v", got)
	}
	if got := runToEnd(t, home, nil, "", "help"); got != (finished{0, settings.HelpText + commands.List(), ""}) {
		t.Errorf("help: %+v", got)
	}
	if a, b := runToEnd(t, home, nil, "", "help", "backup"), runToEnd(t, home, nil, "", "backup", "--help"); a != b || a.status != 0 {
		t.Errorf("help backup: %+v, backup --help: %+v", a, b)
	}
	if got := runToEnd(t, home, nil, "", "help", "nonsense"); got.status != 2 || !strings.Contains(got.stderr, "nonsense") {
		t.Errorf("help nonsense: %+v", got)
	}
	if got := runToEnd(t, home, nil, "", "--version"); got != (finished{0, "snapshotd v9.8.7\n", ""}) {
		t.Errorf("--version: %+v", got)
	}
}

func TestWrongSettingsAreStatusTwo(t *testing.T) {
	for _, args := range [][]string{{"--nope"}, {"--auth", "on"}, {"--data", "d"}, {"--db", "a", "--data", "d", "--auth", "trusted-meta"}, {"--data", "d", "--auth", "trusted-meta"}, {"--db", "a", "--auth", "trusted-meta"}, {"a.db"}} {
		got := runToEnd(t, t.TempDir(), nil, "", args...)
		if got.status != 2 || got.stdout != "" || !strings.HasPrefix(got.stderr, "snapshotd: ") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := runToEnd(t, t.TempDir(), []string{"MCP_AUTH_MODE=oauth"}, ""); got.status != 2 || !strings.Contains(got.stderr, "MCP_AUTH_MODE") {
		t.Errorf("variable: %+v", got)
	}
}

func TestDefaultPlaceIsTheOriginals(t *testing.T) {
	home := t.TempDir()
	if got := runToEnd(t, home, nil, lines(initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}))); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	folder := map[string]string{
		"darwin": ".claude-snapshots", "windows": filepath.Join("appdata", "claude-snapshots"),
	}[runtime.GOOS]
	if folder == "" {
		folder = filepath.Join(".local", "share", "claude-snapshots")
	}
	if got := runToEnd(t, home, nil, lines(initialize(), toolCall(1, "load_snapshot", nil)), "serve"); !strings.Contains(got.stdout, "Resuming: s") {
		t.Errorf("serve: %+v", got)
	}
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, "snapshots.db"): 0o600} {
		info, err := os.Stat(filepath.Join(home, path))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
	}
}

func TestVariablesAreRead(t *testing.T) {
	home := t.TempDir()
	save := lines(initialize(), withMeta(toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}), "alice"))
	runToEnd(t, home, []string{"SNAPSHOT_DB_PATH=" + filepath.Join("new", "one.db")}, save)
	runToEnd(t, home, []string{"SNAPSHOT_DB_BASE_PATH=" + filepath.Join(home, "users"), "MCP_AUTH_MODE=trusted-meta"}, save)
	for _, path := range []string{filepath.Join("new", "one.db"), filepath.Join("users", userOf("alice"), "snapshots.db")} {
		if _, err := os.Stat(filepath.Join(home, path)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnusableDatabaseIsStatusOne(t *testing.T) {
	home := t.TempDir()
	newer := filepath.Join(home, "newer.db")
	makeNewer(t, newer)
	for path, want := range map[string]string{newer: "newer snapshotd", home: "folder"} {
		got := runToEnd(t, home, nil, lines(initialize()), "--db", path)
		if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
