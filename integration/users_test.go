package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
)

// perUser is a server that knows nothing of users, with a file for each by a placeholder.
func perUser(data string) site {
	return site{
		command: []string{snapshotdBinary, "--auth", "disabled"},
		stdio:   []string{"env SNAPSHOT_DB_PATH " + data + "/{mcp.user}/snapshots.db"},
	}
}

func TestUsersNeverSeeEachOthersSnapshots(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		site func(string) site
		per  string
	}{
		"trusted-meta": {snapshots, "session"}, "trusted-meta, per user": {snapshots, "user"}, "trusted-meta, per shared": {snapshots, "shared"},
		"placeholder": {perUser, "session"}, "placeholder, per user": {perUser, "user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := tc.site(data)
			s.stdio = append(s.stdio, "per "+tc.per)
			g := start(t, s)
			workers := map[string][]*mcp.ClientSession{}
			for _, user := range []string{"alice", "bob"} {
				for _, version := range eras {
					for range 2 {
						workers[user] = append(workers[user], g.dial(t, g.token(t, user), version, nil))
					}
				}
			}
			const rounds = 15
			saveAndLoad(t, workers, rounds)
			for user, sessions := range workers {
				listed := strings.Split(use(t, sessions[0], "list_snapshots", object{"limit": 1000}), "\n")
				if len(listed) != rounds*len(sessions) {
					t.Errorf("%s sees %d snapshots, of %d", user, len(listed), rounds*len(sessions))
				}
				for _, line := range listed {
					if !strings.Contains(line, "of "+user) {
						t.Errorf("%s sees %s", user, line)
					}
				}
				if file := filepath.Join(data, identity.UserKey(issuer.Issuer(), user), "snapshots.db"); !exists(file) {
					t.Errorf("%s has no file of their own", user)
				}
			}
			if entries, err := os.ReadDir(data); err != nil || len(entries) != len(workers) {
				t.Errorf("%d folders for %d users, %v", len(entries), len(workers), err)
			}
		})
	}
}

// saveAndLoad lets all sessions of all users work at once, with names that are equal
// between users.
func saveAndLoad(t *testing.T, workers map[string][]*mcp.ClientSession, rounds int) {
	t.Helper()
	var all sync.WaitGroup
	for user, sessions := range workers {
		for i, session := range sessions {
			all.Go(func() {
				for round := range rounds {
					name := fmt.Sprintf("%d-%d", i, round)
					summary := name + " of " + user
					if text, err := tryUse(session, "save_snapshot", object{"summary": summary, "context": "c", "name": name}); err != nil || !strings.HasPrefix(text, "Saved snapshot #") {
						t.Errorf("%s: save: %q %v", user, text, err)
					}
					if text, err := tryUse(session, "load_snapshot", object{"name": name}); err != nil || !strings.HasPrefix(text, "Resuming: "+summary+"\n") {
						t.Errorf("%s: load: %q %v", user, text, err)
					}
				}
			})
		}
	}
	all.Wait()
}

// The processes are as many as per says, and none knows of a user whom it does not serve
// alone.
func TestUsersShareProcessesAsPerSays(t *testing.T) {
	t.Parallel()
	for per, want := range map[string]struct{ legacy, modern int }{"session": {4, 2}, "user": {2, 2}, "shared": {1, 1}} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			s := standin()
			s.stdio = []string{"per " + per}
			g := start(t, s)
			legacy, modern := map[string]bool{}, map[string]bool{}
			for _, user := range []string{"alice", "bob"} {
				token, known := g.token(t, user), user
				if per == "shared" {
					known = ""
				}
				for range 2 {
					l, m := g.legacy(t, token), g.modern(t, token)
					legacy[l.call("1", "pid", nil)], modern[m.call("1", "pid", nil)] = true, true
					for _, p := range []*peer{l, m} {
						if subject := p.call("2", "env", object{"name": identity.EnvSubject}); subject != known {
							t.Errorf("a process of %s is told %q", user, subject)
						}
					}
				}
			}
			if len(legacy) != want.legacy || len(modern) != want.modern {
				t.Errorf("%d processes for legacy clients and %d for modern ones, want %d and %d", len(legacy), len(modern), want.legacy, want.modern)
			}
		})
	}
}
