package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// lapses makes a modern call that its client gives up, and waits until the server, which goes
// on with it, was told.
func (g *gateway) lapses(id string) {
	g.t.Helper()
	ctx, leave := context.WithCancel(g.t.Context())
	body, header := capable(id, "hold", `"mark":"lapses `+id+`"`, "")
	before := g.log.count("notifications/cancelled")
	g.later(ctx, body, header...)
	g.log.read(g.t, `"lapses `+id+`"`)
	leave()
	g.until("the call is cancelled", func() bool { return g.log.count("notifications/cancelled") > before })
	g.until("the process is free", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 0 })
}

// refused checks how a question of the server was answered.
func (g *gateway) refused(id string) {
	g.t.Helper()
	if line := g.log.read(g.t, `"`+id+`"`, `error`); !strings.Contains(line, "-32601") {
		g.t.Errorf("the question was answered %s", line)
	}
}

// serving waits until there are so many processes: one that was probed may still be ending.
func (g *gateway) serving(n int) {
	g.t.Helper()
	g.until(fmt.Sprintf("there are %d processes", n), func() bool { return g.bridge.Processes() == n })
}

// A question of a cancelled call that goes on is asked of no other call. Once the server is
// known to ask, calls are kept away from where such questions come.
func TestAQuestionThatACancelledCallMayBeAboutIsRefused(t *testing.T) {
	g := open(t, nil, trace, legacyChild)
	g.lapses(`1`)
	body, header := capable(`2`, "own", saying(questionLine, answered), "")
	g.post(body, header...).holds(http.StatusOK, `"done":true`)
	g.refused("q1")
	g.serving(1) // the server was not known to ask
	g.lapses(`3`)
	body, header = capable(`4`, "hold", saying(questionLine), "")
	g.asks("elicitation/create", body, header...)
	g.serving(2) // the call that may be asked has one of its own
}

// A cancelled call has ended once the server has answered it. But it need not: one that honours
// the cancellation asks no more about it, so after a while its questions are those of other calls.
func TestACancelledCallEndsByAnAnswerOrAfterAWhile(t *testing.T) {
	for how, within := range map[string]time.Duration{"an answer": settling, "a while": time.Millisecond} {
		g := open(t, nil, trace, legacyChild)
		g.bridge.settling = within
		g.lapses(`1`)
		if within == settling {
			g.process().conn.Say([]byte(`{"jsonrpc":"2.0","method":"notifications/release"}`))
		}
		g.until(how+" has come", func() bool { return !g.process().unsettled(nil) })
		body, header := capable(`2`, "hold", saying(questionLine), "")
		g.asks("elicitation/create", body, header...)
		g.serving(1)
	}
}

// Where there is no room for another process a call that may be asked takes the one that is
// there, and its questions are refused.
func TestWithoutRoomQuestionsAreRefused(t *testing.T) {
	g := open(t, func(s *Settings) { s.MaxProcesses = 1 }, trace, legacyChild)
	g.bridge.hasAsked()
	g.lapses(`1`)
	body, header := capable(`2`, "own", saying(questionLine, answered), "")
	g.post(body, header...).holds(http.StatusOK, `"done":true`)
	g.refused("q1")
}

// Sessions that share a process: a question that the cancelled call of one may be about is
// not asked of the other, but of the same.
func TestAQuestionThatAnotherSessionsCancelledCallMayBeAboutIsRefused(t *testing.T) {
	g := sharing(t, PerUser, nil)
	one, other := g.asking("alice"), g.asking("alice")
	first := g.later(t.Context(), tool(`1`, "hold", ``), one...)
	g.log.read(t, `"hold"`)
	g.notify("notifications/cancelled", `"requestId":1`, one...)
	receive(t, first).holds(http.StatusOK, "cancelled the call")
	g.post(tool(`2`, "own", saying(questionLine, answered)), other...).holds(http.StatusOK, `"done":true`)
	g.refused("q1")
	asked := g.post(tool(`3`, "own", saying(strings.Replace(questionLine, "q1", "q2", 1))), one...)
	asked.says("") // where it would resume
	asked.says(renamed(questionLine, 1))
	g.notify("notifications/release", ``, one...) // the cancelled call is answered
	g.until("the answer has come", func() bool { return !g.process().unsettled(nil) })
	g.do(t.Context(), http.MethodDelete, "", one...).body()
	g.until("the call of the session that has ended is cancelled", func() bool { return g.process().unsettled(nil) })
	g.post(tool(`4`, "own", saying(strings.Replace(questionLine, "q1", "q9", 1), answered)), other...).holds(http.StatusOK, `"done":true`)
	g.refused("q9")
}
