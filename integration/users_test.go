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
	for name, make := range map[string]func(string) site{"trusted-meta": snapshots, "placeholder": perUser} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			g := start(t, make(data))
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

// Ids, progress tokens and names of many sessions are equal; the answers are not.
func TestEqualIDsOfManySessionsAreNotMixed(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	calls := 150
	if testing.Short() {
		calls = 30
	}
	var all sync.WaitGroup
	for _, user := range []string{"alice", "bob", "carol"} {
		token := g.token(t, user)
		for i, p := range []*peer{g.legacy(t, token), g.legacy(t, token), g.modern(t, token), g.modern(t, token)} {
			all.Go(func() {
				for id := range calls {
					want := fmt.Sprintf("%s %d %d", user, i, id)
					if got, err := p.tryCall(id%4, "echo", object{"text": want}); err != nil || got != want {
						t.Errorf("got %q, want %q, %v", got, want, err)
					}
				}
			})
		}
	}
	all.Wait()
}
