package bridge

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
)

// busy has calls of two clients in flight, besides a session.
func (g *gateway) busy() (s []string, calls [2]<-chan *reader) {
	g.t.Helper()
	s = g.session("alice")
	calls[0] = g.later(g.t.Context(), tool(`1`, "hold", `"mark":"legacy"`), s...)
	body, header := modernTool(`2`, "hold", `"mark":"modern"`, "X-User", "bob")
	calls[1] = g.later(g.t.Context(), body, header...)
	g.log.read(g.t, `"legacy"`)
	g.log.read(g.t, `"modern"`)
	return s, calls
}

// release has all servers answer what they hold, though the gateway takes no requests.
func (g *gateway) release(s []string) {
	g.t.Helper()
	conns := []*backend.Conn{g.find(s).conn}
	g.bridge.mu.Lock()
	for _, members := range g.bridge.pool {
		for _, p := range members {
			conns = append(conns, p.conn)
		}
	}
	g.bridge.mu.Unlock()
	for _, conn := range conns {
		if err := conn.Tell([]byte(`{"jsonrpc":"2.0","method":"notifications/release"}`)); err != nil {
			g.t.Error(err)
		}
	}
}

func TestShutdownEndsStreamsAtOnceAndLetsCallsFinish(t *testing.T) {
	g := open(t, func(s *Settings) { s.StopTimeout = 2 * patience }, trace)
	s, calls := g.busy()
	stream := g.get(t.Context(), s...)
	sub := g.modern(`"sub"`, "subscriptions/listen", `"notifications":{}`)
	sub.next()

	began := time.Now()
	g.bridge.Shutdown()
	stream.ends()
	sub.says(`{"jsonrpc":"2.0","id":"sub","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}}}`)
	g.post(tool(`3`, "echo", ``), s...).holds(http.StatusServiceUnavailable, `"code":-32603`)
	if took := time.Since(began); took > patience {
		t.Errorf("streams ended after %v", took)
	}
	g.release(s)
	for _, call := range calls {
		receive(t, call).holds(http.StatusOK, `"released":true`)
	}
	if got := g.log.outcome(t, "subscriptions/listen"); got["outcome"] != "ok" {
		t.Errorf("audit of a subscription that ended with its result: %q", got["outcome"])
	}
}

func TestShutdownEndsCallsThatDoNotFinish(t *testing.T) {
	const stopTimeout = 300 * time.Millisecond
	g := open(t, func(s *Settings) { s.StopTimeout = stopTimeout }, trace)
	_, calls := g.busy()
	began := time.Now()
	g.bridge.Shutdown()
	for _, call := range calls {
		receive(t, call).holds(http.StatusOK, `"code":-32603`)
	}
	if took := time.Since(began); took < stopTimeout {
		t.Errorf("calls ended after %v, before the stop timeout", took)
	}
}

// A process that is slow to start must not hold up the exit for the start timeout.
func TestShutdownEndsCallsThatWaitForAProcess(t *testing.T) {
	g := open(t, func(s *Settings) { s.StopTimeout = 100 * time.Millisecond; s.StartTimeout = time.Hour }, trace, discoverVar+"=silent")
	body, header := modernTool(`1`, "echo", ``)
	waiting := g.later(t.Context(), body, header...)
	g.log.read(t, "server/discover")
	g.bridge.Shutdown()
	receive(t, waiting).body()
}

func TestCloseEndsCallsInFlight(t *testing.T) {
	g := open(t, nil, trace)
	s := g.session("alice")
	held := g.later(t.Context(), tool(`1`, "hold", ``), s...)
	g.log.read(t, `"hold"`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.bridge.Close(ctx)
	receive(t, held).holds(http.StatusOK, `"code":-32603`)
	if n := g.bridge.Processes(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

// A call that is parked does not outlive the gateway.
func TestNoCallIsParkedOnceTheGatewayHasClosed(t *testing.T) {
	g := open(t, nil, legacyChild)
	body, header := capable(`1`, "hold", saying(questionLine), "")
	g.asks("elicitation/create", body, header...)
	p := g.process()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.bridge.Close(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(g.bridge.parked); n != 0 || p.users != 0 || p.current != nil {
		t.Errorf("%d calls are parked, %d use a process", n, p.users)
	}
}
