package bridge

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A process that has refused initialize counts until it is gone. It may be the only one that
// there may be, and does not keep another from taking its place.
func TestAModernServerIsFoundWhereThereIsRoomForOneProcess(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser, PerShared} {
		for name, one := range map[string]func(*Settings){
			"of the user": func(s *Settings) { s.MaxSessions = 1 },
			"of all":      func(s *Settings) { s.MaxProcesses = 1 },
		} {
			g := openPer(t, per, one, modernOnly...)
			resp := g.post(initializeRequest)
			if body := resp.body(); resp.StatusCode != http.StatusOK || resp.Header.Get("Mcp-Session-Id") == "" {
				t.Errorf("per %d, one process %s: %d %s", per, name, resp.StatusCode, body)
			}
		}
	}
}

// A server of both eras that refuses what one client says in initialize is asked by others as
// before.
func TestAnInitializeThatIsRefusedChangesNothingForOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		refuses string // the version
		first   bool   // another client has come before
		per     []Per
	}{
		"no version":           {"1999-01-01", false, []Per{PerSession}}, // the gateway's own initialize has none such
		"an old version":       {"2025-03-26", true, []Per{PerSession, PerUser}},
		"no version, later on": {"1999-01-01", true, []Per{PerSession}},
	} {
		for _, per := range tc.per {
			g := openPer(t, per, nil, "TEST_REFUSE="+tc.refuses)
			if tc.first {
				g.session("alice")
			}
			for range 3 {
				g.post(strings.Replace(initializeRequest, "2025-11-25", tc.refuses, 1), "X-User", "mallory").body()
			}
			if s := g.find(g.session("bob")); s.share != nil && s.share.upgraded {
				t.Errorf("%s, per %d: other sessions are at a server of the other era", name, per)
			}
		}
	}
}

// A server that took initialize may be replaced by one that is modern only. The refusals of that
// one are no failed starts, after which nobody would be served for a while.
func TestAServerThatBecomesModernServesNewSessions(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser, PerShared} {
		replaced := filepath.Join(t.TempDir(), "replaced")
		g := openPer(t, per, nil, "TEST_REFUSE_IF="+replaced)
		g.session("alice")
		if err := os.WriteFile(replaced, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if per != PerSession {
			g.process().end("the test")
		}
		g.post(initializeRequest).body() // it may have been an accident
		for range 2 * breakAfter {
			g.session("alice")
		}
	}
}
