//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

// folderOfUsers makes files of so many users, with so many snapshots each.
func folderOfUsers(t *testing.T, base string, users, snapshots int) {
	t.Helper()
	for u := range users {
		subject := fmt.Sprint("user", u)
		owner := store.Owner{User: userOf(subject), Issuer: "https://as.example", Subject: subject}
		s, err := store.Open(context.Background(), store.UserFile(base, owner), store.Options{Owner: &owner})
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]store.Snapshot, snapshots)
		for i := range batch {
			batch[i] = store.Snapshot{
				Draft: store.Draft{Summary: fmt.Sprint(subject, " ", i), Context: strings.Repeat("some words of it ", 20)},
				Saved: store.Saved{CreatedAt: "2025-10-26 12:00:00"},
			}
		}
		if _, err := s.Import(context.Background(), batch, store.Skip); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// counted are the snapshots of each user.
func counted(t *testing.T, home string, place ...string) map[string]int {
	t.Helper()
	got := runToEnd(t, home, nil, "", append([]string{"users", "--json"}, place...)...)
	var list struct {
		Users []struct {
			User      string
			Snapshots int
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || got.status != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	counts := make(map[string]int)
	for _, u := range list.Users {
		counts[u.User] = u.Snapshots
	}
	return counts
}

// TestAMigrationThatIsKilledCanBeRunAgain kills it at every stage, each a little later. Each
// user has then all or nothing in the database, and what is there is left alone.
func TestAMigrationThatIsKilledCanBeRunAgain(t *testing.T) {
	const users, snapshots = 4, 60
	home, address := t.TempDir(), pgtest.Start(t).Database(t)
	base := filepath.Join(home, "users")
	folderOfUsers(t, base, users, snapshots)
	migrate := []string{"migrate", "to-server", "--all", "--data", base, "--server", address}
	killed := 0
	for wait := 20 * time.Millisecond; ; wait = wait * 3 / 2 {
		cmd := command(context.Background(), home, migrate...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() { _ = cmd.Process.Kill() }) // it may have ended
		_ = cmd.Wait()
		timer.Stop()
		if cmd.ProcessState.ExitCode() < 0 {
			killed++
		}
		complete := 0
		for user, n := range counted(t, home, "--db", address) {
			if n != 0 && n != snapshots {
				t.Errorf("after %v %s has %d snapshots", wait, user, n)
			}
			if n == snapshots {
				complete++
			}
		}
		if complete == users {
			break
		}
	}
	t.Logf("%d killed", killed)
	if got := runToEnd(t, home, nil, "", "check", "--all", "--db", address); got.status != 0 {
		t.Errorf("check: %+v", got)
	}
	// What is there is not copied twice, and a folder that has some is not mixed with it.
	if got := runToEnd(t, home, nil, "", migrate...); got.status != 1 || strings.Count(got.stderr, "has 60 snapshots already") != users {
		t.Errorf("again: %+v", got)
	}
	back := []string{"migrate", "from-server", "--all", "--data", base, "--server", address}
	if got := runToEnd(t, home, nil, "", back...); got.status != 1 || strings.Count(got.stderr, "has 60 snapshots already") != users {
		t.Errorf("back into what is there: %+v", got)
	}
}

// TestTwoMigrationsAtOnceCopyOnce has two of each direction run at once.
func TestTwoMigrationsAtOnceCopyOnce(t *testing.T) {
	const users, snapshots = 3, 40
	home, address := t.TempDir(), pgtest.Start(t).Database(t)
	from, to := filepath.Join(home, "users"), filepath.Join(home, "elsewhere")
	folderOfUsers(t, from, users, snapshots)
	for _, direction := range [][]string{{"to-server", "--data", from}, {"from-server", "--data", to}} {
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				got := runToEnd(t, home, nil, "", append([]string{"migrate", "--all", "--server", address}, direction...)...)
				if got.status != 0 && got.status != 1 {
					t.Errorf("%v: %+v", direction, got)
				}
			})
		}
		group.Wait()
		place := []string{"--db", address}
		if direction[0] == "from-server" {
			place = []string{"--data", to}
		}
		counts := counted(t, home, place...)
		for u := range users {
			if n := counts[userOf(fmt.Sprint("user", u))]; n != snapshots {
				t.Errorf("%s: user %d has %d snapshots", direction[0], u, n)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(to, "*", "*.replaced*")); err != nil || len(left) > 0 {
		t.Errorf("something was replaced: %v, %v", left, err)
	}
	for _, place := range [][]string{{"--db", address}, {"--data", to}} {
		if got := runToEnd(t, home, nil, "", append([]string{"check", "--all"}, place...)...); got.status != 0 {
			t.Errorf("check %v: %+v", place, got)
		}
	}
}

func TestAnArchiveWithoutRoomIsTold(t *testing.T) {
	t.Parallel() // while another waits
	home := t.TempDir()
	base := filepath.Join(home, "users")
	folderOfUsers(t, base, 2, 400) // each some 160 KiB as text
	if got := runCmd(t, limited(home, 64, "backup", "all.jsonl", "--portable", "--all", "--data", base), ""); got.status != 1 || strings.Count(got.stderr, "the disk is full") != 2 || !strings.Contains(got.stderr, "there is no archive") {
		t.Errorf("backup: %+v", got)
	}
	if got := runToEnd(t, home, nil, "", "backup", "whole.jsonl", "--portable", "--all", "--data", base); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	to := filepath.Join(home, "elsewhere")
	if got := runCmd(t, limited(home, 128, "restore", "whole.jsonl", "--all", "--data", to), ""); got.status != 1 || strings.Count(got.stderr, "the disk is full") != 2 {
		t.Errorf("restore: %+v", got)
	}
	for _, pattern := range []string{"all.jsonl*", "elsewhere/*/*", "elsewhere/*/.*"} {
		if left, err := filepath.Glob(filepath.Join(home, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}
