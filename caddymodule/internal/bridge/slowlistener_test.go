package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A flood is told in portions that a client which reads takes at once. All of it is more than
// what the system keeps for one that does not.
const (
	portions = 26
	portion  = 16
	tellSize = 64 << 10
	lessThan = 2 * tellSize // of it and what is around it
)

// floods makes the server tell a portion to all who listen.
func (g *gateway) floods(line string, header ...string) <-chan *reader {
	args := fmt.Sprintf(`"times":%d,"size":%d,%s`, portion, tellSize, saying(line, answered))
	body := tool(`1`, "own", args)
	if len(header) == 0 {
		body, header = modernTool(`1`, "own", args)
	}
	return g.later(g.t.Context(), body, header...)
}

// Who does not read what they listen to delays nobody, and costs no more than the bounds of
// a stream; whoever reads is told everything, and in order.
func TestAListenerThatDoesNotReadDelaysNobody(t *testing.T) {
	const changed = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":"ROUND.$n","fill":"$fill"}}`
	t.Run("legacy sessions", func(t *testing.T) {
		g := openPer(t, PerShared, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		lazy, eager := g.session("alice"), g.session("bob")
		asleep, awake := g.get(ctx, lazy...), g.get(ctx, eager...)
		tellAll(t, g, asleep, awake, g.find(lazy).standalone, changed, g.session("carol")...)
	})
	for name, env := range map[string]string{"modern clients of a legacy server": legacyChild, "modern clients of a modern server": discoverVar + "=modern"} {
		t.Run(name, func(t *testing.T) {
			g := openPer(t, PerUser, nil, env, capabilitiesVar+"="+capabilities)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asleep := g.listening(ctx, `"asleep"`, "alice", `{"toolsListChanged":true}`)
			awake := g.listening(ctx, `"awake"`, "alice", `{"toolsListChanged":true}`)
			line := changed
			if env != legacyChild {
				line = strings.Replace(changed, `"n":"`, `"_meta":{"io.modelcontextprotocol/subscriptionId":$listen},"n":"`, 1)
			}
			p := g.process()
			p.mu.Lock()
			var held *stream
			for l := range p.listeners {
				if string(l.id) == `"asleep"` {
					held = l.stream
				}
			}
			p.mu.Unlock()
			tellAll(t, g, asleep, awake, held, line)
		})
	}
}

func tellAll(t *testing.T, g *gateway, asleep, awake *reader, held *stream, line string, caller ...string) {
	t.Helper()
	most := 0
	number := func(round, n int) string { return fmt.Sprintf(`"n":"%d.%d"`, round, n) }
	for round := range portions {
		call := g.floods(strings.Replace(line, "ROUND", fmt.Sprint(round), 1), caller...)
		for n := range portion {
			if _, data := awake.next(); !strings.Contains(data, number(round, n)) {
				t.Fatalf("told %.200s, want %s", data, number(round, n))
			}
		}
		receive(t, call).holds(http.StatusOK, `"done":true`)
		events, bytes := held.size()
		if most = max(most, bytes); events > maxWaiting || bytes > maxBacklog+lessThan {
			t.Fatalf("%d events of %d bytes wait for a client that does not read", events, bytes)
		}
	}
	if most < tellSize {
		t.Errorf("at most %d bytes waited: there was no flood", most)
	}
	// When it reads again it finds the newest, and misses some.
	read := 0
	for last := ""; !strings.Contains(last, number(portions-1, portion-1)); read++ {
		if _, last = asleep.next(); last == "" {
			t.Fatalf("the stream ended after %d, without the newest", read)
		}
	}
	if read >= portions*portion {
		t.Errorf("it was told all %d after all", read)
	}
}
