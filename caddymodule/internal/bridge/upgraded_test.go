package bridge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// modernOnly is the environment of a server that refuses initialize.
var modernOnly = []string{trace, initializeVar + "=error", capabilitiesVar + "=" + capabilities}

// The client gets a session, whoever shares a process, and the server what each request of
// its version needs.
func TestALegacyClientHasASessionAtAModernServer(t *testing.T) {
	const want = `{"id":"init","jsonrpc":"2.0","result":{"capabilities":` + `{"logging":{},"resources":{"subscribe":true,"listChanged":true},"tools":{"listChanged":true}}` + `,"protocolVersion":"2025-11-25","serverInfo":{"name":"unknown","version":"0"}}}`
	for _, per := range []Per{PerSession, PerUser} {
		g := openPer(t, per, nil, modernOnly...)
		g.post(initializeRequest).is(http.StatusOK, want)
		header := g.session("alice") // now the server is known
		resp := g.post(tool(`1`, "own", saying(fmt.Sprintf(progress, 1), `{"jsonrpc":"2.0","id":$id,"result":{"resultType":"complete","x":1e400}}`)), header...)
		resp.says("") // where it would resume
		resp.says(strings.Replace(fmt.Sprintf(progress, 1), "$token", `"tok"`, 1))
		resp.says(`{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","x":1e400}}`)
		line := g.log.read(t, `"own"`)
		for _, part := range []string{`"io.modelcontextprotocol/protocolVersion":"2026-07-28"`, `"io.modelcontextprotocol/clientCapabilities":{}`, `"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}`, `"io.modelcontextprotocol/logLevel":"info"`, `"subject":"alice"`} {
			if !strings.Contains(line, part) {
				t.Errorf("per %d: the server has read %s without %s", per, line, part)
			}
		}
		g.post(`{"jsonrpc":"2.0","id":2,"method":"seen"}`, header...).body()
		g.log.read(t, `"seen"`, `"params":{"_meta":{`)
		g.until("the server was asked to initialize once", func() bool { return g.log.count(`"initialize"`) == 1 })
		if n := g.log.count("notifications/initialized"); n != 0 {
			t.Errorf("per %d: the server was told of a session", per)
		}
		g.until("one process serves both sessions", func() bool { return g.bridge.Processes() == 1 })
		g.do(t.Context(), http.MethodDelete, "", header...).body()
		g.post(tool(`3`, "echo", ``), header...).holds(http.StatusNotFound, "-32001")
	}
}

// A client that leaves before the gateway knows of which era the server is leaves no session.
func TestAClientThatLeavesDuringTheUpgradeLeavesNothing(t *testing.T) {
	waits := filepath.Join(t.TempDir(), "waits")
	if err := os.WriteFile(waits, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := open(t, nil, append(modernOnly, "TEST_WAIT_IF="+waits)...)
	ctx, leave := context.WithCancel(t.Context())
	g.later(ctx, initializeRequest)
	g.log.read(t, "server/discover")
	leave()
	if got := g.log.outcome(t, "initialize"); got["outcome"] != "cancelled" {
		t.Errorf("%v", got)
	}
	if err := os.Remove(waits); err != nil {
		t.Fatal(err)
	}
	g.until("the process is there", func() bool {
		g.bridge.mu.Lock()
		defer g.bridge.mu.Unlock()
		return g.bridge.modernOnly
	})
	g.until("no session is left", func() bool { return g.bridge.Sessions() == 0 })
}

// A server of neither era is what it says.
func TestAServerThatRefusesBothErasIsRefusedAsItSays(t *testing.T) {
	g := open(t, nil, trace, initializeVar+"=error", legacyChild)
	for range 2 {
		g.post(initializeRequest).is(http.StatusOK, `{"jsonrpc":"2.0","id":"init","error":{"code":-32602,"message":"Unsupported protocol version"}}`)
	}
	g.until("nothing is left", func() bool { return g.bridge.Processes() == 0 && g.bridge.Sessions() == 0 })
	if n := g.bridge.seats.InUse(g.ownerKey("alice")); n != 0 {
		t.Errorf("%d sessions still count", n)
	}
}

// A server that has taken an initialize is not tried with another version for each refusal.
func TestARefusalOfALegacyServerPasses(t *testing.T) {
	g := open(t, nil, trace, "TEST_REFUSE=2025-03-26", legacyChild)
	g.session("alice")
	g.post(strings.Replace(initializeRequest, "2025-11-25", "2025-03-26", 1)).holds(http.StatusOK, "Unsupported protocol version")
	if n := g.log.count("server/discover"); n != 0 {
		t.Errorf("the server was probed %d times", n)
	}
}

// What the client says about its session stays in the gateway.
func TestASessionAtAModernServerIsKeptByTheGateway(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	g.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	g.post(`{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}}`, header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":2,"result":{}}`)
	g.post(`{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"loud"}}`, header...).holds(http.StatusOK, "-32602")
	g.post(`{"jsonrpc":"2.0","id":4,"method":"server/discover"}`, header...).holds(http.StatusOK, "-32601")
	for _, method := range []string{"notifications/roots/list_changed", "notifications/initialized"} {
		if status := g.notify(method, ``, header...); status != http.StatusAccepted {
			t.Errorf("%s: %d", method, status)
		}
	}
	g.notify("notifications/own", ``, header...)
	g.log.read(t, "notifications/own")
	g.post(tool(`5`, "echo", ``), header...).body()
	g.log.read(t, `"echo"`, `logLevel":"error"`)
	for _, text := range []string{`"ping"`, "setLevel", "roots/list_changed", "notifications/initialized"} {
		if n := g.log.count(text); n != 0 {
			t.Errorf("the server was told %s", text)
		}
	}
}

// What the server wants to know in mid-call, the client is asked, and the call is made again.
func TestAModernServerAsksALegacyClient(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.asking("alice")
	resp := g.post(tool(`1`, "wants", ``), header...)
	resp.says("") // where it would resume
	resp.says(`{"id":"snapgate-1","jsonrpc":"2.0","method":"elicitation/create","params":{"message":"who?","n":12345678901234567890,"_meta":{}}}`)
	resp.says(`{"id":"snapgate-2","jsonrpc":"2.0","method":"roots/list"}`)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-2","result":{"roots":[]}}`, header...)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-2","result":{"roots":["twice"]}}`, header...)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"accept","content":{"n":1.0}}}`, header...)
	// The second round asks for nothing but another try.
	g.log.read(t, `"requestState":"one"`, `"inputResponses":{"name":{"action":"accept","content":{"n":1.0}},"where":{"roots":[]}}`)
	line := g.log.read(t, `"requestState":"two"`)
	if strings.Contains(line, "inputResponses") {
		t.Errorf("the second round has input: %s", line)
	}
	resp.says(`{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","rounds":2}}`)
}

// respond sends a client's answer to a question.
func (g *gateway) respond(body string, header ...string) {
	g.t.Helper()
	if resp := g.post(body, header...); resp.StatusCode != http.StatusAccepted {
		g.t.Errorf("%s: %d", body, resp.StatusCode)
	}
}

// A server that takes no answer any more is one that has ended, whatever it still does.
func TestAServerThatDoesNotTakeTheInputHasEnded(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.asking("alice")
	resp := g.post(tool(`1`, "deaf", ``), header...)
	resp.says("") // where it would resume
	resp.says(`{"id":"snapgate-1","jsonrpc":"2.0","method":"roots/list"}`)
	conn := g.process().conn
	g.until("nothing can be sent", func() bool {
		return conn.Say([]byte(`{"jsonrpc":"2.0","method":"notifications/x"}`)) != nil
	})
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"roots":[]}}`, header...)
	resp.says(`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the server's process has ended"}}`)
	if got := g.log.outcome(t, "deaf"); got["outcome"] != "died" {
		t.Errorf("audit: %v", got)
	}
}

// wanting is a call of alice's that waits for the answers to two questions, snapgate-1 and
// snapgate-2.
func (g *gateway) wanting() (s *session, header []string, resp *reader) {
	g.t.Helper()
	header = g.asking("alice")
	resp = g.post(tool(`1`, "wants", ``), header...)
	for range 3 { // where it would resume, and the questions
		resp.next()
	}
	return g.find(header), header, resp
}

// A client that refuses, cancels, leaves or falls silent ends its call and leaves nothing.
func TestACallThatWaitsForInputEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(g *gateway, header []string)
		want string
	}{
		"refused": {func(g *gateway, header []string) {
			g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","error":{"code":-1,"message":"never"}}`, header...)
		}, "did not give the input that the server asked for: never"},
		"cancelled": {func(g *gateway, header []string) { g.notify("notifications/cancelled", `"requestId":1`, header...) }, "cancelled"},
		"ended":     {func(g *gateway, header []string) { g.do(context.Background(), http.MethodDelete, "", header...).body() }, "the session has ended"},
		"silent":    {func(*gateway, []string) {}, "took longer"},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t, nil, modernOnly...)
			header := g.asking("alice")
			call := header
			if name == "silent" {
				call = append(header, "X-Call-Timeout", "2s")
			}
			resp := g.post(tool(`1`, "wants", ``), call...)
			if name != "silent" { // on a busy machine the time may be over before anybody is asked
				for range 3 { // where it would resume, and the questions
					resp.next()
				}
			}
			s := g.find(header)
			tc.end(g, header)
			if data := resp.final(); !strings.Contains(data, tc.want) {
				t.Errorf("the call ends with %s, want %q", data, tc.want)
			}
			g.until("no question is open", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return len(s.asked) == 0 && len(s.calls) == 0
			})
			g.log.read(t, `"wants"`)
			if n := g.log.count(`"wants"`); n != 1 {
				t.Errorf("the call was made %d times", n)
			}
		})
	}
}

// Subscriptions become a listen, and follow the session to the next process.
func TestSubscriptionsOfASessionAtAModernServer(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := g.get(ctx, header...)
	g.log.read(t, "subscriptions/listen", `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}`)
	g.post(subscribing(`1`, "subscribe", "a://b"), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	g.post(subscribing(`2`, "subscribe", "refused://"), header...).holds(http.StatusOK, `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no such resource"}}`)
	seen := map[string]int{}
	take := func(want string) {
		t.Helper()
		for seen[want] == 0 {
			_, data := stream.next()
			if data == "" {
				t.Fatalf("no %s, but %v", want, seen)
			}
			seen[data]++
		}
		delete(seen, want)
	}
	g.tells("alice", updatedFor("a://b/c", "$listen"), updatedFor("a://other", "$listen"), changed("tools", "$listen"))
	take(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{},"uri":"a://b/c"}}`)
	take(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{}}}`)
	g.post(tool(`4`, "die", ``), header...).body()
	g.post(`{"jsonrpc":"2.0","id":5,"method":"ping"}`, header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":5,"result":{}}`)
	take(updated("a://b", ""))
	g.post(subscribing(`6`, "unsubscribe", "a://b"), header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":6,"result":{}}`)
	p := g.process()
	g.do(t.Context(), http.MethodDelete, "", header...).body()
	g.until("nothing is left", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.unions) == 0 && len(p.listeners) == 0
	})
	for text := range seen {
		if strings.Contains(text, "a://other") || strings.Contains(text, "refused://") {
			t.Errorf("the client was told %s", text)
		}
	}
}

// Whoever subscribes twice at once is told twice what the server says.
func TestASubscriptionThatWaitsForAnotherOfItsKindIsNotGrantedBefore(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	g.post(subscribing(`1`, "subscribe", "a://b"), header...).holds(http.StatusOK, `"id":1,"result":{}`)
	s, p := g.find(header), g.process()
	u := p.union(s.owner)
	u.turn <- struct{}{} // somebody else has it
	var answers []<-chan *reader
	for n := range 2 {
		answers = append(answers, g.later(t.Context(), subscribing(fmt.Sprint(n), "subscribe", "refused://"), header...))
		g.until("the call has come", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.calls) == n+1 && s.share.uris["refused://"] || n > 0 && len(answers[1]) > 0
		})
	}
	<-u.turn
	p.unionUsed(u)
	for _, answer := range answers {
		receive(t, answer).holds(http.StatusOK, "no such resource")
	}
	g.post(subscribing(`2`, "subscribe", "a://b"), header...).holds(http.StatusOK, `"id":2,"result":{}`)
}

// What a session subscribes to at the same time, or just when it comes to another process, is
// all subscribed to.
func TestSubscriptionsThatMeetAreAllKept(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	for round := range 10 {
		var all sync.WaitGroup
		for n := range 5 {
			body := subscribing(fmt.Sprint(n), "subscribe", fmt.Sprintf("r%d://%d", round, n))
			all.Go(func() {
				for resp := range g.later(t.Context(), body, header...) {
					resp.holds(http.StatusOK, `"result":{}`)
					return
				}
			})
		}
		all.Wait()
		p := g.process()
		g.until(fmt.Sprintf("round %d: all resources are listened to, and nobody changes that", round), func() bool {
			return p.quiet() && len(g.listener(header).granted().URIs) == 5*(round+1)
		})
		p.end("the test")
	}
}

// quiet says whether nobody joins or leaves.
func (p *pooled) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.unions {
		if u.users > 0 {
			return false
		}
	}
	return len(p.listeners) > 0
}

// A process that ends while the client is asked has nobody to make the call to again.
func TestInputForAProcessThatHasEndedEndsTheCall(t *testing.T) {
	g := open(t, nil, modernOnly...)
	s, header, resp := g.wanting()
	g.post(tool(`2`, "die", ``), header...).body()
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-1","result":{"action":"cancel"}}`, header...)
	g.respond(`{"jsonrpc":"2.0","id":"snapgate-2","result":{"roots":[]}}`, header...)
	if _, data := resp.next(); !strings.Contains(data, "ended") {
		t.Errorf("the client is told %s", data)
	}
	g.until("no call is in flight", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.calls) == 0
	})
}

// The server ends the listen of a session that is about to subscribe. The session listens once
// after that, is told once, and leaves nothing.
func TestASessionWhoseListenEndsWhileItSubscribesListensOnce(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	s, p := g.find(header), g.process()
	g.until("it listens", p.quiet)
	listeners := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.listeners)
	}
	u := p.union(s.owner)
	u.turn <- struct{}{} // the subscription waits for it
	answer := g.later(t.Context(), subscribing(`1`, "subscribe", "a://b"), header...)
	g.until("the call has come", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.share.uris["a://b"]
	})
	g.tells("alice", `{"jsonrpc":"2.0","id":$listen,"result":{"resultType":"complete"}}`)
	g.until("the listen has ended", func() bool { return listeners() == 0 })
	<-u.turn
	p.unionUsed(u)
	receive(t, answer).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	g.post(`{"jsonrpc":"2.0","id":2,"method":"ping"}`, header...).body()
	g.until("nobody changes the listen", p.quiet)
	if n := listeners(); n != 1 {
		t.Errorf("the session listens %d times", n)
	}
	g.do(t.Context(), http.MethodDelete, "", header...).body()
	g.until("nobody listens", func() bool { return listeners() == 0 })
}
