package bridge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// needing is an answer of a modern server that asks for input, with a state of its own.
func needing(state string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":$id,"result":{"resultType":"input_required","inputRequests":{"input":{"method":"elicitation/create","params":{}}},"requestState":%s}}`, state)
}

// needs is a call that its server answers in that way.
func needs(id, state, more string) (string, []string) {
	return capable(id, "say", saying(needing(state)), more)
}

func TestTheStateOfAModernServerIsSealed(t *testing.T) {
	g := open(t, nil, trace)
	const own = `"step \ud83d\ude00 1"`
	body, header := needs(`1`, own, "")
	state := g.asks("elicitation/create", body, header...)
	if strings.Contains(state, "step") {
		t.Errorf("the client reads %s", state)
	}
	body, header = needs(`2`, own, retry(state, `{"action":"accept"}`))
	next := g.asks("elicitation/create", body, header...)
	g.log.read(t, `"requestState":`+own+`,"inputResponses":{"input":{"action":"accept"}}`)
	if next == state {
		t.Error("two rounds have one state")
	}
}

func TestAStateMayBeAsLongAsAMessage(t *testing.T) {
	g := open(t, nil)
	own := `"` + strings.Repeat("s", 1<<20) + `"`
	body, header := needs(`1`, own, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = needs(`2`, own, retry(state, `{}`))
	g.asks("elicitation/create", body, header...)
}

func TestAnAnswerWithoutAStatePassesAsItIs(t *testing.T) {
	g := open(t, nil)
	for _, result := range []string{`{"resultType":"input_required","inputRequests":{}}`, `{"resultType":"input_required","requestState":null}`, `{"resultType":"complete","requestState":"x"}`} {
		answer := `{"jsonrpc":"2.0","id":$id,"result":` + result + `}`
		g.modernTool(`1`, "say", saying(answer)).is(http.StatusOK, strings.Replace(answer, "$id", "1", 1))
	}
}

func TestAStateExpires(t *testing.T) {
	g := open(t, func(s *Settings) { s.ParkTimeout = time.Millisecond })
	body, header := needs(`1`, `"own"`, "")
	state := g.asks("elicitation/create", body, header...)
	time.Sleep(2 * time.Millisecond)
	body, header = needs(`2`, `"own"`, retry(state, `{}`))
	g.post(body, header...).holds(http.StatusOK, `"code":-32602`)
}

func TestAStateIsStillGoodIfItsCallDidNotReachTheServer(t *testing.T) {
	var down atomic.Bool
	g := open(t, func(s *Settings) {
		launch := s.Launch
		s.Launch = func(p *oauth.Principal) (Launch, error) {
			if down.Load() {
				return Launch{}, errors.New("down")
			}
			return launch(p)
		}
	})
	body, header := needs(`1`, `"own"`, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = needs(`2`, `"own"`, retry(state, `{}`))
	down.Store(true)
	g.post(body, header...).holds(http.StatusBadGateway, `"code":-32603`)
	down.Store(false)
	g.asks("elicitation/create", body, header...)
}

func TestAUserHasABoundedNumberOfStates(t *testing.T) {
	var s states
	now := time.Now()
	alice, bob := issued{owner{subject: "alice"}, now.Add(time.Hour)}, issued{owner{subject: "bob"}, now.Add(2 * time.Hour)}
	for n := range maxStates {
		if !s.add(fmt.Sprint(n), alice, now) {
			t.Fatalf("the state %d is refused", n)
		}
	}
	if s.add("more", alice, now) {
		t.Error("one more is taken")
	}
	if !s.add("bob's", bob, now) {
		t.Error("one user keeps another from having any")
	}
	if _, ok := s.take("7", now); !ok || !s.add("more", alice, now) {
		t.Error("one that came back makes no room")
	}
	later := alice.expires
	if _, ok := s.take("8", later); ok {
		t.Error("one that has expired is good")
	}
	if !s.add("later", issued{alice.owner, later.Add(time.Hour)}, later) || len(s.out) != 2 || s.users[alice.owner] != 1 {
		t.Errorf("%d are out after all but two have expired, %d of alice", len(s.out), s.users[alice.owner])
	}
}

func TestACallThatMayNotWaitIsAnError(t *testing.T) {
	g := open(t, nil)
	alice := issued{owner{issuer: "https://issuer.example", subject: "alice"}, time.Now().Add(time.Hour)}
	for n := range maxStates {
		g.bridge.states.add(fmt.Sprint(n), alice, time.Now())
	}
	body, header := needs(`1`, `"own"`, "")
	g.post(body, header...).holds(http.StatusOK, `"error":{"code":-32603,"message":"too many calls of this user wait for input"}`)
}

// The call that a retry makes is one that is recorded.
func TestARetryIsRecorded(t *testing.T) {
	g := open(t, nil)
	body, header := needs(`1`, `"own"`, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = capable(`2`, "say", saying(needing(`"own"`)), retry(state, `{}`))
	g.asks("elicitation/create", body, header...)
	got := g.log.await(t, "the retry", func(r map[string]string) bool {
		return r["msg"] == "call" && r["bytes_in"] == fmt.Sprint(len(body))
	})
	if got["outcome"] != "ok" || got["tool"] != "say" || got["user"] != aliceKey {
		t.Errorf("%v", got)
	}
}

// The states of a modern server are the gateway's to keep for a legacy client. One that such a
// client writes is its own invention.
func TestALegacyClientHasNoStates(t *testing.T) {
	g := open(t, nil, modernOnly...)
	header := g.session("alice")
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wants","requestState":%s}}`
	g.post(fmt.Sprintf(call, `"two"`), header...).holds(http.StatusOK, `"id":1,"error":{"code":-32602`)
	if n := g.log.count(`"wants"`); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	g.post(fmt.Sprintf(call, `null`), header...).says("") // as if it were not there
}

// The retry of a parked call goes to no server, and yet its headers must say what its body does.
// If they do not its state is still good.
func TestTheHeadersOfARetryAreChecked(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := `"mark":"eu",` + saying(questionLine)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	g.process().headers.Learn([]byte(`[{"name":"hold","inputSchema":{"properties":{"mark":{"type":"string","x-mcp-header":"Region"}}}}]`))
	again := func(header ...string) *reader {
		body, header := capable(`2`, "hold", args, retry(state, `{"action":"accept"}`), header...)
		return g.post(body, header...)
	}
	again().holds(http.StatusBadRequest, `"code":-32020`)
	again("Mcp-Param-Region", "us").holds(http.StatusBadRequest, `"code":-32020`)
	again("Mcp-Param-Region", "eu").holds(http.StatusOK, `"heard":{"action":"accept"}`)
}
