package bridge

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// failing starts a gateway whose server does not start, with a clock that is set by hand.
func failing(t *testing.T, per Per, env ...string) (g *gateway, clock *atomic.Int64) {
	t.Helper()
	clock = new(atomic.Int64)
	g = sharing(t, per, nil, env...)
	start := time.Now()
	g.bridge.breaker.now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
	return g, clock
}

func TestAServerThatDoesNotStartIsNotStartedForEveryRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		per     Per
		env     string
		request func(g *gateway, user string) *reader
	}{
		"legacy": {PerSession, initializeVar + "=die", func(g *gateway, user string) *reader {
			return g.post(initializeRequest, "X-User", user)
		}},
		"legacy, shared": {PerUser, initializeVar + "=die", func(g *gateway, user string) *reader {
			return g.post(initializeRequest, "X-User", user)
		}},
		"modern": {PerSession, discoverVar + "=die", func(g *gateway, user string) *reader {
			body, header := modernTool(`1`, "echo", ``, "X-User", user)
			return g.post(body, header...)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g, clock := failing(t, tc.per, tc.env)
			for range breakAfter {
				tc.request(g, "alice").holds(http.StatusBadGateway, "")
			}
			refused := tc.request(g, "alice")
			if refused.Header.Get("Retry-After") != "30" {
				t.Errorf("Retry-After is %q", refused.Header.Get("Retry-After"))
			}
			refused.holds(http.StatusServiceUnavailable, "failed to start 3 times in a row")
			tc.request(g, "bob").holds(http.StatusBadGateway, "") // whose launch may be another

			clock.Store(int64(breakTime))
			tc.request(g, "alice").holds(http.StatusBadGateway, "")
			tc.request(g, "alice").holds(http.StatusServiceUnavailable, "4 times")
			clock.Store(int64(breakTime + forgetFaults + time.Minute))
			tc.request(g, "carol").holds(http.StatusBadGateway, "")
			if n := len(g.bridge.breaker.faults); n != 1 {
				t.Errorf("%d failures are remembered, want carol's", n)
			}
		})
	}
}

// Once the time is over one attempt is made, however many wait for it.
func TestOneAttemptDecidesForAll(t *testing.T) {
	now := time.Now()
	b := breaker{now: func() time.Time { return now }}
	k := kind{launch: "d"}
	for range breakAfter {
		b.failed(k)
	}
	allowed := func() (n int) {
		for range 5 {
			if b.refusal(k) == nil {
				n++
			}
		}
		return n
	}
	for name, row := range map[string]struct {
		decides func()
		want    int
	}{
		"it fails":              {func() { b.failed(k) }, 0},
		"nobody waits to see":   {func() {}, 0},
		"nor after a long time": {func() { now = now.Add(breakTime) }, 1},
	} {
		now = now.Add(breakTime)
		if n := allowed(); n != 1 {
			t.Errorf("%s: %d attempts are made", name, n)
		}
		row.decides()
		if n := allowed(); n != row.want {
			t.Errorf("after it, %s: %d attempts are made, want %d", name, n, row.want)
		}
	}
	now = now.Add(breakTime)
	allowed()
	b.succeeded(k)
	if n := allowed(); n != 5 {
		t.Errorf("after one that succeeds %d of 5 attempts are made", n)
	}
}

// An attempt for which there is no room says nothing of the server: the next one is made as soon
// as there is.
func TestAnAttemptThatIsNotMadeDecidesNothing(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser} {
		broken := filepath.Join(t.TempDir(), "broken")
		g, clock := failing(t, per, "TEST_DIE_IF="+broken)
		g.settings.MaxProcesses = 1
		if err := os.WriteFile(broken, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for range breakAfter {
			g.post(initializeRequest).holds(http.StatusBadGateway, "")
			g.until("it is gone", func() bool { return g.bridge.Processes() == 0 })
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		clock.Store(int64(breakTime))
		header := g.session("bob")
		for range 3 {
			g.post(initializeRequest).holds(http.StatusServiceUnavailable, "All server processes are in use")
		}
		g.do(t.Context(), http.MethodDelete, "", header...).body()
		if per == PerUser {
			g.process().end("the test")
		}
		g.until("there is room", func() bool { return g.bridge.Processes() == 0 })
		g.session("alice")
	}
}

// A server that crashes again and again in use is started less and less often, but soon
// enough for whoever did not crash it.
func TestACrashLoopIsSlowedDown(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser} {
		g := sharing(t, per, nil)
		now := time.Now() // the pause does not go by while the test waits
		g.bridge.breaker.now = func() time.Time { return now }
		var k kind
		for range freeCrashes + 2 {
			header := g.session("alice")
			k = g.find(header).kind()
			if per == PerUser {
				k = g.find(header).share.kind
			}
			g.post(tool(`1`, "die", ``), header...).body()
			g.until("it is gone", func() bool { return g.bridge.Processes() == 0 })
		}
		began := time.Now()
		pause := g.bridge.breaker.pause(k)
		if pause <= 0 || pause > 4*firstPause {
			t.Errorf("per %d: after %d crashes the pause is %v", per, freeCrashes+2, pause)
		}
		if g.session("alice"); time.Since(began) < pause {
			t.Errorf("per %d: the next process was not waited with", per)
		}
	}
}

// A crash counts as one, also if the next caller finds the process dead before its end was told.
func TestACrashThatACallerFindsCounts(t *testing.T) {
	g := open(t, nil)
	g.modernTool(`1`, "echo", ``).body()
	p := g.process()
	p.conn.Close("as if by itself")
	if p.use() {
		t.Error("it can be used")
	}
	receive(t, p.gone)
	g.bridge.breaker.mu.Lock()
	defer g.bridge.breaker.mu.Unlock()
	if n := g.bridge.breaker.crashes[p.kind].inARow; n != 1 {
		t.Errorf("%d crashes are counted", n)
	}
}

func TestThePauseGrowsAndIsForgotten(t *testing.T) {
	now := time.Now()
	b := breaker{now: func() time.Time { return now }}
	k := kind{launch: "d"}
	var pauses []time.Duration
	for range 9 {
		b.ended(k, time.Second)
		pauses = append(pauses, b.pause(k)/time.Millisecond)
	}
	if want := []time.Duration{0, 0, 100, 200, 400, 800, 1000, 1000, 1000}; !slices.Equal(pauses, want) {
		t.Errorf("pauses in ms: %v, want %v", pauses, want)
	}
	now = now.Add(longPause)
	if b.pause(k) != 0 {
		t.Error("the pause does not end")
	}
	b.ended(k, stableTime)
	if len(b.crashes) != 0 {
		t.Error("a server that was stable is still held for one that crashes")
	}
}

// Failures count in a row only, and a server that refuses a client has started.
func TestAStartThatSucceedsForgetsTheFailures(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	g, _ := failing(t, PerSession, "TEST_DIE_IF="+broken)
	for range 3 {
		if err := os.WriteFile(broken, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for range breakAfter - 1 {
			g.post(initializeRequest).holds(http.StatusBadGateway, "")
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		g.session("alice")
	}
	if n := len(g.bridge.breaker.faults); n != 0 {
		t.Errorf("%d failures are remembered", n)
	}
	g, _ = failing(t, PerSession, initializeVar+"=error", legacyChild)
	for range breakAfter + 1 {
		g.post(initializeRequest).holds(http.StatusOK, "Unsupported protocol version")
	}
}
