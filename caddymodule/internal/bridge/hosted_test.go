package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

const legacyChild = discoverVar + "=legacy"

// capable is a modern tools/call of a client that can be asked for input.
func capable(id, name, args, more string, header ...string) (string, []string) {
	body, header := modernTool(id, name, args, header...)
	body = strings.Replace(body, `"io.modelcontextprotocol/clientCapabilities":{}`, `"io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{},"roots":{}}`, 1)
	if more != "" {
		body = strings.TrimSuffix(body, "}}") + "," + more + "}}"
	}
	return body, header
}

const (
	questionLine = `{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object"}}}`
	secondLine   = `{"jsonrpc":"2.0","id":"q2","method":"roots/list"}`
)

// inputRequired is an answer that asks for input.
type inputRequired struct {
	ID     json.RawMessage
	Result struct {
		ResultType    string
		InputRequests map[string]struct {
			Method string
			Params json.RawMessage
		}
		RequestState string
	}
}

func (g *gateway) asks(method, body string, header ...string) string {
	g.t.Helper()
	resp := g.post(body, header...)
	text := resp.body()
	var got inputRequired
	if err := json.Unmarshal([]byte(text), &got); err != nil || resp.StatusCode != http.StatusOK {
		g.t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
	}
	if got.Result.ResultType != "input_required" || got.Result.InputRequests["input"].Method != method || got.Result.RequestState == "" {
		g.t.Fatalf("answered %s, want a question of the kind %s", text, method)
	}
	return got.Result.RequestState
}

func retry(state, response string) string {
	return fmt.Sprintf(`"requestState":%q,"inputResponses":{"input":%s}`, state, response)
}

func TestAQuestionInMidCallIsAnsweredByTheRetry(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = capable(`"second"`, "hold", args, retry(state, `{"action":"accept","content":{"n":1.0}}`))
	g.post(body, header...).is(http.StatusOK, `{"jsonrpc":"2.0","id":"second","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"child","version":"1"}},"content":[],"heard":{"action":"accept","content":{"n":1.0}}}}`)
}

func TestFurtherQuestionsComeInFurtherRounds(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine, secondLine)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = capable(`2`, "hold", args, retry(state, `{"action":"decline"}`))
	next := g.asks("roots/list", body, header...)
	if next == state {
		t.Error("two rounds have one state")
	}
	body, header = capable(`3`, "hold", args, retry(next, `{"roots":[]}`))
	g.post(body, header...).holds(http.StatusOK, `"heard":{"action":"decline"}`)
}

// A server may ask without waiting for answers: what of it is kept is bounded, and the rest
// is refused.
func TestAFloodOfQuestionsIsBounded(t *testing.T) {
	const more = 100
	g := open(t, nil, legacyChild)
	lines := make([]string, 1+maxQuestions+more)
	for n := range lines {
		lines[n] = strings.Replace(questionLine, "q1", fmt.Sprint("asked-", n), 1)
	}
	body, header := capable(`1`, "hold", saying(lines...), "")
	g.asks("elicitation/create", body, header...)
	body, header = modern(`2`, "seen", ``)
	body = strings.Replace(body, `Capabilities":{}`, `Capabilities":{"elicitation":{},"sampling":{},"roots":{}}`, 1)
	g.post(body, header...).body() // all questions have come
	var seen []string
	decode(t, g.post(body, header...).answer(), &seen)
	refused := 0
	for _, line := range seen {
		if hasAll(line, []string{`"asked-`, "-32601"}) {
			refused++
		}
	}
	if refused != more {
		t.Errorf("%d of %d questions are refused, want %d", refused, len(lines), more)
	}
}

func TestQuestionsThatWaitAreBoundedInBytes(t *testing.T) {
	r := &relay{}
	large := &message.Message{Raw: make([]byte, maxBacklog/2)}
	for n, want := range []bool{true, true, false} {
		if got := r.enqueue(large); got != want {
			t.Errorf("question %d is kept: %v", n, got)
		}
	}
}

func TestARetryWithoutTheInputIsAskedAgain(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	body, header = capable(`2`, "hold", args, fmt.Sprintf(`"requestState":%q,"inputResponses":{"other":{}}`, state))
	state = g.asks("elicitation/create", body, header...)
	body, header = capable(`3`, "hold", args, retry(state, `{"action":"cancel"}`))
	g.post(body, header...).holds(http.StatusOK, `"heard":{"action":"cancel"}`)
}

func TestAStateIsGoodOnceForItsUserAndItsCall(t *testing.T) {
	for name, tc := range map[string]struct{ server, tool, args, done string }{
		"a legacy server": {legacyChild, "hold", saying(questionLine), `"heard"`},
		"a modern server": {trace, "say", saying(needing(`"own"`)), `"requestState"`},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t, nil, tc.server)
			body, header := capable(`1`, tc.tool, tc.args, "")
			state := g.asks("elicitation/create", body, header...)
			input := retry(state, `{"action":"accept"}`)
			refused := func(name, body string, header ...string) {
				t.Helper()
				resp := g.post(body, header...)
				if text := resp.body(); !strings.Contains(text, `"code":-32602`) || strings.Contains(text, tc.done) {
					t.Errorf("%s: %d %s", name, resp.StatusCode, text)
				}
			}
			body, header = capable(`2`, tc.tool, tc.args, input, "X-User", "bob")
			refused("another user", body, header...)
			body, header = capable(`2`, tc.tool, tc.args, input, "X-Issuer", "https://other.example")
			refused("a user of that name elsewhere", body, header...)
			body, header = capable(`2`, tc.tool, tc.args, input, "X-Claim", "email")
			refused("a user of that name in another claim", body, header...)
			body, header = capable(`2`, tc.tool, saying(questionLine, secondLine), input)
			refused("other arguments", body, header...)
			body, header = capable(`2`, "echo", tc.args, input)
			refused("another tool", body, header...)
			body, header = capable(`2`, tc.tool, tc.args, retry(state[:len(state)-3]+"AAA", `{"action":"accept"}`))
			refused("a changed state", body, header...)
			for _, foreign := range []string{`""`, `"own"`, `{}`, `7`} {
				body, header = capable(`2`, tc.tool, tc.args, `"requestState":`+foreign)
				refused("the state "+foreign, body, header...)
			}

			body, header = capable(`2`, tc.tool, tc.args, input)
			g.post(body, header...).holds(http.StatusOK, tc.done)
			body, header = capable(`3`, tc.tool, tc.args, input)
			refused("used before", body, header...)
		})
	}
}

func TestAParkedCallExpires(t *testing.T) {
	g := open(t, func(s *Settings) { s.ParkTimeout = 50 * time.Millisecond }, legacyChild, trace)
	body, header := capable(`1`, "hold", saying(questionLine), "")
	state := g.asks("elicitation/create", body, header...)
	g.log.read(t, `"result":{"action":"cancel"}`)
	g.log.read(t, `"notifications/cancelled"`)
	body, header = capable(`2`, "hold", saying(questionLine), retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"code":-32602`)
	// Its process serves the next one.
	p := g.process()
	g.until("the process is free", func() bool {
		g.bridge.mu.Lock()
		defer g.bridge.mu.Unlock()
		return !p.taken
	})
	body, header = capable(`3`, "pid", ``, "")
	g.post(body, header...).holds(http.StatusOK, `"pid"`)
	g.until("one process runs", func() bool { return g.bridge.Processes() == 1 }) // the one that was probed is ending
}

// The time of one round may run out just as the retry comes: that is not the next round's.
func TestTheEndOfARoundsTimeIsNotThatOfTheNext(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	g.bridge.mu.Lock()
	parked := maps.Clone(g.bridge.parked)
	g.bridge.mu.Unlock()
	body, header = capable(`2`, "hold", args, fmt.Sprintf(`"requestState":%q`, state))
	state = g.asks("elicitation/create", body, header...)
	for id, r := range parked {
		r.expire(id) // its timer had fired when the retry came
	}
	body, header = capable(`3`, "hold", args, retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"heard":{"action":"accept"}`)
}

func TestAParkedCallKeepsItsProcessFromOthers(t *testing.T) {
	g := open(t, nil, legacyChild)
	pid := func(id string) string {
		body, header := capable(id, "pid", ``, "")
		return g.post(body, header...).body()
	}
	own := pid(`1`)
	body, header := capable(`2`, "hold", saying(questionLine), "")
	state := g.asks("elicitation/create", body, header...)
	if other := pid(`1`); other == own || !strings.Contains(other, `"pid"`) {
		t.Errorf("%s, and while the first is parked %s", own, other)
	}
	body, header = capable(`3`, "hold", saying(questionLine), retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"heard"`)
}

func TestAServerThatDiesWhileItsCallIsParked(t *testing.T) {
	g := open(t, nil, legacyChild)
	args := saying(questionLine, `this is no message`)
	body, header := capable(`1`, "hold", args, "")
	state := g.asks("elicitation/create", body, header...)
	g.bridge.mu.Lock()
	for _, r := range g.bridge.parked {
		r.p.conn.Close("the test ends it")
	}
	g.bridge.mu.Unlock()
	g.until("it is gone", func() bool { return g.bridge.Processes() == 0 })
	body, header = capable(`2`, "hold", args, retry(state, `{"action":"accept"}`))
	g.post(body, header...).holds(http.StatusOK, `"code":-32603`)
}

func TestAClientThatCannotBeAskedIsNot(t *testing.T) {
	g := open(t, nil, legacyChild)
	g.modernTool(`1`, "hold", saying(questionLine)).holds(http.StatusOK, `"heard":{"code":-32601`)
}

func TestDiscoverIsAnsweredFromInitialize(t *testing.T) {
	g := open(t, nil, legacyChild)
	g.modern(`"d"`, "server/discover", ``).holds(http.StatusOK, `"capabilities":`+`{"logging":{},"resources":{"subscribe":true,"listChanged":true},"tools":{"listChanged":true}}`)
	for _, method := range []string{"ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"} {
		g.modern(`1`, method, `"level":"error","uri":"x://1"`).holds(http.StatusNotFound, `"code":-32601`)
	}
}

func TestALegacyServerNotifiesWhoListens(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	ctx, leave := context.WithCancel(t.Context())
	listen := func(id, wants string) *reader {
		body, header := modern(id, "subscriptions/listen", `"notifications":`+wants)
		return g.do(ctx, http.MethodPost, body, header...)
	}
	a := listen(`"a"`, `{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["x://1","x://2"]}`)
	a.says(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"},"notifications":{"toolsListChanged":true,"resourceSubscriptions":["x://1","x://2"]}}}`)
	b := listen(`7`, `{"resourceSubscriptions":["x://2"]}`)
	b.says(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"notifications":{"resourceSubscriptions":["x://2"]}}}`)

	updated := func(uri string) string {
		return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"` + uri + `"}}`
	}
	g.modernTool(`1`, "say", saying(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`, updated("x://1"), updated("x://3"), updated("x://2"), answered)).body()
	a.says(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"}}}`)
	a.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"},"uri":"x://1"}}`)
	a.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"},"uri":"x://2"}}`)
	b.says(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"uri":"x://2"}}`)
	leave()
	g.log.read(t, "resources/unsubscribe", `"uri":"x://1"`)
	g.log.read(t, "resources/unsubscribe", `"uri":"x://2"`)
	if n := g.log.count("resources/subscribe", `"uri":"x://2"`); n != 1 {
		t.Errorf("the server was asked %d times for what two listen to", n)
	}
}

// Who leaves takes nothing from those who listen to the same.
func TestOneOfTwoWhoListenLeaves(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	ctx, leave := context.WithCancel(t.Context())
	g.listening(ctx, `"a"`, "alice", `{"resourceSubscriptions":["x://1","x://2"]}`)
	b := g.listening(t.Context(), `"b"`, "alice", `{"resourceSubscriptions":["x://2"]}`)
	leave()
	g.log.read(t, "resources/unsubscribe", `"uri":"x://1"`)
	p := g.process()
	g.until("one is left", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.holdings) == 1 && len(p.listeners) == 1
	})
	g.modernTool(`1`, "say", saying(updated("x://1", ""), updated("x://2", ""), answered)).body()
	b.says(updatedFor("x://2", `"b"`))
	if n := g.log.count("resources/unsubscribe", `"uri":"x://2"`); n != 0 {
		t.Error("the server was told that nobody listens any more")
	}
}

func TestALegacyServerThatRefusesInitializeIs502AndAskedAnew(t *testing.T) {
	g := open(t, nil, legacyChild, initializeVar+"=error")
	for range 2 {
		g.modernTool(`1`, "echo", ``).holds(http.StatusBadGateway, `"code":-32603`)
	}
	g.gone()
}

// A question can come while the request that would carry it is ending.
func TestAQuestionAfterTheClientHasGoneParksNothing(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	ctx, leave := context.WithCancel(t.Context())
	body, header := capable(`1`, "hold", ``, "")
	gone := g.later(ctx, body, header...)
	g.log.read(t, `"hold"`)
	p := g.process()
	p.mu.Lock()
	current := p.current
	p.mu.Unlock()
	leave()
	<-gone
	users := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.users
	}
	g.until("the process is given back", func() bool { return users() == 0 })
	if current.ask(parsed(t, questionLine)) {
		t.Error("the question was put to a client that has gone")
	}
	g.bridge.mu.Lock()
	parked := len(g.bridge.parked)
	g.bridge.mu.Unlock()
	if parked != 0 || users() != 0 {
		t.Errorf("%d calls are parked, %d use the process", parked, users())
	}
}

// A listen has ended well if the gateway has ended the process, and not if that has died (MCP
// 2026-07-28, Subscriptions, Graceful Closure).
func TestAListenTellsHowItsProcessEnded(t *testing.T) {
	g := open(t, nil, legacyChild)
	l := g.listening(t.Context(), `"l"`, "alice", `{"toolsListChanged":true}`)
	g.modernTool(`1`, "die", ``).body()
	l.says(`{"jsonrpc":"2.0","id":"l","error":{"code":-32603,"message":"the server's process has ended"}}`)
	l.ends()
	l = g.listening(t.Context(), `"l"`, "alice", `{"toolsListChanged":true}`)
	g.process().end("the test")
	l.says(`{"jsonrpc":"2.0","id":"l","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}`)
	l.ends()
}

// What was subscribed to before a client left is given back.
func TestAListenThatIsBrokenOffLeavesNoSubscription(t *testing.T) {
	g := open(t, nil, legacyChild, trace)
	g.modernTool(`1`, "echo", ``).body() // the process is there
	p := g.process()
	l := &listener{}
	over, end := context.WithCancel(t.Context())
	defer end()
	subscribed := make(chan error, 1)
	go func() {
		subscribed <- p.subscribe(over, l, translate.Subscriptions{URIs: []string{"x://1", "silent://"}})
	}()
	g.log.read(t, "silent://") // and does not answer
	end()
	if err := receive(t, subscribed); err == nil || len(l.wants.URIs) != 1 {
		t.Fatalf("subscribed to %v, error %v", l.wants.URIs, err)
	}
	p.unsubscribe(l)
	if len(p.holdings) != 0 {
		t.Errorf("left: %v", p.holdings)
	}
}
