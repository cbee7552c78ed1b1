package bridge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// listening opens a subscriptions/listen of a modern client and takes its acknowledgement.
func (g *gateway) listening(ctx context.Context, id, user, asks string) *reader {
	g.t.Helper()
	body, header := modern(id, "subscriptions/listen", `"notifications":`+asks, "X-User", user)
	resp := g.do(ctx, http.MethodPost, body, header...)
	resp.says(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `},"notifications":` + asks + `}}`)
	return resp
}

// tells makes the server write what it says to its newest listen.
func (g *gateway) tells(user string, lines ...string) {
	g.t.Helper()
	body, header := modernTool(`"t"`, "own", saying(append(lines, answered)...), "X-User", user)
	g.post(body, header...).holds(http.StatusOK, `"done":true`)
}

func changed(list, id string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/%s/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, list, id)
}

func updatedFor(uri, id string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s},"uri":%q}}`, id, uri)
}

// A server has one listen for all of a user's clients, and each is told what it asked for.
func TestAModernServerHasOneListenForAUsersClients(t *testing.T) {
	g := open(t, nil, trace)
	a := g.listening(t.Context(), `"a"`, "alice", `{"toolsListChanged":true}`)
	b := g.listening(t.Context(), `7`, "alice", `{"toolsListChanged":true,"promptsListChanged":true}`)
	g.until("the server has one listen", func() bool { return g.log.count("subscriptions/listen") == 1 })
	g.tells("alice", changed("prompts", "$listen"), changed("tools", "$listen"))
	a.says(changed("tools", `"a"`))
	b.says(changed("prompts", `7`))
	b.says(changed("tools", `7`))
	line := g.log.read(t, "subscriptions/listen")
	if !strings.Contains(line, `"subject":"alice"`) {
		t.Errorf("the listen is in nobody's name: %s", line)
	}
}

// Who asks for more has the listen opened anew; who listened before is told to look again.
func TestAListenForMoreReplacesTheOneBefore(t *testing.T) {
	g := open(t, nil, trace)
	a := g.listening(t.Context(), `"a"`, "alice", `{"resourceSubscriptions":["a://1"]}`)
	ctx, leave := context.WithCancel(t.Context())
	b := g.listening(ctx, `"b"`, "alice", `{"resourceSubscriptions":["a://2"]}`)
	a.says(synthetic("a://1"))
	g.log.read(t, "notifications/cancelled")
	g.tells("alice", updatedFor("a://1", "$listen"), updatedFor("a://2", "$listen"), updatedFor("a://3", "$listen"))
	a.says(updatedFor("a://1", `"a"`))
	b.says(updatedFor("a://2", `"b"`))
	leave()
	g.until("the server is asked for less", func() bool {
		return g.log.count("subscriptions/listen", `["a://1"]`) == 2
	})
	a.says(synthetic("a://1"))
}

// synthetic is the gateway's own notification to the listen "a".
func synthetic(uri string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"},"uri":%q}}`, uri)
}

// A server need not answer a listen that is cancelled. One that does not is waited for once, and
// again when it has answered after all.
func TestAServerThatAnswersNoCancelledListenIsNotWaitedForEachTime(t *testing.T) {
	curt := filepath.Join(t.TempDir(), "curt")
	if err := os.WriteFile(curt, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := open(t, nil, trace, "TEST_CURT_IF="+curt)
	linger := func() time.Duration {
		p := g.process()
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.linger()
	}
	a := g.listening(t.Context(), `"a"`, "alice", `{"resourceSubscriptions":["a://1"]}`)
	if got := linger(); got != lingering {
		t.Errorf("at first it is waited for %v", got)
	}
	for n, id := range []string{`"b"`, `"c"`} {
		g.listening(t.Context(), id, "alice", fmt.Sprintf(`{"resourceSubscriptions":["b://%d"]}`, n))
		a.says(synthetic("a://1"))
		if got := linger(); got != briefly {
			t.Errorf("after it has not answered it is waited for %v", got)
		}
	}
	// What it says to a listen that has not ended was said to the one that took its place, too.
	g.tells("alice", updatedFor("a://1", "$cancelled"), updatedFor("a://1/part", "$listen"))
	a.says(updatedFor("a://1/part", `"a"`))
	g.modernTool(`1`, "answer", ``).holds(http.StatusOK, `"done":true`)
	g.until("it is known to answer", func() bool { return linger() == lingering })
}

// A listen that the server refuses costs the others nothing.
func TestAListenThatIsRefusedLeavesTheOthers(t *testing.T) {
	g := open(t, nil, trace)
	a := g.listening(t.Context(), `"a"`, "alice", `{"resourceSubscriptions":["a://1"]}`)
	body, header := modern(`"b"`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["refused://"]}`)
	g.post(body, header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":"b","error":{"code":-32602,"message":"no such resource"}}`)
	a.says(synthetic("a://1"))
	g.tells("alice", updatedFor("a://1", "$listen"))
	a.says(updatedFor("a://1", `"a"`))
}

// strict is a gateway whose server does not take any more, once it is told so, what it took.
func strict(t *testing.T) (g *gateway, begin func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "strict")
	return open(t, nil, trace, "TEST_LESS_IF="+file), func() {
		t.Helper()
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Who listens to what the server does not report any more is told, whoever's coming or going
// has brought it to light.
func TestNobodyListensInVain(t *testing.T) {
	for name, tc := range map[string]struct {
		uri   string
		joins func(g *gateway)
		ends  string
	}{
		"when another is refused": {"picky://", func(g *gateway) {
			body, header := modern(`"b"`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["refused://"]}`)
			g.post(body, header...).holds(http.StatusOK, `"code":-32602`)
		}, `"code":-32603`},
		"when another joins": {"rare://", func(g *gateway) {
			g.listening(g.t.Context(), `"b"`, "alice", `{"resourceSubscriptions":["z://"]}`)
		}, `"resultType":"complete"`},
	} {
		t.Run(name, func(t *testing.T) {
			g, begin := strict(t)
			a := g.listening(t.Context(), `"a"`, "alice", `{"resourceSubscriptions":["`+tc.uri+`"]}`)
			begin()
			g.t = t
			tc.joins(g)
			if _, data := a.next(); !strings.Contains(data, `"id":"a"`) || !strings.Contains(data, tc.ends) {
				t.Errorf("told %s, want the end with %s", data, tc.ends)
			}
		})
	}
	t.Run("when another leaves", func(t *testing.T) {
		g, begin := strict(t)
		a := g.listening(t.Context(), `"a"`, "alice", `{"resourceSubscriptions":["picky://"]}`)
		ctx, leave := context.WithCancel(t.Context())
		g.listening(ctx, `"b"`, "alice", `{"resourceSubscriptions":["z://"]}`)
		a.says(synthetic("picky://"))
		begin()
		leave()
		if _, data := a.next(); !strings.Contains(data, `"code":-32603`) {
			t.Errorf("told %s", data)
		}
	})
}

// The listen that is opened anew for those who are left is in the name of one of them: what
// another's token allows is not for them to lose.
func TestAListenIsInTheNameOfOneWhoListens(t *testing.T) {
	g := open(t, nil, trace)
	g.listening(t.Context(), `"a"`, "alice", `{"resourceSubscriptions":["a://1"]}`)
	body, header := modern(`"b"`, "subscriptions/listen", `"notifications":{"resourceSubscriptions":["refused://"]}`, "X-Expires", "1h20m")
	g.post(body, header...).holds(http.StatusOK, `"code":-32602`)
	first := g.log.read(t, "subscriptions/listen", `["a://1"]`)
	expiry := regexp.MustCompile(`"expires":\d+`)
	again := g.log.await(t, "it is opened anew", func(r map[string]string) bool {
		return hasAll(r["line"], []string{"subscriptions/listen", `["a://1"]`}) && r["line"] != first
	})["line"]
	if got, want := expiry.FindString(again), expiry.FindString(first); got != want || got == "" {
		t.Errorf("opened anew with %s, first with %s", got, want)
	}
}

// With the last of those who listen the listen ends, and with it nothing is left.
func TestTheLastWhoLeavesEndsTheListen(t *testing.T) {
	g := open(t, nil, trace)
	ctx, leave := context.WithCancel(t.Context())
	g.listening(ctx, `"a"`, "alice", `{"toolsListChanged":true}`)
	p := g.process()
	leave()
	g.log.read(t, "notifications/cancelled")
	g.until("nothing is left", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.unions) == 0 && len(p.listeners) == 0
	})
}

// Each user of a process that all share has a listen of their own.
func TestUsersOfASharedServerListenForThemselves(t *testing.T) {
	g := sharing(t, PerShared, nil, capabilitiesVar+"="+stamping)
	g.listening(t.Context(), `"a"`, "alice", `{"toolsListChanged":true}`)
	b := g.listening(t.Context(), `"b"`, "bob", `{"resourceSubscriptions":["a://1"]}`)
	g.tells("bob", updatedFor("a://1", "$listen"), strings.Replace(updatedFor("a://1/2", "$listen"), `{"io`, `{"io.github.snapgate/user":"`+userKey("bob")+`","io`, 1))
	b.says(updatedFor("a://1/2", `"b"`))
	for _, user := range []string{"alice", "bob"} {
		g.until("the server has one listen of "+user, func() bool { return g.log.count("subscriptions/listen", `"subject":"`+user+`"`) == 1 })
	}
}

// What comes on the listen of one user is told to no other, stamped or not.
func TestWhatAUserListensToIsToldToNoOther(t *testing.T) {
	g := sharing(t, PerShared, nil, capabilitiesVar+"="+stamping)
	a := g.listening(t.Context(), `"a"`, "alice", `{"toolsListChanged":true}`)
	b := g.listening(t.Context(), `"b"`, "bob", `{"toolsListChanged":true}`)
	g.tells("bob", changed("tools", "$listen"))
	b.says(changed("tools", `"b"`))
	g.process().end("the test")
	a.says(`{"jsonrpc":"2.0","id":"a","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"a"}}}`)
}

// What a server notifies as soon as it has taken a listen comes behind the word that it has.
func TestNoEarlyNotificationIsLost(t *testing.T) {
	g := open(t, nil, trace)
	for n := 0; n < 20 && !t.Failed(); n++ {
		uri := fmt.Sprintf("eager://%d", n)
		resp := g.listening(t.Context(), `"a"`, fmt.Sprint("user", n), `{"resourceSubscriptions":["`+uri+`"]}`)
		resp.says(updatedFor(uri, `"a"`))
	}
}

// What a server ends, it ends for all; the end of the process is told as one.
func TestTheServerEndsAListen(t *testing.T) {
	g := open(t, nil, trace)
	const cancelled = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":$listen}}`
	a := g.listening(t.Context(), `"a"`, "alice", `{"toolsListChanged":true}`)
	g.tells("alice", cancelled)
	a.says(`{"jsonrpc":"2.0","id":"a","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"a"}}}`)
	p := g.process()
	g.until("nothing is left of it", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.unions) == 0
	})
	again := g.listening(t.Context(), `"b"`, "alice", `{"toolsListChanged":true}`)
	body, header := modernTool(`1`, "die", ``)
	g.post(body, header...).body()
	if _, data := again.next(); !strings.Contains(data, "ended") {
		t.Errorf("after the end of the process: %s", data)
	}
}

// A listen for what the gateway does not know is between the client and the server.
func TestAListenForMoreThanTheProtocolHasIsPassedOn(t *testing.T) {
	g := open(t, nil, trace)
	g.listening(t.Context(), `"a"`, "alice", `{"toolsListChanged":true,"x-own":1}`)
	g.log.read(t, `"x-own":1`)
}

// A client may leave while the server is being asked in its name.
func TestWhoLeavesWhileJoiningLeavesNothing(t *testing.T) {
	g := open(t, nil, modernOnly...)
	s := g.find(g.session("alice"))
	p := g.process()
	for n := range 60 {
		l := &listener{session: s, at: p, owner: owner{issuer: "x", subject: fmt.Sprint(n % 7)}, asks: translate.Subscriptions{Tools: true}}
		var both sync.WaitGroup
		both.Go(func() {
			// Whether it joined before it left does not matter.
			_, _ = p.join(context.Background(), l, asItIs)
		})
		both.Go(func() {
			for there := false; !there; {
				p.mu.Lock()
				there = p.listeners[l]
				p.mu.Unlock()
			}
			p.quit(l)
		})
		both.Wait()
	}
	g.until("nobody of them listens", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.listeners) <= 1 // the session's own
	})
}
