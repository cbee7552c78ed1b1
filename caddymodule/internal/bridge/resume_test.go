package bridge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

func resuming(session []string, id string) []string {
	return append(append([]string(nil), session...), "Last-Event-Id", id)
}

// resume goes on behind an event. Of the events without data the stream itself is told.
func (g *gateway) resume(ctx context.Context, session []string, id string) *reader {
	g.t.Helper()
	rest := g.get(ctx, resuming(session, id)...)
	rest.resumed = true
	return rest
}

func TestACallOutlivesItsConnectionAndIsResumed(t *testing.T) {
	g := open(t, nil, trace)
	s := g.session("alice")
	ctx, leave := context.WithCancel(t.Context())
	call := g.do(ctx, http.MethodPost, tool(`1`, "hold", saying(fmt.Sprintf(progress, 1), fmt.Sprintf(progress, 2))), s...)
	call.says("")
	last := call.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	leave()
	g.notify("notifications/release", ``, s...)

	for range 2 { // as often as the client likes
		rest := g.resume(t.Context(), s, last)
		rest.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":2}}`)
		rest.says(`{"jsonrpc":"2.0","id":1,"result":{"released":true}}`)
		rest.ends()
	}
	if got := g.log.outcome(t, "hold"); got["outcome"] != "ok" {
		t.Errorf("audit: %v", got)
	}
	// Once it has ended, its client is not told where it would resume: some went on and on.
	ended := g.get(t.Context(), resuming(s, last)...)
	ended.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":2}}`)
	ended.says(`{"jsonrpc":"2.0","id":1,"result":{"released":true}}`)
	ended.ends()
	g.get(t.Context(), resuming(s, "c99-1")...).holds(http.StatusBadRequest, `-32600`)
	g.get(t.Context(), resuming(g.session("alice"), last)...).holds(http.StatusBadRequest, `-32600`)
	g.get(t.Context(), append(resuming(s, last), "X-User", "mallory")...).holds(http.StatusNotFound, `-32001`)
}

// A client that gave up on one connection may be back on another before the first is looked at.
func TestAConnectionThatWasGivenUpTakesNothingFromTheNext(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	ctx, leave := context.WithCancel(t.Context())
	call := g.do(ctx, http.MethodPost, tool(`1`, "hold", saying(fmt.Sprintf(progress, 1))), s...)
	call.says("")
	last := call.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	leave()
	back := g.resume(t.Context(), s, last)
	late, leave := context.WithCancel(t.Context())
	leave()
	for _, id := range []string{last, ""} {
		r := httptest.NewRequestWithContext(late, http.MethodGet, "/", nil)
		r.Header.Set("Last-Event-Id", id)
		session := g.find(s)
		principal := &oauth.Principal{Issuer: session.owner.issuer, Subject: session.owner.subject}
		if refusal := g.bridge.follow(httptest.NewRecorder(), r, &admission.Call{SessionID: session.id, Principal: principal}, g.settings); refusal == nil {
			t.Errorf("from %q, who has gone is served", id)
		}
	}
	g.notify("notifications/release", ``, s...)
	back.says(`{"jsonrpc":"2.0","id":1,"result":{"released":true}}`)
}

// A gateway that goes down lets calls finish, and those who have come back for them as well.
func TestAResumedCallIsAnsweredWhileTheGatewayGoesDown(t *testing.T) {
	g := open(t, func(s *Settings) { s.StopTimeout = patience })
	s := g.session("alice")
	lines := append(slices.Repeat([]string{fmt.Sprintf(progress, 1)}, 20), answered)
	call := g.post(tool(`1`, "own", `"every":30,`+saying(lines...)), s...)
	last := call.says("")
	rest := g.resume(t.Context(), s, last)
	g.bridge.Shutdown()
	for range 20 {
		rest.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	}
	rest.says(`{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	rest.ends()
}

func TestACallMayBeResumedWhileItRuns(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	call := g.post(tool(`1`, "hold", saying(fmt.Sprintf(progress, 1))), s...)
	last := call.says("")
	before := g.resume(t.Context(), s, last)
	before.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	rest := g.resume(t.Context(), s, last)
	before.ends() // a call is told on one connection
	rest.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	g.notify("notifications/release", ``, s...)
	rest.says(`{"jsonrpc":"2.0","id":1,"result":{"released":true}}`)
	rest.ends()
}

func TestNothingIsLostOrDoubledHoweverOftenTheConnectionBreaks(t *testing.T) {
	const total = 150
	g := open(t, nil)
	s := g.session("alice")
	ctx, leave := context.WithCancel(t.Context())
	var lines []string
	for n := range total {
		lines = append(lines, fmt.Sprintf(progress, n))
	}
	stream := g.do(ctx, http.MethodPost, tool(`1`, "say", saying(append(lines, answered)...)), s...)
	last := stream.says("")
	want := int64(1)
	for try := 0; want <= total+1; try++ {
		if try > total {
			t.Fatalf("event %d never comes", want)
		}
		for range 7 {
			id, data := stream.next()
			if id == "" {
				break
			}
			_, digits, _ := strings.Cut(id, "-")
			if got, _ := strconv.ParseInt(digits, 10, 64); got != want {
				t.Fatalf("event %d came, want %d: %s", got, want, data)
			}
			want, last = want+1, id
		}
		leave()
		ctx, leave = context.WithCancel(t.Context())
		stream = g.resume(ctx, s, last)
	}
	leave()
}

func TestTheStandaloneStreamIsResumed(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	ctx, leave := context.WithCancel(t.Context())
	stream := g.get(ctx, s...)
	pings := []string{answered}
	for n := range 4 {
		pings = append(pings, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, n))
	}
	g.post(tool(`1`, "say", saying(pings...)), s...).body()
	last := stream.says(pings[1])
	leave()
	rest := g.resume(t.Context(), s, last)
	for _, want := range pings[2:] {
		rest.says(want)
	}
}

func TestAnAwayClientsCallEndsAtTheCallTimeout(t *testing.T) {
	g := open(t, func(s *Settings) { s.CallTimeout = 200 * time.Millisecond }, trace)
	s := g.session("alice")
	ctx, leave := context.WithCancel(t.Context())
	gone := g.later(ctx, tool(`1`, "hold", ``), s...)
	g.log.read(t, `"hold"`)
	leave()
	<-gone
	g.log.read(t, "notifications/cancelled")
	if got := g.log.outcome(t, "hold"); got["outcome"] != "timeout" {
		t.Errorf("audit: %v", got)
	}
	g.until("nothing is counted", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 0 })
}
