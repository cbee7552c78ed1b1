package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// sharing starts a gateway whose sessions share processes.
func sharing(t testing.TB, per Per, change func(*Settings), env ...string) *gateway {
	t.Helper()
	return openPer(t, per, change, append([]string{trace}, env...)...)
}

// asking begins a legacy session of a client that can be asked for input.
func (g *gateway) asking(user string) []string {
	g.t.Helper()
	request := strings.Replace(initializeRequest, `"capabilities":{}`, `"capabilities":{"elicitation":{},"roots":{"listChanged":true}}`, 1)
	resp := g.post(request, "X-User", user)
	resp.body()
	header := []string{"X-User", user, "Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25"}
	g.notify(`notifications/initialized`, ``, header...)
	return header
}

func (g *gateway) pid(header ...string) string {
	g.t.Helper()
	return string(g.post(tool(`1`, "pid", ``), header...).answer()["pid"])
}

// Row: who shares a process.
func TestSessionsShareAProcessAsPerSays(t *testing.T) {
	for per, want := range map[Per]int{PerSession: 3, PerUser: 2, PerShared: 1} {
		g := sharing(t, per, nil)
		pids := map[string]bool{}
		for _, user := range []string{"alice", "alice", "bob"} {
			pids[g.pid(g.session(user)...)] = true
		}
		if len(pids) != want {
			t.Errorf("per %d: %d processes for three sessions of two users, want %d", per, len(pids), want)
		}
	}
}

func TestModernClientsShareAProcessAsPerSays(t *testing.T) {
	for per, want := range map[Per]int{PerSession: 2, PerUser: 2, PerShared: 1} {
		for _, server := range []string{discoverVar + "=modern", legacyChild} {
			g := sharing(t, per, nil, server)
			pids := map[string]bool{}
			for _, user := range []string{"alice", "alice", "bob"} {
				body, header := modernTool(`1`, "pid", ``, "X-User", user)
				pids[string(g.post(body, header...).answer()["pid"])] = true
			}
			if len(pids) != want {
				t.Errorf("per %d, %s: %d processes for two users, want %d", per, server, len(pids), want)
			}
		}
	}
}

// Row: initialize is answered from the stored result; initialized and roots/list_changed
// are swallowed.
func TestASharedServerIsInitializedOnce(t *testing.T) {
	g := sharing(t, PerUser, nil)
	const want = `{"jsonrpc":"2.0","id":"init","result":{"protocolVersion":"2025-11-25","capabilities":` + capabilities + `,"serverInfo":{"name":"child","version":"1"}}}`
	g.post(initializeRequest).is(http.StatusOK, want)
	g.post(initializeRequest).is(http.StatusOK, want)
	header := g.session("alice")
	if status := g.notify("notifications/roots/list_changed", ``, header...); status != http.StatusAccepted {
		t.Errorf("roots/list_changed: %d", status)
	}
	g.notify("notifications/own", ``, header...)
	g.log.read(t, "notifications/own")
	for text, want := range map[string]int{`"initialize"`: 1, "notifications/initialized": 1, "roots/list_changed": 0} {
		if n := g.log.count(text); n != want {
			t.Errorf("the server has read %s %d times, want %d", text, n, want)
		}
	}
	line := g.log.read(t, `"initialize"`)
	if strings.Contains(line, "io.github.snapgate") {
		t.Errorf("the gateway's own handshake carries an identity: %s", line)
	}
}

// A process is keyed by what its server was told of the client.
func TestClientsOfOtherCapabilitiesGetAnotherProcess(t *testing.T) {
	g := sharing(t, PerUser, nil)
	plain, asking := g.session("alice"), g.asking("alice")
	if g.pid(plain...) == g.pid(asking...) {
		t.Error("clients with and without elicitation share a process")
	}
	strange := strings.Replace(initializeRequest, "2025-11-25", "9999-no-version", 1)
	strange = strings.Replace(strange, `"init"`, `"x"`, 1)
	for _, version := range []string{"2020-01-01", "2021-01-01", ""} {
		resp := g.post(strings.Replace(strange, "9999-no-version", version, 1))
		resp.holds(http.StatusOK, `"protocolVersion":"2025-11-25"`)
	}
	if n := g.bridge.Processes(); n != 2 {
		t.Errorf("%d processes after versions that nobody speaks, want 2", n)
	}
}

// Row: ids are each session's own.
func TestEqualIDsOfSharingSessionsAreNotMixed(t *testing.T) {
	for _, per := range []Per{PerSession, PerUser, PerShared} {
		g := sharing(t, per, func(s *Settings) { s.MaxConcurrent, s.MaxSessions = 1000, 1000 }, "TEST_TRACE=")
		var all sync.WaitGroup
		for n := range 8 {
			header := g.session([]string{"alice", "bob"}[n%2])
			all.Go(func() {
				for i := range 25 {
					mark := fmt.Sprintf("mark-%d-%d", n, i)
					resp := g.post(tool(`7`, "own", saying(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":1,"message":"`+mark+`"}}`, `{"jsonrpc":"2.0","id":$id,"result":{"mark":"`+mark+`"}}`)), header...)
					if text := resp.body(); strings.Count(text, mark) != 2 || strings.Count(text, "mark-") != 2 {
						t.Errorf("per %d: %s was told %s", per, mark, text)
						return
					}
				}
			})
		}
		all.Wait()
	}
}

// Row: one session's cancellation touches its own calls only.
func TestASessionCannotCancelAnothersCall(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.session("alice"), g.session("alice")
	answer := g.later(t.Context(), tool(`1`, "hold", ``), one...)
	g.log.read(t, `"hold"`)
	g.notify("notifications/cancelled", `"requestId":1`, other...)
	g.notify("notifications/release", ``, other...)
	receive(t, answer).holds(http.StatusOK, `"released":true`)
	if n := g.log.count("notifications/cancelled"); n != 0 {
		t.Error("the server was told of a cancellation")
	}
}

// Row: server requests go to the session with the only call in flight.
func TestAQuestionGoesToTheOnlySessionWithACall(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.asking("alice"), g.asking("alice")
	resp := g.post(tool(`1`, "hold", saying(questionLine)), one...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	const said = `{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"accept"}}`
	g.post(said, other...).body() // not its question
	if n := g.log.count(`"action":"accept"`); n != 0 {
		t.Error("another session has answered the question")
	}
	g.post(said, one...).body()
	resp.says(`{"jsonrpc":"2.0","id":1,"result":{"content":[],"heard":{"action":"accept"}}}`)
}

func TestAQuestionThatTwoSessionsCouldOwnIsRefused(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.asking("alice"), g.asking("alice")
	first := g.later(t.Context(), tool(`1`, "hold", ``), one...)
	g.log.read(t, `"hold"`)
	g.post(tool(`2`, "own", saying(questionLine, answered)), other...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{"done":true}}`)
	if line := g.log.read(t, `"q1"`); !strings.Contains(line, "-32601") {
		t.Errorf("the server was told %s", line)
	}
	receive(t, first).holds(http.StatusOK, "-32601")
}

// Row: under per shared there are no client capabilities, and no questions but ping.
func TestAServerOfAllUsersCanAskNobody(t *testing.T) {
	g := sharing(t, PerShared, nil)
	header := g.asking("alice")
	g.post(tool(`1`, "own", saying(questionLine, `{"jsonrpc":"2.0","id":"p","method":"ping"}`, answered)), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	if line := g.log.read(t, `"q1"`); !strings.Contains(line, "-32601") {
		t.Errorf("the question was answered %s", line)
	}
	if line := g.log.read(t, `"id":"p"`); !strings.Contains(line, `"result":{}`) {
		t.Errorf("ping was answered %s", line)
	}
	if line := g.log.read(t, `"initialize"`); !strings.Contains(line, `"capabilities":{}`) {
		t.Errorf("the server was told of capabilities: %s", line)
	}
}

// Row: list changes are everyone's.
func TestListChangesReachEverySession(t *testing.T) {
	g := sharing(t, PerShared, nil)
	alice, bob := g.session("alice"), g.session("bob")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := g.get(ctx, alice...), g.get(ctx, bob...)
	const changed = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	g.post(tool(`1`, "own", saying(changed, answered)), g.session("carol")...).body()
	a.says(changed)
	b.says(changed)
}

// Row: under per shared a list change that is stamped for a user reaches only that user.
func TestAStampedListChangeReachesItsUserOnly(t *testing.T) {
	const everyones = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	stamped := func(user string) string {
		return `{"jsonrpc":"2.0","method":"notifications/resources/list_changed","params":{"_meta":{"io.github.snapgate/user":"` + user + `"}}}`
	}
	const received = `{"jsonrpc":"2.0","method":"notifications/resources/list_changed","params":{"_meta":{}}}`
	g := sharing(t, PerShared, nil)
	alice, bob := g.session("alice"), g.session("bob")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := g.get(ctx, alice...), g.get(ctx, bob...)
	g.post(tool(`1`, "own", saying(stamped(userKey("bob")), stamped("someone else"), stamped(aliceKey), everyones, answered)), g.session("carol")...).body()
	for _, stream := range []*reader{a, b} {
		stream.says(received)
		stream.says(everyones)
	}
}

// Row: what belongs to nobody's call is logged, never broadcast.
func TestWhatBelongsToNobodyIsNotBroadcast(t *testing.T) {
	const said = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"secret"}}`
	for per, heard := range map[Per]bool{PerUser: true, PerShared: false} {
		g := sharing(t, per, nil)
		resp := g.post(tool(`1`, "own", saying(said, answered)), g.session("alice")...)
		if got := strings.Contains(resp.body(), "secret"); got != heard {
			t.Errorf("per %d: the only call in flight heard it: %v", per, got)
		}
	}
	g := sharing(t, PerUser, nil)
	one, other := g.session("alice"), g.session("alice")
	first := g.later(t.Context(), tool(`1`, "hold", ``), one...)
	g.log.read(t, `"hold"`)
	g.post(tool(`2`, "own", saying(said, answered)), other...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{"done":true}}`)
	g.notify("notifications/release", ``, other...)
	receive(t, first).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"released":true}}`)
}

// Row: the level is the lowest asked, filtered.
func TestEachSessionHasTheLogLevelItAskedFor(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.session("alice"), g.session("alice")
	level := func(level string, header ...string) {
		g.post(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"`+level+`"}}`, header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
	level("info", one...)
	level("error", other...)
	g.notify("notifications/own", ``, one...)
	g.log.read(t, "notifications/own")
	if n := g.log.count("logging/setLevel"); n != 1 {
		t.Errorf("the server was told a level %d times, want once", n)
	}
	const said = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","data":"d"}}`
	first := g.post(tool(`1`, "own", saying(said, answered)), one...)
	first.says("") // where it would resume
	first.says(said)
	g.post(tool(`2`, "own", saying(said, answered)), other...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{"done":true}}`)
}

// Row: shared kinds start a new child and replay the handshake.
func TestASessionOutlivesASharedProcess(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.session("alice")
	before := g.pid(header...)
	g.post(subscribing(`1`, "subscribe", "a://b"), header...).body()
	g.post(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}`, header...).body()
	g.post(tool(`1`, "die", ``), header...).holds(http.StatusOK, "ended")
	g.until("the process is gone", func() bool { return g.bridge.Processes() == 0 })
	if after := g.pid(header...); after == before || after == "" {
		t.Errorf("after the end of process %s the session has %s", before, after)
	}
	for text, want := range map[string]int{`"initialize"`: 2, "notifications/initialized": 2, "resources/subscribe": 2, "logging/setLevel": 2} {
		g.until(text, func() bool { return g.log.count(text) >= want })
	}
}

func TestASharedProcessEndsOnceItIsIdle(t *testing.T) {
	g := sharing(t, PerShared, nil)
	header := g.session("alice")
	g.idles()
	g.until("nothing is left", func() bool { return g.bridge.Processes() == 0 && g.bridge.Sessions() == 0 })
	g.post(tool(`1`, "echo", ``), header...).holds(http.StatusNotFound, "-32001")
	if n := g.bridge.seats.InUse(g.ownerKey("alice")); n != 0 {
		t.Errorf("%d sessions still count", n)
	}
}

// The end of a session ends its calls, and nothing of the others.
func TestTheEndOfASharingSessionEndsItsCalls(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.asking("alice"), g.asking("alice")
	mine := g.later(t.Context(), tool(`1`, "hold", ``), one...)
	g.log.read(t, `"hold"`)
	g.do(t.Context(), http.MethodDelete, "", one...).body()
	receive(t, mine).holds(http.StatusOK, "session has ended")
	g.log.read(t, "notifications/cancelled")
	g.post(tool(`2`, "echo", ``), other...).holds(http.StatusOK, `"content":[]`)
	g.post(tool(`3`, "echo", ``), one...).holds(http.StatusNotFound, "-32001")
}

// A question that is open when its session ends is answered.
func TestAQuestionOfAnEndedSessionIsAnswered(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one := g.asking("alice")
	resp := g.post(tool(`1`, "hold", saying(questionLine)), one...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	g.do(t.Context(), http.MethodDelete, "", one...).body()
	if line := g.log.read(t, `"q1"`); !strings.Contains(line, "-32603") {
		t.Errorf("the server was told %s", line)
	}
}

func TestSharingSessionsCountAgainstTheirUser(t *testing.T) {
	g := sharing(t, PerShared, func(s *Settings) { s.MaxSessions = 2 })
	first := g.session("alice")
	g.session("alice")
	g.post(initializeRequest).holds(http.StatusTooManyRequests, "at most 2")
	g.session("bob")
	g.do(t.Context(), http.MethodDelete, "", first...).body()
	g.session("alice")
}

func TestASharedServerThatFailsToStartLeavesNothing(t *testing.T) {
	for _, how := range []string{"error", "die"} {
		g := sharing(t, PerShared, nil, initializeVar+"="+how, legacyChild)
		g.post(initializeRequest).holds(http.StatusBadGateway, "failed to start")
		g.until("nothing is left", func() bool { return g.bridge.Processes() == 0 && g.bridge.Sessions() == 0 })
		if n := g.bridge.seats.InUse(g.ownerKey("alice")); n != 0 {
			t.Errorf("%s: %d sessions still count", how, n)
		}
	}
}

// What the server says of initialize may be known just when the client has gone.
func TestAClientThatLeavesDuringTheHandshakeLearnsNothing(t *testing.T) {
	g := openPer(t, PerUser, nil, initializeVar+"=error", discoverVar+"=legacy")
	for n := range 24 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n+1)*time.Millisecond)
		resp, err := g.send(ctx, http.MethodPost, initializeRequest, "X-User", fmt.Sprint("user", n))
		if err == nil {
			if resp.Body.Close(); resp.StatusCode != http.StatusBadGateway {
				t.Errorf("initialize at a server that refuses it: %d", resp.StatusCode)
			}
		}
		cancel()
	}
	g.until("nothing is left of them", func() bool { return g.bridge.Sessions() == 0 && g.bridge.Processes() == 0 })
}

// A server that can say nothing any more takes its time to end. Who comes meanwhile gets another.
func TestAServerThatIsEndingKeepsNobodyFromAnother(t *testing.T) {
	g := sharing(t, PerUser, func(s *Settings) { s.StopTimeout = 3 * time.Second })
	header := g.session("alice")
	p := g.process()
	mute := g.later(t.Context(), tool(`1`, "mute", ``), header...)
	g.until("it takes no more messages", func() bool { return !p.conn.Takes() })
	g.post(tool(`2`, "echo", ``), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{"content":[]}}`)
	receive(t, mute).holds(http.StatusOK, `"code":-32603`)
}
