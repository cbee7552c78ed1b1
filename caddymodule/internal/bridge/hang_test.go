package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// givenUp are the headers of a call that is given up soon, and after which the gateway waits
// for an answer to a ping no longer than a test may.
var givenUp = []string{"X-Call-Timeout", "100ms", "X-Start-Timeout", "300ms"}

// timed are the settings with the timeouts that the request names, if it names any.
func timed(r *http.Request, settings *Settings) *Settings {
	other := *settings
	for name, limit := range map[string]*time.Duration{"X-Call-Timeout": &other.CallTimeout, "X-Start-Timeout": &other.StartTimeout} {
		if d, err := time.ParseDuration(r.Header.Get(name)); err == nil {
			*limit = d
		}
	}
	if other.CallTimeout == settings.CallTimeout && other.StartTimeout == settings.StartTimeout {
		return settings
	}
	return &other
}

// A process that hangs is replaced once a call has timed out. The sessions that share it go
// on, its calls are told, and the next one is started at once.
func TestAProcessThatHangsIsReplaced(t *testing.T) {
	for _, per := range []Per{PerUser, PerShared} {
		g := openPer(t, per, nil)
		header, other := g.session("alice"), g.session(map[Per]string{PerUser: "alice", PerShared: "bob"}[per])
		before := g.pid(header...)
		waiting := g.later(t.Context(), tool(`1`, "hold", ``), other...)
		g.until("the call is in flight", g.find(other).hasSent)
		g.post(tool(`2`, "hang", ``), append(header, givenUp...)...).holds(http.StatusOK, "took longer")
		receive(t, waiting).holds(http.StatusOK, "did not answer a ping")
		if record := g.log.outcome(t, "hold"); record["outcome"] != "died" {
			t.Errorf("per %d: the record of a call in flight says %q", per, record["outcome"])
		}
		if record := g.log.outcome(t, "hang"); record["outcome"] != "timeout" {
			t.Errorf("per %d: the record of the call that hangs says %q", per, record["outcome"])
		}
		if after := g.pid(header...); after == before || after == "" {
			t.Errorf("per %d: process %s hangs, and then %s serves", per, before, after)
		}
		if after := g.pid(other...); after == before || after == "" {
			t.Errorf("per %d: the other session is served by %s", per, after)
		}
		g.log.await(t, "that it hangs", func(r map[string]string) bool { return r["msg"] == "a server hangs, and is replaced" })
		g.bridge.breaker.mu.Lock()
		if n := len(g.bridge.breaker.crashes) + len(g.bridge.breaker.faults); n != 0 {
			t.Errorf("per %d: the breaker counts %d faults", per, n)
		}
		g.bridge.breaker.mu.Unlock()
	}
}

// hasSent says whether a call of the session was handed to its server.
func (s *session) hasSent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.calls {
		return in.call != nil
	}
	return false
}

func TestAProcessThatHangsIsReplacedForModernClients(t *testing.T) {
	for _, server := range []string{discoverVar + "=modern", legacyChild} {
		g := openPer(t, PerUser, nil, server)
		before := string(g.modernTool(`1`, "pid", ``).answer()["pid"])
		body, header := modernTool(`2`, "hang", ``, givenUp...)
		g.post(body, header...).holds(http.StatusOK, "took longer")
		g.until("the process is gone", func() bool { return g.bridge.Processes() == 0 })
		if after := string(g.modernTool(`3`, "pid", ``).answer()["pid"]); after == before || after == "" {
			t.Errorf("%s: process %s hangs, and then %s serves", server, before, after)
		}
	}
}

func TestASessionWhoseOwnProcessHangsEnds(t *testing.T) {
	g := open(t, nil)
	header := g.session("alice")
	g.post(tool(`1`, "hang", ``), append(header, givenUp...)...).holds(http.StatusOK, "took longer")
	g.until("nothing is left", func() bool { return g.bridge.Processes() == 0 && g.bridge.Sessions() == 0 })
	g.post(tool(`2`, "echo", ``), header...).holds(http.StatusNotFound, "-32001")
}

// A server that does not answer a call, but a ping, is slow.
func TestAProcessThatAnswersAPingIsKept(t *testing.T) {
	for _, server := range []string{discoverVar + "=modern", legacyChild} {
		g := openPer(t, PerUser, nil, server)
		header := g.session("alice")
		before := g.pid(header...)
		mine := string(g.modernTool(`1`, "pid", ``).answer()["pid"])
		for n := range 3 {
			g.post(tool(fmt.Sprint(n), "hold", ``), append(header, givenUp[:2]...)...).holds(http.StatusOK, "took longer")
			body, modern := modernTool(`2`, "hold", ``, givenUp[:2]...)
			g.post(body, modern...).holds(http.StatusOK, "took longer")
		}
		g.until("the processes were looked at", g.settled)
		if after := g.pid(header...); after != before {
			t.Errorf("%s: process %s answers pings, and %s serves", server, before, after)
		}
		if after := string(g.modernTool(`3`, "pid", ``).answer()["pid"]); after != mine {
			t.Errorf("%s: process %s answers pings, and %s serves modern clients", server, mine, after)
		}
	}
}

// A server that waits for its client's input may do nothing else, and a client has longer for
// that than a call. Once nobody is asked any more it hangs like any other.
func TestAServerThatWaitsForInputDoesNotHang(t *testing.T) {
	const limit, pinged = 20 * time.Millisecond, 100 * time.Millisecond
	g := open(t, nil, legacyChild)
	body, header := capable(`1`, "hang", saying(questionLine), "")
	g.asks("elicitation/create", body, header...)
	p := g.process()
	doubt := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if _, err := p.conn.Ask(ctx, []byte(`{"jsonrpc":"2.0","id":0,"method":"tools/list"}`)); !errors.Is(err, backend.ErrSilent) {
			t.Errorf("a server that should be silent: %v", err)
		}
		g.until("the server is silent", func() bool { return p.conn.Silent() >= limit })
		p.conn.Doubt(limit, pinged)
	}
	doubt()
	if !p.conn.Open() {
		t.Error("the server was ended while its client was asked")
	}
	p.mu.Lock()
	asking := p.current
	p.mu.Unlock()
	asking.expire(asking.id)
	doubt()
	if p.conn.Open() {
		t.Error("the server hangs, and was not ended")
	}
}

// A server that is busy with a call may read nothing for as long as that may take: another's
// large message does not end it.
func TestABusyServerNeedNotReadItsInput(t *testing.T) {
	g := openPer(t, PerShared, func(s *Settings) {
		launch := s.Launch
		s.Launch = func(p *principal) (Launch, error) {
			l, err := launch(p)
			l.Process.StallTimeout = 10 * time.Millisecond
			return l, err
		}
	}, trace)
	alice, bob := g.session("alice"), g.session("bob")
	busy := g.later(t.Context(), tool(`1`, "own", `"every":400,`+saying(fmt.Sprintf(progress, 1), answered)), alice...)
	g.log.read(t, `"own"`)
	g.post(tool(`2`, "echo", `"fill":"`+strings.Repeat("x", 300<<10)+`"`), bob...).holds(http.StatusOK, `"content"`)
	receive(t, busy).holds(http.StatusOK, `"done":true`)
}

// settled says whether no process is being looked at.
func (g *gateway) settled() bool {
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	for _, members := range g.bridge.pool {
		for _, p := range members {
			if p.conn.Silent() > 0 {
				return false
			}
		}
	}
	return true
}
