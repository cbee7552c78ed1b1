package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func TestQuotasAndRetention(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name      string
		args      string
		env       map[string]string
		limits    store.Limits
		retention store.Retention
	}{
		{name: "by flags", args: "--max-snapshots 100 --max-bytes 10MB --max-snapshot-bytes 64KiB --keep-days 30 --keep-count 50 --prune-named",
			limits:    store.Limits{Snapshots: 100, Bytes: 10_000_000, SnapshotBytes: 64 << 10},
			retention: store.Retention{MaxAge: 30 * day, MaxCount: 50, Named: true}},
		{name: "by variables", env: map[string]string{EnvMaxSnapshots: "7", EnvMaxBytes: "1 GiB", EnvMaxSnapshotBytes: "500",
			EnvKeepDays: "1", EnvKeepCount: "2", EnvPruneNamed: "true"},
			limits:    store.Limits{Snapshots: 7, Bytes: 1 << 30, SnapshotBytes: 500},
			retention: store.Retention{MaxAge: day, MaxCount: 2, Named: true}},
		{name: "a flag lifts the limit of a variable", args: "--max-snapshots 0 --keep-days 0 --prune-named=false",
			env: map[string]string{EnvMaxSnapshots: "7", EnvKeepDays: "1", EnvPruneNamed: "true"}},
		{name: "named snapshots stay if nothing is said", args: "--keep-count 3", retention: store.Retention{MaxCount: 3}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Read(strings.Fields(test.args), system("linux", test.env))
			if err != nil {
				t.Fatal(err)
			}
			if got.Limits != test.limits || got.Retention != test.retention {
				t.Errorf("got %+v, %+v", got.Limits, got.Retention)
			}
		})
	}
}

func TestWrongQuotasAreExplained(t *testing.T) {
	tests := []struct {
		args string
		env  map[string]string
		want []string
	}{
		{"--max-snapshots many", nil, []string{"--max-snapshots", `"many"`, "whole number"}},
		{"--max-snapshots -1", nil, []string{"--max-snapshots", `"-1"`}},
		{"--max-bytes 10XB", nil, []string{"--max-bytes", `"10XB"`, "10MB"}},
		{"--max-bytes 99999999999GB", nil, []string{"--max-bytes", "10MB"}},
		{"--max-bytes 1KB --max-snapshot-bytes 2KB", nil, []string{"max-snapshot-bytes is 2000", "max-bytes 1000"}},
		{"", map[string]string{EnvMaxSnapshotBytes: "-5"}, []string{EnvMaxSnapshotBytes, `"-5"`}},
		{"--keep-days 99999", nil, []string{"--keep-days", "36500"}},
		{"--keep-count x", nil, []string{"--keep-count"}},
		{"", map[string]string{EnvPruneNamed: "maybe", EnvKeepDays: "1"}, []string{EnvPruneNamed, `"maybe"`, "true or false"}},
		{"--prune-named", nil, []string{"--prune-named", "--keep-days"}},
		{"--max-open-files 0 --auth trusted-meta", nil, []string{"--max-open-files", "from 1"}},
		{"--max-open-files 9 --db a", nil, []string{"--max-open-files", "--data"}},
	}
	for _, test := range tests {
		_, err := Read(strings.Fields(test.args), system("linux", test.env))
		if err == nil {
			t.Errorf("%s %v: accepted", test.args, test.env)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not name %s", err, want)
			}
		}
	}
}

func TestOpenFiles(t *testing.T) {
	got, err := Read([]string{"--auth", "trusted-meta", "--max-open-files", "1000"}, system("linux", nil))
	if err != nil || got.OpenFiles != 1000 {
		t.Errorf("got %d, %v", got.OpenFiles, err)
	}
	// Who shares variables among servers may set it for one that has no use for it.
	if _, err := Read([]string{"--db", "a"}, system("linux", map[string]string{EnvMaxOpenFiles: "9"})); err != nil {
		t.Errorf("by variable: %v", err)
	}
}

func TestCommandsNeedNoModeForUsers(t *testing.T) {
	for _, test := range []struct {
		args string
		env  map[string]string
		want Place
	}{
		{"--data users", nil, Place{Base: "users"}},
		{"--db a.db", map[string]string{EnvBase: "users"}, Place{File: "a.db"}},
		{"", map[string]string{EnvBase: "users"}, Place{Base: "users"}},
		{"", nil, Place{File: "/home/alice/.local/share/claude-snapshots/snapshots.db", Default: true}},
		{"", map[string]string{EnvAuth: string(TrustedMeta)}, Place{Base: "/home/alice/.local/share/claude-snapshots/users", Default: true}},
	} {
		flags := NewFlags("check", system("linux", test.env))
		flags.DefinePlace()
		if err := flags.Parse(strings.Fields(test.args)); err != nil {
			t.Fatal(err)
		}
		if got, err := flags.Place(); err != nil || got != test.want {
			t.Errorf("%s %v: got %+v, %v", test.args, test.env, got, err)
		}
	}
}
