package settings

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func system(os string, env map[string]string) System {
	return System{
		Getenv: func(name string) string { return env[name] },
		Home:   func() (string, error) { return "/home/alice", nil },
		OS:     os,
	}
}

// served are settings with the defaults of all but these.
func served(auth Mode, place Place) Settings {
	return Settings{Auth: auth, Place: place, OpenFiles: 200}
}

func TestSettings(t *testing.T) {
	const linux = "/home/alice/.local/share/claude-snapshots"
	absolute, err := filepath.Abs("place")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		os   string
		args string
		env  map[string]string
		want Settings
	}{
		{name: "nothing set", want: served(Disabled, Place{File: linux + "/snapshots.db", Default: true})},
		{name: "nothing set on macOS", os: "darwin", want: served(Disabled, Place{File: "/home/alice/.claude-snapshots/snapshots.db", Default: true})},
		{name: "nothing set on Windows", os: "windows", env: map[string]string{"APPDATA": "/appdata"},
			want: served(Disabled, Place{File: "/appdata/claude-snapshots/snapshots.db", Default: true})},
		{name: "Windows without APPDATA", os: "windows",
			want: served(Disabled, Place{File: "/home/alice/AppData/Roaming/claude-snapshots/snapshots.db", Default: true})},
		{name: "trusted-meta alone", args: "--auth trusted-meta", want: served(TrustedMeta, Place{Base: linux + "/users", Default: true})},
		{name: "file by flag", args: "--db a.db", want: served(Disabled, Place{File: "a.db"})},
		{name: "one dash, equals sign", args: "-db=a.db -auth=disabled", want: served(Disabled, Place{File: "a.db"})},
		{name: "file by variable", env: map[string]string{EnvFile: "b.db"}, want: served(Disabled, Place{File: "b.db"})},
		{name: "flag beats variable", args: "--db a.db --auth disabled", env: map[string]string{EnvFile: "b.db", EnvAuth: "trusted-meta"},
			want: served(Disabled, Place{File: "a.db"})},
		{name: "flag beats the other's variable", args: "--db a.db", env: map[string]string{EnvBase: "base"}, want: served(Disabled, Place{File: "a.db"})},
		{name: "and the other way", args: "--data " + absolute + " --auth trusted-meta", env: map[string]string{EnvFile: "b.db"}, want: served(TrustedMeta, Place{Base: absolute})},
		{name: "users by variables", env: map[string]string{EnvBase: absolute, EnvAuth: "trusted-meta"}, want: served(TrustedMeta, Place{Base: absolute})},
		{name: "one file for a verified user", env: map[string]string{EnvFile: absolute, EnvAuth: "trusted-meta"}, want: served(TrustedMeta, Place{File: absolute})},
		{name: "a server", args: "--db postgres://u:p@h/d?sslmode=disable", want: served(Disabled, Place{Server: "postgres://u:p@h/d?sslmode=disable"})},
		{name: "a server by variable, for many", env: map[string]string{EnvFile: "PostgreSQL:///d", EnvAuth: "trusted-meta"},
			want: served(TrustedMeta, Place{Server: "postgresql:///d"})},
		{name: "a folder's flag beats a server", args: "--data " + absolute + " --auth trusted-meta", env: map[string]string{EnvFile: "postgres:///d"},
			want: served(TrustedMeta, Place{Base: absolute})},
		{name: "help", args: "--db a --help", want: Settings{Help: true}},
		{name: "help, short", args: "-h", want: Settings{Help: true}},
		{name: "version", args: "--version", want: Settings{Version: true}},
		{name: "version despite a bad environment", args: "--version", env: map[string]string{EnvAuth: "x"}, want: Settings{Version: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.os == "" {
				test.os = "linux"
			}
			got, err := Read(strings.Fields(test.args), system(test.os, test.env))
			if err != nil {
				t.Fatal(err)
			}
			test.want.File, test.want.Base = filepath.FromSlash(test.want.File), filepath.FromSlash(test.want.Base)
			if got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestWrongSettingsAreExplained(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want []string // all in the message
	}{
		{"unknown flag", []string{"--nope"}, nil, []string{"nope"}},
		{"argument", []string{"a.db"}, nil, []string{`"a.db"`}},
		{"flag without value", []string{"--db"}, nil, []string{"db"}},
		{"empty flag", []string{"--db", ""}, nil, []string{"--db"}},
		{"NUL", []string{"--db", "a\x00b"}, nil, []string{"--db", "NUL"}},
		{"bad mode by flag", []string{"--auth", "on"}, nil, []string{"--auth", `"on"`, "trusted-meta", "disabled"}},
		{"bad mode by variable", nil, map[string]string{EnvAuth: "Disabled"}, []string{EnvAuth, `"Disabled"`}},
		{"the mode that was never built", nil, map[string]string{EnvAuth: "oauth"}, []string{EnvAuth, "gateway", "trusted-meta"}},
		{"dummy is no mode", []string{"--auth", "dummy"}, nil, []string{`"dummy"`}},
		{"a server of another kind", []string{"--db", "mysql://u:secret@h/d"}, nil, []string{"--db", "mysql://", "postgres://"}},
		{"a server for a folder", nil, map[string]string{EnvBase: "postgres://u:secret@h/d", EnvAuth: "trusted-meta"}, []string{EnvBase, "--db"}},
		{"the home of a shell", []string{"--db", "~/a.db"}, nil, []string{"--db", "~/", "full path"}},
		{"the home of a shell for users", nil, map[string]string{EnvBase: "~/users", EnvAuth: "trusted-meta"}, []string{EnvBase, "~/", "full path"}},
		{"both places by flag", []string{"--db", "a", "--data", "b", "--auth", "trusted-meta"}, nil, []string{"--db", "--data"}},
		{"both places by variable", nil, map[string]string{EnvFile: "a", EnvBase: "b", EnvAuth: "trusted-meta"}, []string{EnvFile, EnvBase}},
		{"relative folder of users", []string{"--data", "b", "--auth", "trusted-meta"}, nil, []string{"--data", "relative", "absolute"}},
		{"relative file of a user", nil, map[string]string{EnvFile: "a.db", EnvAuth: "trusted-meta"}, []string{EnvFile, "relative", "absolute"}},
		{"users without identity, by flag", []string{"--data", "b"}, nil, []string{"--data", "trusted-meta", "--db"}},
		{"users without identity, by variable", nil, map[string]string{EnvBase: "b"}, []string{EnvBase, "trusted-meta"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Read(test.args, system("linux", test.env))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q holds a password", err)
			}
		})
	}
}

func TestWithoutHomeAPlaceMustBeGiven(t *testing.T) {
	homeless := system("linux", nil)
	homeless.Home = func() (string, error) { return "", errors.New("$HOME is not defined") }
	if _, err := Read(nil, homeless); err == nil || !strings.Contains(err.Error(), "--db") {
		t.Errorf("got %v", err)
	}
	if _, err := Read([]string{"--db", "a"}, homeless); err != nil {
		t.Errorf("with --db: %v", err)
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	for _, name := range []string{"--db", "--data", "--auth", "--version", "--help", EnvFile, EnvBase, EnvAuth, string(Disabled), string(TrustedMeta),
		"--max-snapshots", "--max-bytes", "--max-snapshot-bytes", "--keep-days", "--keep-count", "--prune-named", "--max-open-files",
		EnvMaxSnapshots, EnvMaxBytes, EnvMaxSnapshotBytes, EnvKeepDays, EnvKeepCount, EnvPruneNamed, EnvMaxOpenFiles} {
		if !strings.Contains(HelpText, name) {
			t.Errorf("no %s", name)
		}
	}
}
