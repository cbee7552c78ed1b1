package integration_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// gated is a command that starts the server once there is a file, and makes another then.
const gated = `open=$1 begun=$2; shift 2; until [ -e "$open" ]; do sleep 0.1; done; : >"$begun"; exec "$@"`

// With prewarm nobody waits for a server that is slow to start: here none could be started
// once the client comes.
func TestPrewarmedServerAnswersAtOnce(t *testing.T) {
	t.Parallel()
	for _, per := range []string{"session", "user", "shared"} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			for attempt := 1; !prewarmed(t, per); attempt++ {
				if attempt == 3 { // no machine is so busy three times
					t.Fatal("the process that was started beforehand serves nobody")
				}
			}
		})
	}
}

// prewarmed says whether a client was served by the process that was there before it, and then holds
// what follows. On a machine that is busy the gateway may not have taken note of it in time.
func prewarmed(t *testing.T, per string) bool {
	t.Helper()
	s := reloadable()
	open, begun := filepath.Join(t.TempDir(), "open"), filepath.Join(t.TempDir(), "begun")
	s.command = append([]string{"sh", "-c", gated, "sh", open, begun}, s.command...)
	s.stdio = []string{"prewarm 1", "per " + per}
	s.mcp = append(s.mcp, "identity meta")
	g := start(t, s)
	opens := func() {
		if err := os.WriteFile(open, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opens()
	await(t, "the process that was started beforehand", func() bool { return exists(begun) })
	time.Sleep(time.Second) // in which the gateway takes note of it, and does not say so
	if err := os.Remove(open); err != nil {
		t.Fatal(err)
	}
	p := g.anyone(t, g.token(t, "alice"))
	begins := p.begin(initializeMessage(legacyVersion))
	for waited := time.Now(); !begins.ended(); time.Sleep(3 * time.Millisecond) {
		if time.Since(waited) > patience/6 {
			opens() // so that all of it can end
			return false
		}
	}
	p.session, p.version = begins.wait(t).header.Get("Mcp-Session-Id"), legacyVersion
	if got := p.call(1, "echo", object{"text": "x"}); got != "x" {
		t.Errorf("it says %q", got)
	}
	// Without prewarm nothing waits; the session goes on.
	opens() // the one in its place is being started, and that is not broken off
	s.stdio = []string{"per " + per}
	g.reload(t, s)
	await(t, "the end of the spare processes", func() bool { return len(g.processes(t)) == 1 })
	if got := p.call(2, "echo", object{"text": "y"}); got != "y" {
		t.Errorf("after the reload it says %q", got)
	}
	return true
}
