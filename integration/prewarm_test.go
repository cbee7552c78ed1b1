package integration_test

import (
	"testing"
	"time"
)

// With prewarm nobody waits for a server that is slow to start.
func TestPrewarmedServerAnswersAtOnce(t *testing.T) {
	t.Parallel()
	const slow = 3 * time.Second
	for _, per := range []string{"session", "user", "shared"} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			s := standin()
			s.command = append([]string{"sh", "-c", `sleep 3; exec "$0" "$@"`}, s.command...)
			s.stdio = []string{"prewarm 1", "per " + per}
			s.mcp = append(s.mcp, "identity meta")
			s.admin = true
			g := start(t, s)
			await(t, "the process that was started beforehand", func() bool { return len(g.processes(t)) == 1 })
			time.Sleep(slow)
			began := time.Now()
			p := g.legacy(t, g.token(t, "alice"))
			if took := time.Since(began); took > slow/2 {
				t.Errorf("a session began after %v", took)
			}
			if got := p.call(1, "echo", object{"text": "x"}); got != "x" {
				t.Errorf("it says %q", got)
			}
			// Without prewarm nothing waits; the session goes on.
			s.stdio = []string{"per " + per}
			g.reload(t, s)
			await(t, "the end of the spare processes", func() bool { return len(g.processes(t)) == 1 })
			if got := p.call(2, "echo", object{"text": "y"}); got != "y" {
				t.Errorf("after the reload it says %q", got)
			}
		})
	}
}
