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

func (g *gateway) modern(id, method, params string, header ...string) *reader {
	g.t.Helper()
	body, all := modern(id, method, params, header...)
	return g.post(body, all...)
}

func (g *gateway) modernTool(id, name, args string, header ...string) *reader {
	g.t.Helper()
	body, all := modernTool(id, name, args, header...)
	return g.post(body, all...)
}

func TestModernAnswersAreJSONOrAnEventStreamWithoutIDs(t *testing.T) {
	g := open(t, nil)
	g.modernTool(`"a"`, "echo", ``).is(http.StatusOK, `{"jsonrpc":"2.0","id":"a","result":{"content":[]}}`)
	resp := g.modernTool(`2`, "say", saying(fmt.Sprintf(progress, 1), answered))
	if id := resp.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`); id != "" {
		t.Errorf("the event has the id %q", id)
	}
	resp.says(`{"jsonrpc":"2.0","id":2,"result":{"done":true}}`)
	resp.ends()
}

func TestModernErrorsThatComeFirstHaveTheirStatus(t *testing.T) {
	g := open(t, nil)
	for code, status := range map[int]int{-32601: 404, -32020: 400, -32021: 400, -32022: 400, -32602: 200, -32603: 200, 7: 200} {
		fault := fmt.Sprintf(`{"jsonrpc":"2.0","id":$id,"error":{"code":%d,"message":"m"}}`, code)
		g.modernTool(`1`, "say", saying(fault)).is(status, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":"m"}}`, code))
	}
	resp := g.modernTool(`1`, "say", saying(fmt.Sprintf(progress, 1), `{"jsonrpc":"2.0","id":$id,"error":{"code":-32601,"message":"m"}}`))
	if resp.StatusCode != http.StatusOK {
		t.Errorf("in a stream the status is %d", resp.StatusCode)
	}
	resp.body()
}

func TestAProcessServesOnePrincipal(t *testing.T) {
	g := open(t, nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	pids := map[string]map[string]bool{}
	for i := range 30 {
		user := fmt.Sprintf("user%d", i%3)
		all.Go(func() {
			pid := g.modernTool(`1`, "pid", ``, "X-User", user).body()
			mu.Lock()
			defer mu.Unlock()
			if pids[user] == nil {
				pids[user] = map[string]bool{}
			}
			pids[user][pid] = true
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for user, own := range pids {
		for pid := range own {
			if len(own) != 1 || seen[pid] {
				t.Errorf("%s was served by %v", user, own)
			}
			seen[pid] = true
		}
	}
	if n := g.bridge.Processes(); n != 3 {
		t.Errorf("%d processes, want 3", n)
	}
}

func TestClosingTheStreamCancels(t *testing.T) {
	g := open(t, nil, trace)
	ctx, leave := context.WithCancel(t.Context())
	body, header := modernTool(`"x"`, "hold", ``)
	gone := g.later(ctx, body, header...)
	g.log.read(t, `"hold"`)
	leave()
	<-gone
	if line := g.log.read(t, "notifications/cancelled"); !strings.Contains(line, "io.github.snapgate/identity") {
		t.Errorf("the child read %s", line)
	}
	if got := g.log.outcome(t, "hold"); got["outcome"] != "cancelled" || got["era"] != "modern" {
		t.Errorf("audit: %v", got)
	}
	g.until("nothing is counted", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 0 })
}

func TestModernNotificationsAreAcceptedAndNamesOfCallsGoNowhere(t *testing.T) {
	g := open(t, nil, trace)
	body, header := modernTool(`1`, "hold", ``)
	held := g.later(t.Context(), body, header...)
	g.log.read(t, `"hold"`)
	for _, method := range []string{"notifications/cancelled", "notifications/progress", "notifications/initialized", "notifications/release"} {
		resp := g.post(`{"jsonrpc":"2.0","method":"`+method+`","params":{"requestId":1,"progressToken":1}}`, "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
		if body := resp.body(); resp.StatusCode != http.StatusAccepted || body != "" {
			t.Errorf("%s: %d %q", method, resp.StatusCode, body)
		}
	}
	receive(t, held).holds(http.StatusOK, `"released":true`)
	for _, method := range []string{"notifications/cancelled", "notifications/progress", "notifications/initialized"} {
		if n := g.log.count(method); n != 0 {
			t.Errorf("the server was told %s", method)
		}
	}
}

func TestTheFirstCallerMayLeaveWhileOthersWait(t *testing.T) {
	g := open(t, nil, trace, discoverVar+"=silent")
	ctx, leave := context.WithCancel(t.Context())
	body, header := modernTool(`1`, "echo", ``)
	// That long the probe goes on. What is started for the second has its usual time.
	first := g.later(ctx, body, append(header, "X-Start-Timeout", "3s")...)
	g.log.read(t, "server/discover")
	second := g.later(t.Context(), body, header...)
	g.until("both wait", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 2 })
	leave()
	<-first
	// Silence means that it is of the other era: it is taken through initialize.
	receive(t, second).holds(http.StatusOK, `"content":[]`)
}

func TestALegacyServerIsProbedOnce(t *testing.T) {
	g := open(t, nil, trace, discoverVar+"=legacy")
	for n := range 3 {
		g.modernTool(fmt.Sprint(n), "echo", ``).holds(http.StatusOK, `"content":[]`)
	}
	if probes := g.log.count("server/discover"); probes != 1 {
		t.Errorf("the server was asked %d times", probes)
	}
}

func TestALegacyServerServesBothErasAtOnce(t *testing.T) {
	g := open(t, nil, discoverVar+"=legacy")
	g.modernTool(`1`, "echo", ``).holds(http.StatusOK, `"resultType":"complete"`)
	g.post(tool(`1`, "echo", ``), g.session("alice")...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
}

func TestAServerThatDiesAtTheProbeIs502(t *testing.T) {
	g := open(t, nil, discoverVar+"=die")
	g.modernTool(`1`, "echo", ``).holds(http.StatusBadGateway, `"code":-32603`)
	g.gone()
}

func TestAProcessThatDiedBetweenCallsIsReplaced(t *testing.T) {
	g := open(t, nil)
	first := g.modernTool(`1`, "pid", ``).body()
	g.modernTool(`2`, "die", ``).holds(http.StatusOK, "exit status 3")
	g.until("it is gone", func() bool { return g.bridge.Processes() == 0 })
	if second := g.modernTool(`1`, "pid", ``).body(); second == first || !strings.Contains(second, `"pid"`) {
		t.Errorf("first %s, then %s", first, second)
	}
}

func TestASubscriptionOutlivesTheCallTimeoutAndEndsWithItsToken(t *testing.T) {
	g := open(t, nil)
	g.modernTool(`1`, "echo", ``).holds(http.StatusOK, `"result"`) // the process is there
	const life = 2 * time.Second
	began := time.Now()
	resp := g.modern(`"sub"`, "subscriptions/listen", `"notifications":{}`, "X-Expires", life.String(), "X-Call-Timeout", "20ms")
	resp.says(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"},"notifications":{}}}`)
	resp.says(`{"jsonrpc":"2.0","id":"sub","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}}}`)
	resp.ends()
	if lived := time.Since(began); lived < life {
		t.Errorf("it ended after %v", lived)
	}
	if got := g.log.outcome(t, "subscriptions/listen"); got["outcome"] != "ok" {
		t.Errorf("a subscription that ended with its result is recorded as %q", got["outcome"])
	}
}

func TestALogLineGoesToTheOneCallThatAskedForLogs(t *testing.T) {
	g := open(t, nil)
	line := `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}`
	g.modernTool(`1`, "say", saying(line, answered)).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	body, header := modernTool(`2`, "say", saying(line, answered))
	body = strings.Replace(body, `"progressToken":"tok"`, `"io.modelcontextprotocol/logLevel":"info"`, 1)
	resp := g.post(body, header...)
	resp.says(line)
	resp.says(`{"jsonrpc":"2.0","id":2,"result":{"done":true}}`)
}

func TestRequestsOfAModernServerAreAnsweredByTheGateway(t *testing.T) {
	g := open(t, nil)
	g.modernTool(`1`, "say", saying(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`, `{"jsonrpc":"2.0","id":"p","method":"ping"}`, answered)).holds(http.StatusOK, `"done":true`)
	var lines []string
	decode(t, g.modern(`2`, "seen", ``).answer(), &lines)
	all := strings.Join(lines, "\n")
	if !strings.Contains(all, `{"jsonrpc":"2.0","id":"p","result":{}}`) || !strings.Contains(all, `"id":"q","error":{"code":-32601`) {
		t.Errorf("the child read %s", all)
	}
}
