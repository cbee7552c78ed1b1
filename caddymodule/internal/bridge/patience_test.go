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
)

// hasty starts a gateway whose clients hear of calls that wait to be sent after a moment, and
// whose server takes no initialize and no server/discover as long as the file is there.
func hasty(t *testing.T, env ...string) (g *gateway, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "waits")
	g = sharing(t, PerUser, nil, append([]string{"TEST_WAIT_IF=" + file, "TEST_HOLD_IF=" + file}, env...)...)
	g.bridge.hush = time.Millisecond
	return g, file
}

func wait(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func goOn(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// A process may take longer to start than what stands between waits for the first byte.
func TestAClientHearsOfItsCallBeforeTheProcessIsThere(t *testing.T) {
	for _, server := range []string{discoverVar + "=modern", legacyChild} {
		g, file := hasty(t, server)
		wait(t, file)
		resp := g.modernTool(`"a"`, "echo", ``)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%s: %d %v", server, resp.StatusCode, resp.Header)
		}
		goOn(t, file)
		if id, data := resp.next(); id != "" || !strings.Contains(data, `"id":"a","result":{`) {
			t.Errorf("%s: event %q %s", server, id, data)
		}
		resp.ends()
		g.modernTool(`"b"`, "echo", ``).holds(http.StatusOK, `{"jsonrpc":"2.0","id":"b","result":{`)
	}
}

// So does a session that shares one, when it begins, and when it goes on with the next process.
func TestASessionHearsOfItsCallBeforeTheProcessIsThere(t *testing.T) {
	g, file := hasty(t)
	wait(t, file)
	resp := g.post(initializeRequest)
	session := resp.Header.Get("Mcp-Session-Id")
	if session == "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	goOn(t, file)
	if _, data := resp.next(); !strings.Contains(data, `"id":"init","result":{"protocolVersion"`) {
		t.Errorf("event %s", data)
	}
	resp.ends()

	header := []string{"Mcp-Session-Id", session, "Mcp-Protocol-Version", "2025-11-25"}
	wait(t, file)
	g.post(tool(`1`, "die", ``), header...).holds(http.StatusOK, "ended")
	g.until("the process is gone", func() bool { return g.bridge.Processes() == 0 })
	resp = g.post(tool(`2`, "echo", ``), header...)
	resp.Header.Get("Content-Type")
	goOn(t, file)
	if id := resp.says(""); !strings.HasPrefix(id, "c") { // where it would resume
		t.Errorf("the event without data has the id %q", id)
	}
	resp.says(`{"jsonrpc":"2.0","id":2,"result":{"content":[]}}`)
	resp.ends()
}

// What goes wrong after that is an error in the stream.
func TestAStartThatFailsLateIsAnErrorInTheStream(t *testing.T) {
	g, file := hasty(t, discoverVar+"=die", initializeVar+"=die")
	for era, call := range map[string]func() *reader{
		"modern": func() *reader { return g.modernTool(`"init"`, "echo", ``) },
		"legacy": func() *reader { return g.post(initializeRequest) },
	} {
		wait(t, file)
		resp := call()
		goOn(t, file)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", era, resp.StatusCode)
		}
		resp.says(`{"jsonrpc":"2.0","id":"init","error":{"code":-32603,"message":"The server behind the gateway failed to start"}}`)
		resp.ends()
	}
	g.until("nothing is left", func() bool { return g.bridge.Processes() == 0 && g.bridge.Sessions() == 0 })
	if got := g.log.outcome(t, "echo"); got["outcome"] != "refused" || got["code"] != "-32603" {
		t.Errorf("audit: %v", got)
	}
}

// allTaken starts a gateway of two processes, each of which has a call that waits for its
// client. It returns the state of the first.
func allTaken(t *testing.T, patience time.Duration) (g *gateway, state string) {
	t.Helper()
	g = open(t, func(s *Settings) { s.MaxProcesses, s.QueueTimeout = 2, patience }, legacyChild)
	body, header := capable(`1`, "pid", ``, "")
	g.post(body, header...).body()
	g.until("the one that was probed is gone", func() bool { return g.bridge.Processes() == 1 })
	for _, id := range []string{`"other"`, `"first"`} {
		body, header := capable(id, "hold", saying(questionLine), "")
		state = g.asks("elicitation/create", body, header...)
	}
	if n := g.bridge.Processes(); n != 2 {
		t.Errorf("two calls that wait for their clients have %d processes", n)
	}
	return g, state
}

// A call for which there is no process is refused in the end, in the stream if that has begun.
func TestACallThatWaitsForATakenProcessIsRefused(t *testing.T) {
	for hush, status := range map[time.Duration]int{time.Hour: http.StatusServiceUnavailable, time.Millisecond: http.StatusOK} {
		g, _ := allTaken(t, 100*time.Millisecond)
		g.bridge.hush = hush
		body, header := capable(`"third"`, "pid", ``, "")
		resp := g.post(body, header...)
		// Where the gateway gets to run only after both times, either may be found to be over.
		for tries := 1; resp.StatusCode != status && tries < 50; tries++ {
			resp.body()
			resp = g.post(body, header...)
		}
		resp.holds(status, `{"jsonrpc":"2.0","id":"third","error":{"code":-32603,"message":"All server processes are taken"}}`)
		if told := resp.Header.Get("Retry-After"); (told != "") != (status == http.StatusServiceUnavailable) {
			t.Errorf("Retry-After %q", told)
		}
	}
}

// It goes on as soon as one is free.
func TestACallThatWaitsGetsTheFirstProcessThatIsFree(t *testing.T) {
	g, state := allTaken(t, time.Hour)
	body, header := capable(`"third"`, "pid", ``, "")
	waiting := g.later(t.Context(), body, header...)
	g.until("it waits", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 1 })
	body, header = capable(`3`, "hold", saying(questionLine), retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"heard":{"action":"accept"}`)
	receive(t, waiting).holds(http.StatusOK, `"pid"`)
}

// A client that leaves, and a gateway that goes down, end the waiting.
func TestTheWaitForAProcessEnds(t *testing.T) {
	g, _ := allTaken(t, time.Hour)
	inFlight := func(n int) {
		t.Helper()
		g.until(fmt.Sprint(n, " calls wait"), func() bool { return g.bridge.concurrent.InUse(aliceKey) == n })
	}
	body, header := capable(`"third"`, "pid", ``, "")
	ctx, leave := context.WithCancel(t.Context())
	gone := g.later(ctx, body, header...)
	inFlight(1)
	leave()
	<-gone
	inFlight(0)
	waiting := g.later(t.Context(), body, header...)
	inFlight(1)
	g.bridge.Shutdown()
	receive(t, waiting).holds(http.StatusServiceUnavailable, "shutting down")
}

// One user's calls take no more processes than that user's sessions may.
func TestAUsersCallsTakeNoMoreProcessesThanSessions(t *testing.T) {
	g := open(t, func(s *Settings) { s.MaxSessions, s.QueueTimeout = 2, 100*time.Millisecond }, legacyChild)
	body, header := capable(`1`, "pid", ``, "")
	g.post(body, header...).body()
	g.until("the one that was probed is gone", func() bool { return g.bridge.Processes() == 1 })
	for range 2 {
		body, header := capable(`1`, "hold", saying(questionLine), "")
		g.asks("elicitation/create", body, header...)
	}
	g.post(body, header...).holds(http.StatusServiceUnavailable, "All server processes are taken")
	body, header = capable(`1`, "pid", ``, "", "X-User", "bob")
	g.post(body, header...).holds(http.StatusOK, `"pid"`)
}

// A server that is busy takes no subscription until it is done.
func TestAClientHearsOfASubscriptionThatWaits(t *testing.T) {
	g, _ := hasty(t, legacyChild)
	session := g.session("alice")
	for _, resp := range []*reader{
		g.modern(`"l"`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["silent://"]}`),
		g.post(subscribing(`1`, "subscribe", "silent://"), session...),
	} {
		if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
		resp.Body.Close()
	}
}
