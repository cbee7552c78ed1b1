package bridge

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"testing"
)

// heap is what is in use, in bytes, without what is made of each token: that is bounded, and no
// session's.
func (g *gateway) heap() int {
	memo := g.settings.memo
	memo.mu.Lock()
	clear(memo.of)
	memo.mu.Unlock()
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools held
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// briefly makes a request of which the test keeps nothing, and returns the session it names.
func (g *gateway) briefly(method, body string, status int, header ...string) string {
	g.t.Helper()
	resp, err := g.send(g.t.Context(), method, body, header...)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != status {
		g.t.Fatalf("%s: %d %v", method, resp.StatusCode, err)
	}
	return resp.Header.Get("Mcp-Session-Id")
}

// A session that is not in use, and has no open stream, costs little, and nothing once it has
// ended. The command bench measures it from outside.
func TestAnIdleSessionIsSmall(t *testing.T) {
	const n, most = 1000, 64 << 10                                                   // bytes
	for per, env := range map[Per][]string{PerUser: modernOnly[1:], PerShared: {}} { // without a trace
		g := openPer(t, per, func(s *Settings) {
			s.MaxSessions, s.Audit, s.Logger = 2*n, nil, slog.New(slog.DiscardHandler)
		}, env...)
		begin := func(user string) []string {
			header := []string{"X-User", user, "Mcp-Session-Id", g.briefly(http.MethodPost, initializeRequest, http.StatusOK, "X-User", user)}
			g.briefly(http.MethodPost, tool(`1`, "echo", ``), http.StatusOK, header...)
			return header
		}
		begin("user0")
		all := make([][]string, n)
		before := g.heap()
		for i := range all {
			all[i] = begin(map[Per]string{PerUser: "user0", PerShared: fmt.Sprint("user", i)}[per])
		}
		each := (g.heap() - before) / n
		if each > most {
			t.Errorf("per %d: an idle session holds %d bytes, at most %d are allowed", per, each, most)
		}
		for _, header := range all {
			g.briefly(http.MethodDelete, "", http.StatusNoContent, header...)
		}
		clear(all)
		if left := g.bridge.Sessions(); left != 1 {
			t.Errorf("per %d: %d sessions are left, want 1", per, left)
		}
		g.until("their memory is given back", func() bool { return (g.heap()-before)/n < most/128 })
		t.Logf("per %d: an idle session holds %d bytes, and leaves %d", per, each, (g.heap()-before)/n)
	}
}
