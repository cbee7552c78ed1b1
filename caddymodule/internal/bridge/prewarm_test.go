package bridge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/process"
)

// prewarmed starts a gateway that has its spare processes.
func prewarmed(t *testing.T, per Per, n int, env ...string) *gateway {
	t.Helper()
	g := openPer(t, per, func(s *Settings) { s.Prewarm = n }, append([]string{trace}, env...)...)
	g.bridge.Prewarm(g.settings)
	g.warm(n)
	return g
}

// warm waits until so many spares wait, and no more.
func (g *gateway) warm(n int) {
	g.t.Helper()
	g.until(fmt.Sprintf("%d spares wait", n), func() bool {
		g.bridge.mu.Lock()
		defer g.bridge.mu.Unlock()
		return len(g.bridge.spares.idle) == n && g.bridge.spares.starting == 0
	})
}

// hellos is how many spares were taken through initialize.
func (g *gateway) hellos() int {
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	n := 0
	for _, s := range g.bridge.spares.idle {
		if s.hello != nil {
			n++
		}
	}
	return n
}

// The next comer gets a process that is there, with the answer that it has given.
func TestASessionGetsAProcessThatWasStartedBeforehand(t *testing.T) {
	g := prewarmed(t, PerSession, 2)
	pids := map[string]bool{}
	for n := range 3 {
		running := g.bridge.Processes()
		pids[g.pid(g.session([]string{"alice", "bob"}[n%2])...)] = true
		g.warm(2)
		if got := g.bridge.Processes(); got != running+1 {
			t.Errorf("%d processes run after %d and one more session", got, running)
		}
	}
	if len(pids) != 3 {
		t.Errorf("three sessions have the processes %v", pids)
	}
	g.until("a spare knows the client", func() bool { return g.hellos() > 0 })
	asked := 3 + g.hellos() // of three sessions, and the spares that know the client
	g.until("all of these were asked", func() bool { return g.log.count(`"initialize"`) == asked })
	answered := strings.Replace(initializeRequest, `"init"`, `"another id"`, 1)
	g.post(answered).is(http.StatusOK, `{"jsonrpc":"2.0","id":"another id","result":{"protocolVersion":"2025-11-25","capabilities":`+capabilities+`,"serverInfo":{"name":"child","version":"1"}}}`)
	g.warm(2)
	g.until("one more was asked, in its place", func() bool { return g.log.count(`"initialize"`) == asked+1 })
	g.log.read(t, `"method":"initialize","params":{"protocolVersion"`) // of nobody: an identity would stand before it
}

// A client that says anything else gets no process that was told of another.
func TestASpareIsForClientsThatSayTheSame(t *testing.T) {
	g := prewarmed(t, PerSession, 1)
	g.session("alice")
	g.until("the spare knows the client", func() bool { return g.hellos() == 1 })
	for _, change := range [][2]string{{`"name":"c"`, `"name":"d"`}, {`2025-11-25`, `2025-06-18`}, {`"capabilities":{}`, `"capabilities":{"roots":{}}`}, {`"params":{`, `"params":{"_meta":{"progressToken":1},`}} {
		request := strings.Replace(initializeRequest, change[0], change[1], 1)
		g.post(request).holds(http.StatusOK, `"result"`)
		g.log.read(t, strings.TrimPrefix(change[1], `"params":{"_meta":{"progressToken":1`), `"initialize"`, "io.github.snapgate/identity")
		g.warm(1)
	}
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	if hello := string(g.bridge.spares.hello); strings.Contains(hello, "_meta") || !strings.Contains(hello, "protocolVersion") {
		t.Errorf("the next comer's server is told %s", hello) // _meta is of one request
	}
}

// What is no session gets a process that was told nothing: one that has seen initialize
// could not be asked whether it is modern.
func TestOthersGetASpareThatWasToldNothing(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser, PerShared} {
		g := prewarmed(t, per, 1)
		g.bridge.mu.Lock()
		waiting := g.bridge.spares.idle[0]
		g.bridge.mu.Unlock()
		body, header := modernTool(`1`, "pid", ``)
		g.post(body, header...).holds(http.StatusOK, `"pid"`)
		if p := g.process(); p.conn != waiting.conn {
			t.Errorf("per %d: the spare was not taken", per)
		}
		if n := g.log.count(`"initialize"`); n != 0 {
			t.Errorf("per %d: a spare was told of a client before there was one", per)
		}
		g.warm(1)
	}
}

// A spare that can say nothing any more takes its time to end.
func TestASpareThatIsEndingIsHandedToNobody(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser} {
		g := prewarmed(t, per, 1)
		g.bridge.mu.Lock()
		spare := g.bridge.spares.idle[0]
		g.bridge.mu.Unlock()
		if _, err := spare.conn.Call(parsed(t, tool(`1`, "mute", ``)), nil, new(hearer)); err != nil {
			t.Fatal(err)
		}
		g.until("it takes no more messages", func() bool { return !spare.conn.Takes() })
		if pid := g.pid(g.session("alice")...); pid == "" {
			t.Errorf("per %d: the session has no process", per)
		}
	}
}

// Spares leave room to those who come, and end when there are to be fewer.
func TestSparesAreBounded(t *testing.T) {
	g := openPer(t, PerSession, func(s *Settings) { s.Prewarm, s.MaxProcesses = 8, 8 })
	g.bridge.Prewarm(g.settings)
	g.warm(6)
	for range 8 {
		g.session("alice")
	}
	g.post(initializeRequest).holds(http.StatusServiceUnavailable, "All server processes are in use")
	g.warm(0)
	g.bridge.mu.Lock()
	sessions := make([]*session, 0, len(g.bridge.sessions))
	for _, s := range g.bridge.sessions {
		sessions = append(sessions, s)
	}
	g.bridge.mu.Unlock()
	for _, s := range sessions {
		s.end("the test")
	}
	g.until("they are gone", func() bool { return g.bridge.Processes() == 0 })
	fewer := *g.settings
	fewer.Prewarm = 2
	g.bridge.Prewarm(&fewer)
	g.warm(2)
	fewer.Prewarm = 0
	g.bridge.Prewarm(&fewer)
	g.until("none is left", func() bool { return g.bridge.Processes() == 0 })
}

// A user's limit holds for processes that were there before, too.
func TestASpareCountsForTheUserWhoGetsIt(t *testing.T) {
	g := openPer(t, PerSession, func(s *Settings) { s.Prewarm, s.MaxSessions = 2, 1 })
	g.bridge.Prewarm(g.settings)
	g.warm(2)
	g.session("alice")
	g.warm(2)
	g.bridge.mu.Lock()
	spare := g.bridge.spares.idle[0]
	g.bridge.mu.Unlock()
	for range 3 {
		g.post(initializeRequest).holds(http.StatusTooManyRequests, "at most 1")
	}
	if !spare.conn.Open() {
		t.Error("who may have no more has cost the others a spare")
	}
	g.session("bob")
	g.warm(2)
}

// What the server refuses is not said to it again for everyone.
func TestASpareIsNotToldWhatTheServerRefuses(t *testing.T) {
	g := prewarmed(t, PerSession, 1, "TEST_REFUSE=2025-03-26", legacyChild)
	g.post(strings.Replace(initializeRequest, "2025-11-25", "2025-03-26", 1)).holds(http.StatusOK, "Unsupported protocol version")
	g.warm(1)
	g.session("alice")
	g.warm(1)
}

// A server that does not start is tried again after a while that grows, and users are not
// refused for it.
func TestASpareThatFailsIsTriedAgainLater(t *testing.T) {
	launches := make(chan struct{}, 1000)
	g := openPer(t, PerSession, func(s *Settings) {
		s.Prewarm = 2
		s.Launch = func(*principal) (Launch, error) {
			launches <- struct{}{}
			return Launch{Digest: "d", Process: process.Config{Command: "/no/such/command"}}, nil
		}
	})
	began := time.Now()
	g.bridge.Prewarm(g.settings)
	g.until("a spare was to be started", func() bool { return len(launches) > 0 })
	time.Sleep(300 * time.Millisecond)
	n := len(launches)
	// Two at once, and two more after each while, the shortest of which is a second.
	if took := time.Since(began); n > 2+2*int(took/time.Second) {
		t.Errorf("%d starts in %v", n, took)
	}
	g.until("no process counts", func() bool { return g.bridge.Processes() == 0 })
	if n := len(g.bridge.breaker.faults); n != 0 {
		t.Errorf("%d failures are remembered", n)
	}
}

// A spare that ends by itself is replaced, and never handed out.
func TestASpareThatDiesIsReplaced(t *testing.T) {
	g := prewarmed(t, PerSession, 1)
	g.bridge.mu.Lock()
	dead := g.bridge.spares.idle[0]
	g.bridge.mu.Unlock()
	dead.conn.Close("the test")
	header := g.session("alice")
	if g.find(header).conn == dead.conn {
		t.Error("a process that has ended was handed out")
	}
	g.warm(1)
	g.do(t.Context(), http.MethodDelete, "", header...).body()
	g.until("the spare alone runs", func() bool { return g.bridge.Processes() == 1 })
}

// One that refuses what the last client said is not handed out for having been started.
func TestASpareThatRefusesInitializeIsNotKept(t *testing.T) {
	refusing := filepath.Join(t.TempDir(), "refuses")
	g := prewarmed(t, PerSession, 1, "TEST_DIE_IF="+refusing)
	if err := os.WriteFile(refusing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.post(initializeRequest).holds(http.StatusBadGateway, "")
	g.log.await(t, "the next one has failed", func(r map[string]string) bool {
		return r["msg"] == "a process could not be started in advance"
	})
	g.warm(1) // a while later, and told nothing
	if n := g.hellos(); n != 0 {
		t.Errorf("%d spares wait that were asked what the server refuses", n)
	}
	if err := os.Remove(refusing); err != nil {
		t.Fatal(err)
	}
	g.session("alice")
}

// A spare that does not answer initialize keeps nobody from closing the gateway.
func TestCloseWaitsForNoSpareThatIsSilent(t *testing.T) {
	g := openPer(t, PerSession, func(s *Settings) { s.Prewarm, s.StartTimeout = 1, time.Hour }, trace, initializeVar+"=silent")
	g.bridge.Prewarm(g.settings)
	g.warm(1)
	ctx, leave := context.WithCancel(t.Context())
	g.later(ctx, initializeRequest)
	g.until("a spare is asked what the client has asked", func() bool { return g.log.count(`"initialize"`) == 2 })
	leave()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.bridge.Close(ctx)
	if n := g.bridge.Processes(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}
