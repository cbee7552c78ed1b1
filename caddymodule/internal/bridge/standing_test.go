package bridge

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// process returns the one process that there is.
func (g *gateway) process() *pooled {
	g.t.Helper()
	g.bridge.mu.Lock()
	defer g.bridge.mu.Unlock()
	for _, members := range g.bridge.pool {
		return members[0]
	}
	g.t.Fatal("there is no process")
	return nil
}

// Each user's subscriptions are asked for by itself: a server that hangs on one, or on the
// level of its log, delays nobody.
func TestASubscriptionThatHangsDelaysNobody(t *testing.T) {
	g := sharing(t, PerShared, nil, capabilitiesVar+"="+strings.Replace(stamping, "{", `{"logging":{},`, 1))
	alice, bob := g.session("alice"), g.session("bob")
	hanging := g.later(t.Context(), subscribing(`1`, "subscribe", "silent://"), alice...)
	g.log.read(t, "silent://")
	g.post(subscribing(`1`, "subscribe", "a://b"), bob...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	g.post(`{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"info"}}`, alice...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{}}`)
	g.post(subscribing(`3`, "subscribe", "a://b"), alice...).is(http.StatusOK, `{"jsonrpc":"2.0","id":3,"result":{}}`)
	select {
	case <-hanging:
		t.Error("the server has answered what it should not")
	default:
	}
	g.do(t.Context(), http.MethodDelete, "", alice...).body()
	g.process().end("the test is over")
	receive(t, hanging).body()
}

// Of a subscription that was not answered in time nothing is left, at the server neither.
func TestASubscriptionThatIsNotAnsweredIsWithdrawn(t *testing.T) {
	g := sharing(t, PerUser, nil)
	g.session("alice")
	p := g.process()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	held := make(chan error, 1)
	go func() {
		_, err := p.hold(ctx, subscription{uri: "silent://"}, nil)
		held <- err
	}()
	g.log.read(t, "resources/subscribe", "silent://")
	cancel() // its time is over
	if err := receive(t, held); !errors.Is(err, backend.ErrSilent) {
		t.Fatalf("held: %v", err)
	}
	g.log.read(t, "resources/unsubscribe", "silent://")
	if len(p.holdings) != 0 {
		t.Errorf("left: %v", p.holdings)
	}
}

func TestALongURICannotBeSubscribedTo(t *testing.T) {
	g := sharing(t, PerUser, nil, legacyChild)
	long := "a://" + strings.Repeat("x", maxURI)
	g.post(subscribing(`1`, "subscribe", long), g.session("alice")...).holds(http.StatusOK, "at most 8192")
	body, header := modern(`2`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["`+long+`"]}`)
	g.post(body, header...).holds(http.StatusOK, "at most 8192")
	var many []string
	for n := range maxSubscribed + 1 {
		many = append(many, `"a://`+strings.Repeat("y", n)+`"`)
	}
	body, header = modern(`3`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":[`+strings.Join(many, ",")+`]}`)
	g.post(body, header...).holds(http.StatusOK, "At most 1024")
	if n := g.log.count("resources/subscribe"); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// A call that has found the old process does not take the session back to it.
func TestASessionDoesNotGoBackToAnOlderProcess(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.session("alice")
	s, p := g.find(header), g.process()
	older := newTenants(&pooled{generation: p.generation - 1})
	if entered, over := older.enter(s); entered || over || len(older.members) != 0 || s.share.tenants != p.tenants {
		t.Errorf("entered %v, over %v, %d members", entered, over, len(older.members))
	}
	s.end("the test")
	if entered, over := p.tenants.enter(s); entered || !over || len(p.tenants.members) != 0 {
		t.Errorf("after its end: entered %v, over %v", entered, over)
	}
}

// What a session had subscribed to is subscribed to again at the next process, for as long
// as the server grants it, and the client is told to look.
func TestSubscriptionsFollowTheSession(t *testing.T) {
	g := sharing(t, PerUser, nil)
	header := g.session("alice")
	for _, uri := range []string{"a://1", "a://2", "a://3"} {
		g.post(subscribing(`1`, "subscribe", uri), header...).body()
	}
	g.post(subscribing(`1`, "unsubscribe", "a://2"), header...).body()
	s := g.find(header)
	s.mu.Lock()
	s.share.uris["refused://"] = true // as if the server had granted it before
	s.mu.Unlock()
	g.post(tool(`1`, "die", ``), header...).body()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := g.get(ctx, header...)
	g.post(tool(`2`, "echo", ``), header...).body()
	told := map[string]bool{}
	for range 2 {
		_, data := stream.next()
		told[data] = true
	}
	for _, uri := range []string{"a://1", "a://3"} {
		if !told[updated(uri, "")] {
			t.Errorf("the client was not told to look at %s again: %v", uri, told)
		}
		// What the server has read comes to the log by its standard error.
		g.until("the server is asked twice for "+uri, func() bool { return g.log.count("resources/subscribe", uri) == 2 })
	}
	g.until("what is refused is forgotten", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.share.uris) == 2
	})
	if n := g.log.count("resources/subscribe", "a://2"); n != 1 {
		t.Error("what the client had unsubscribed from is subscribed to again")
	}
	g.do(t.Context(), http.MethodDelete, "", header...).body()
	g.until("nothing is held", func() bool {
		p := g.process()
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.holdings) == 0
	})
}

// A session whose call waits for its process is not idle.
func TestASessionThatWaitsForItsProcessIsNotIdle(t *testing.T) {
	slow := filepath.Join(t.TempDir(), "slow")
	g := sharing(t, PerUser, nil, "TEST_SLOW_IF="+slow)
	header := g.session("alice")
	if err := os.WriteFile(slow, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.post(tool(`1`, "die", ``), header...).body()
	waiting := g.later(t.Context(), tool(`2`, "echo", ``), header...)
	g.until("the next process is asked", func() bool { return g.log.count(`"initialize"`) == 2 })
	g.idles()
	receive(t, waiting).holds(http.StatusOK, `"content":[]`)
}

// A question that comes while its session ends is answered.
func TestAQuestionToASessionThatEndsIsAnswered(t *testing.T) {
	g := sharing(t, PerUser, nil)
	s, p := g.find(g.asking("alice")), g.process()
	m, err := message.Parse([]byte(questionLine), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.end("the test")
	s.deliver(p.conn, m, m.Raw)
	g.log.read(t, `"q1"`, "-32603")
}

// Calls that the gateway answers are not calls that the server could ask about.
func TestAQuestionIsNotKeptFromItsCallByOnesThatTheGatewayAnswers(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.asking("alice"), g.asking("alice")
	hanging := g.later(t.Context(), subscribing(`1`, "subscribe", "silent://"), other...)
	g.log.read(t, "silent://")
	resp := g.post(tool(`1`, "hold", saying(questionLine)), one...)
	resp.says("") // where it would resume
	resp.says(renamed(questionLine, 1))
	g.process().end("the test is over")
	receive(t, hanging).body()
	if n := len(g.find(one).asked); n != 0 {
		t.Errorf("%d questions of a process that has ended are open", n)
	}
}

func TestNotificationsCountAgainstTheirUsersCalls(t *testing.T) {
	g := sharing(t, PerUser, func(s *Settings) { s.MaxConcurrent = 1 })
	header := g.session("alice")
	held := g.later(t.Context(), tool(`1`, "hold", ``), header...)
	g.log.read(t, `"hold"`)
	if status := g.notify("notifications/own", ``, header...); status != http.StatusTooManyRequests {
		t.Errorf("a notification beside a call: %d", status)
	}
	g.notify("notifications/cancelled", `"requestId":1`, header...)
	receive(t, held).body()
}

// A version that the server refuses is refused to those who ask for it, and for them alone.
func TestAVersionThatIsRefusedClosesTheServerToNobodyElse(t *testing.T) {
	g, _ := failing(t, PerShared, "TEST_REFUSE=2025-03-26", legacyChild)
	for range breakAfter {
		g.post(strings.Replace(initializeRequest, "2025-11-25", "2025-03-26", 1)).holds(http.StatusBadGateway, "")
	}
	g.post(strings.Replace(initializeRequest, "2025-11-25", "2025-03-26", 1)).holds(http.StatusServiceUnavailable, "")
	g.session("bob")
}
