package main

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

func TestPostgreSQLServesManyUsersAndOne(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Database(t)
	many := []string{"--auth", "trusted-meta", "--db", address}
	alice, bob := connect(t, "", t.TempDir(), many...), connect(t, "", t.TempDir(), many...)
	draft := func(summary string) object { return object{"summary": summary, "context": "c"} }
	for _, want := range []string{"Saved snapshot #1", "Saved snapshot #2"} {
		if got := call(t, alice, stamp("alice"), "save_snapshot", draft("of alice")); got != want {
			t.Errorf("alice: %s", got)
		}
	}
	if got := call(t, bob, stamp("bob"), "list_snapshots", nil); got != "No snapshots found." {
		t.Errorf("bob sees %s", got)
	}
	if got := call(t, bob, stamp("bob"), "save_snapshot", draft("of bob")); got != "Saved snapshot #1" {
		t.Errorf("bob: %s", got)
	}
	if got := call(t, bob, stamp("alice"), "load_snapshot", nil); !strings.Contains(got, "of alice") {
		t.Errorf("alice, through another process: %s", got)
	}
	local := runToEnd(t, t.TempDir(), []string{"SNAPSHOT_DB_PATH=" + address},
		lines(initialize(), toolCall(1, "list_snapshots", nil), toolCall(2, "save_snapshot", draft("of the local user")), toolCall(3, "load_snapshot", nil)))
	got := answers(t, local.stdout)
	if local.status != 0 || local.stderr != "" || got["1"] != "No snapshots found." || got["2"] != "Saved snapshot #1" || !strings.Contains(got["3"], "of the local user") {
		t.Errorf("the local user: %+v", local)
	}
}

func TestUnusablePostgreSQLIsStatusOneWithoutThePassword(t *testing.T) {
	for _, address := range []string{"postgres://u:secret@127.0.0.1:1/d?sslmode=disable", "postgres://u:secret@h/d?sslmode=x", "postgres://u:sec%ret@h/d"} {
		got := runToEnd(t, t.TempDir(), nil, lines(initialize()), "--db", address)
		if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "snapshotd: ") || strings.Contains(got.stderr, "ret") {
			t.Errorf("%s: %+v", address, got)
		}
	}
}

func TestIdleMemoryWithPostgreSQL(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc, which only Linux has")
	}
	server := pgtest.Start(t)
	r := begin(t, command(context.Background(), t.TempDir(), "--db", server.Database(t)))
	r.say(t, initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}))
	for range 2 {
		r.hear(t)
	}
	resident := residentKiB(r.Process.Pid)
	t.Logf("%d KiB resident", resident)
	// The race detector takes memory of its own.
	if limit := 25 << 10; resident > limit && !slices.Contains(buildFlags, "-race") {
		t.Errorf("%d KiB are resident, of at most %d", resident, limit)
	}
	r.stdin.Close()
	if err := r.Wait(); err != nil {
		t.Error(err)
	}
}
