package bridge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestAnAnswerThatComesFirstIsJSON(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	g.post(tool(`1`, "echo", ``), s...).is(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	g.post(`{"jsonrpc":"2.0","id":"x","method":"unknown"}`, s...).is(http.StatusOK, `{"jsonrpc":"2.0","id":"x","error":{"code":-32601,"message":"Method not found"}}`)
}

func TestAnAnswerAfterAnythingElseIsAnEventStream(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	resp := g.post(tool(`1`, "say", saying(fmt.Sprintf(progress, 1), fmt.Sprintf(progress, 2), answered)), s...)
	for name, want := range map[string]string{"X-Accel-Buffering": "no", "Cache-Control": "no-cache, no-transform", "Mcp-Session-Id": ""} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	primed := resp.says("") // 2025-11-25: an id and no data
	if !strings.HasSuffix(primed, "-0") {
		t.Errorf("primed with the id %q", primed)
	}
	resp.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	resp.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":2}}`)
	resp.says(`{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	resp.ends()
}

func TestOlderClientsGetNoEventWithoutData(t *testing.T) {
	g := open(t, nil)
	s := append(g.session("alice"), "Mcp-Protocol-Version", "2025-06-18")
	resp := g.post(tool(`1`, "say", saying(fmt.Sprintf(progress, 1), answered)), s...)
	resp.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
}

func TestTheSessionIsNamedOnlyIfTheServerTookIt(t *testing.T) {
	for how, want := range map[string]int{"ok": http.StatusOK, "error": http.StatusOK, "die": http.StatusBadGateway, "silent": http.StatusBadGateway} {
		t.Run(how, func(t *testing.T) {
			g := open(t, func(s *Settings) {
				if how == "silent" {
					s.StartTimeout = 300 * time.Millisecond
				}
			}, initializeVar+"="+how, legacyChild)
			resp := g.post(initializeRequest)
			body := resp.body()
			id := resp.Header.Get("Mcp-Session-Id")
			if resp.StatusCode != want || (id != "") != (how == "ok") || !strings.Contains(body, `"id":"init"`) {
				t.Errorf("got %d, session %q: %s", resp.StatusCode, id, body)
			}
			if how == "ok" && (len(id) < 22 || strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7e })) {
				t.Errorf("session id %q is not 128 bits of visible ASCII", id)
			}
			if how != "ok" {
				g.gone()
			}
		})
	}
}

// gone waits until no session and no process is left.
func (g *gateway) gone() {
	g.t.Helper()
	g.until("no session and no process is left", func() bool { return g.bridge.Processes()+g.bridge.Sessions() == 0 })
}

func TestACommandThatCannotBeStartedIs502(t *testing.T) {
	g := open(t, nil)
	launch := g.settings.Launch
	g.settings.Launch = func(p *principal) (Launch, error) {
		l, err := launch(p)
		l.Process.Command = "/no/such/command"
		return l, err
	}
	g.post(initializeRequest).holds(http.StatusBadGateway, `"code":-32603`)
	body, header := modernTool(`1`, "echo", ``)
	g.post(body, header...).holds(http.StatusBadGateway, `"code":-32603`)
	g.gone()
	if n := g.bridge.perUser.InUse(ownerOf(nil).key()); n != 0 {
		t.Errorf("%d sessions are still counted", n)
	}
}

func TestDeleteEndsSessionStreamAndProcess(t *testing.T) {
	g := open(t, nil, trace)
	s := g.session("alice")
	stream := g.get(t.Context(), s...)
	held := g.later(t.Context(), tool(`"held"`, "hold", ``), s...)
	g.log.read(t, `"hold"`)
	if resp := g.do(t.Context(), http.MethodDelete, "", s...); resp.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE: %d", resp.StatusCode)
	}
	stream.ends()
	receive(t, held).holds(http.StatusOK, `{"jsonrpc":"2.0","id":"held","error":{"code":-32603,"message":"the server's process has ended: the client ended the session"}}`)
	g.post(tool(`1`, "echo", ``), s...).is(http.StatusNotFound, `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found: begin a new one with initialize"}}`)
	if resp := g.do(t.Context(), http.MethodDelete, "", s...); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a second DELETE: %d", resp.StatusCode)
	}
	g.gone()
}

func TestASessionOfAnotherIsAsUnknownAsNone(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	for _, foreign := range [][]string{
		append(s, "X-User", "mallory"),
		append(s, "X-User", ""),
		append(s, "Mcp-Session-Id", "nosuchsession"),
	} {
		const unknown = `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found: begin a new one with initialize"}}`
		g.post(tool(`1`, "echo", ``), foreign...).is(http.StatusNotFound, unknown)
		g.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, foreign...).is(http.StatusNotFound, unknown)
		g.get(t.Context(), foreign...).is(http.StatusNotFound, unknown)
		g.do(t.Context(), http.MethodDelete, "", foreign...).is(http.StatusNotFound, unknown)
	}
	g.post(tool(`1`, "echo", ``), "X-User", "alice").holds(http.StatusBadRequest, `"code":-32600`)
	g.post(tool(`1`, "echo", ``), s...).holds(http.StatusOK, `"result"`)
}

func TestASecondInitializeIsRefused(t *testing.T) {
	g := open(t, nil)
	g.post(initializeRequest, g.session("alice")...).holds(http.StatusBadRequest, `"code":-32600`)
}

func TestADuplicateIDInFlightIsRefused(t *testing.T) {
	g := open(t, nil, trace)
	s := g.session("alice")
	first := g.later(t.Context(), tool(`"a"`, "hold", ``), s...)
	g.log.read(t, `"hold"`)
	g.post(tool(`"\u0061"`, "echo", ``), s...).holds(http.StatusBadRequest, `"code":-32600`)
	g.post(tool(`"b"`, "echo", ``), s...).holds(http.StatusOK, `"result"`)
	g.post(tool(`"a"`, "echo", ``), g.session("alice")...).holds(http.StatusOK, `"result"`)
	g.notify("notifications/release", ``, s...)
	receive(t, first).is(http.StatusOK, `{"jsonrpc":"2.0","id":"a","result":{"released":true}}`)
	g.post(tool(`"a"`, "echo", ``), s...).holds(http.StatusOK, `"result"`)
}

func TestAClientCancelsItsOwnCallsOnly(t *testing.T) {
	g := open(t, nil, trace)
	s, other := g.session("alice"), g.session("alice")
	held := g.later(t.Context(), tool(`7`, "hold", ``), s...)
	theirs := g.later(t.Context(), tool(`8`, "hold", `"mark":"theirs"`), other...)
	g.log.read(t, `"arguments":{}`)
	g.log.read(t, `"theirs"`)
	for _, params := range []string{`"requestId":7`, `"requestId":"8"`, `"requestId":1`, ``} {
		if status := g.notify("notifications/cancelled", params, other...); status != http.StatusAccepted {
			t.Errorf("cancelling %s: %d", params, status)
		}
	}
	if status := g.notify("notifications/cancelled", `"requestId":7,"reason":"enough"`, s...); status != http.StatusAccepted {
		t.Errorf("cancelling: %d", status)
	}
	receive(t, held).holds(http.StatusOK, "the client cancelled the call")
	if line := g.log.read(t, "notifications/cancelled"); !strings.Contains(line, `"reason":"enough"`) || !strings.Contains(line, "io.github.snapgate/identity") || strings.Contains(line, `"requestId":7`) {
		t.Errorf("the child read %s", line)
	}
	g.notify("notifications/release", ``, other...)
	receive(t, theirs).holds(http.StatusOK, `"released":true`)
	if got := g.log.outcome(t, "hold"); got["outcome"] != "cancelled" {
		t.Errorf("audit: %v", got)
	}
}

func TestRequestsOfTheServerGoToTheOneCallInFlight(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	standalone := g.get(t.Context(), s...)
	resp := g.post(tool(`1`, "say", saying(`{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"?"}}`)), s...)
	resp.says("")
	resp.says(`{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"?"}}`)
	if status := g.post(`{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}`, s...).StatusCode; status != http.StatusAccepted {
		t.Errorf("the response: %d", status)
	}
	lines := seen(g, s)
	if last := lines[len(lines)-1]; last != `{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}` {
		t.Errorf("the child read last %s", last)
	}
	g.notify("notifications/cancelled", `"requestId":1`, s...)
	resp.says(`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the client cancelled the call"}}`)
	g.do(t.Context(), http.MethodDelete, "", s...)
	standalone.ends()
}

// seen returns what a session's child has read.
func seen(g *gateway, session []string) []string {
	g.t.Helper()
	var list []string
	decode(g.t, g.post(`{"jsonrpc":"2.0","id":"seen","method":"seen"}`, session...).answer(), &list)
	return list
}

func TestResponsesAreTakenForOpenRequestsOfTheSameSessionOnce(t *testing.T) {
	g := open(t, nil)
	s, other := g.session("alice"), g.session("alice")
	standalone := g.get(t.Context(), s...)
	g.post(tool(`1`, "say", saying(answered, `{"jsonrpc":"2.0","id":5,"method":"roots/list"}`)), s...).body()
	standalone.says(`{"jsonrpc":"2.0","id":5,"method":"roots/list"}`)
	for _, attempt := range []struct {
		id      string
		session []string
	}{{`5`, other}, {`"5"`, s}, {`6`, s}, {`null`, s}, {`5`, s}, {`5`, s}} {
		body := `{"jsonrpc":"2.0","id":` + attempt.id + `,"error":{"code":1,"message":"m"}}`
		if status := g.post(body, attempt.session...).StatusCode; status != http.StatusAccepted {
			t.Errorf("the response to %s: %d", attempt.id, status)
		}
	}
	for session, want := range map[*[]string]int{&s: 1, &other: 0} {
		if got := strings.Count(strings.Join(seen(g, *session), "\n"), `"error"`); got != want {
			t.Errorf("a child has read %d responses, want %d", got, want)
		}
	}
}

func TestMessagesBetweenCallsGoToTheNewestGETStream(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	var streams []*reader
	for range maxStreams + 1 {
		streams = append(streams, g.get(t.Context(), s...))
	}
	streams[0].ends() // one too many
	g.post(tool(`1`, "say", saying(answered, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)), s...).body()
	streams[maxStreams].says(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	g.do(t.Context(), http.MethodDelete, "", s...)
	for _, stream := range streams[1:] {
		stream.ends()
	}
}

// A session has so many of them, and the oldest goes.
func TestASessionHasFourGETStreams(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	var streams []*reader
	for range maxStreams + 1 {
		streams = append(streams, g.get(t.Context(), s...))
	}
	streams[0].ends()
	sess := g.find(s)
	sess.standalone.mu.Lock()
	defer sess.standalone.mu.Unlock()
	if n := len(sess.standalone.writers); n != maxStreams || maxStreams != 4 {
		t.Errorf("%d streams are open", n)
	}
}

func TestMessagesWaitForAGETStream(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	g.post(tool(`1`, "say", saying(answered, `{"jsonrpc":"2.0","id":5,"method":"ping"}`)), s...).body()
	standalone := g.find(s).standalone
	g.until("the request is there", func() bool { events, _ := standalone.size(); return events == 1 })
	g.get(t.Context(), s...).says(`{"jsonrpc":"2.0","id":5,"method":"ping"}`)
}

func TestTheEndOfTheProcessEndsItsSessionOnly(t *testing.T) {
	g := open(t, nil, trace)
	s, other := g.session("alice"), g.session("alice")
	stream := g.get(t.Context(), s...)
	held := g.later(t.Context(), tool(`1`, "hold", ``), s...)
	g.log.read(t, `"hold"`)
	g.post(tool(`2`, "die", ``), s...).holds(http.StatusOK, `"code":-32603`)
	receive(t, held).holds(http.StatusOK, "exit status 3")
	stream.ends()
	g.post(tool(`1`, "echo", ``), s...).holds(http.StatusNotFound, `-32001`)
	g.post(tool(`1`, "echo", ``), other...).holds(http.StatusOK, `"result"`)
	if got := g.log.outcome(t, "die"); got["outcome"] != "died" {
		t.Errorf("audit: %v", got)
	}
}

func TestASessionWhoseLaunchChangesHasEnded(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	changed := *g.settings
	changed.Launch = func(*principal) (Launch, error) { return Launch{Digest: "other"}, nil }
	g.settings = &changed
	g.post(tool(`1`, "echo", ``), s...).holds(http.StatusNotFound, `-32001`)
	g.gone()
}

func TestACallThatTakesTooLongIsCancelled(t *testing.T) {
	g := open(t, func(s *Settings) { s.CallTimeout = 50 * time.Millisecond }, trace)
	s := g.session("alice")
	g.post(tool(`1`, "hold", ``), s...).holds(http.StatusOK, `the call took longer than the gateway allows`)
	g.log.read(t, "notifications/cancelled")
	if got := g.log.outcome(t, "hold"); got["outcome"] != "timeout" {
		t.Errorf("audit: %v", got)
	}
}

func TestTheChildOfASessionIsItsOwn(t *testing.T) {
	g := open(t, nil)
	pids := map[string]bool{fmt.Sprint(os.Getpid()): true}
	for range 3 {
		s := g.session("alice")
		pid := g.post(tool(`1`, "pid", ``), s...).body()
		if again := g.post(tool(`1`, "pid", ``), s...).body(); again != pid || pids[pid] {
			t.Errorf("%s, then %s, of %v", pid, again, pids)
		}
		pids[pid] = true
	}
}

func TestAClientThatLeavesDuringInitializeLeavesNothing(t *testing.T) {
	g := open(t, nil, trace, initializeVar+"=silent")
	ctx, leave := context.WithCancel(t.Context())
	gone := g.later(ctx, initializeRequest)
	g.log.read(t, "initialize")
	leave()
	<-gone
	g.gone()
}
