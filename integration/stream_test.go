package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// decoded is a message on a stream.
type decoded struct {
	ID     json.RawMessage
	Method string
	Params struct {
		ProgressToken json.RawMessage
		Progress      int
		RequestID     json.RawMessage `json:"requestId"`
		Data          string
	}
	Result json.RawMessage
}

func decode(t testing.TB, data string) decoded {
	t.Helper()
	var d decoded
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		t.Fatalf("%v: %q", err, data)
	}
	return d
}

func sseHeaders(t testing.TB, s *events) {
	t.Helper()
	if s.status != http.StatusOK || s.header.Get("Content-Type") != "text/event-stream" ||
		s.header.Get("X-Accel-Buffering") != "no" || !strings.Contains(s.header.Get("Cache-Control"), "no-cache") {
		t.Errorf("status %d, headers %v", s.status, s.header)
	}
}

func TestProgressComesUnderTheClientsToken(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	for _, p := range []*peer{g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))} {
		for _, token := range []string{`"mine"`, `7`} {
			body := strings.Replace(p.message(1, "tools/call", object{"name": "progress", "arguments": object{"count": 3}, "_meta": object{"x": 1}}),
				`"_meta":{`, `"_meta":{"progressToken":`+token+`,`, 1)
			s := p.listen(http.MethodPost, body)
			sseHeaders(t, s)
			var progress []int
			var last decoded
			for _, e := range s.ended() {
				if e.data == "" {
					continue // the priming event
				}
				last = decode(t, e.data)
				if last.Method == "notifications/progress" {
					if string(last.Params.ProgressToken) != token {
						t.Errorf("token %s, want %s", last.Params.ProgressToken, token)
					}
					progress = append(progress, last.Params.Progress)
				}
			}
			if fmt.Sprint(progress) != "[1 2 3]" || string(last.ID) != "1" || last.Result == nil {
				t.Errorf("progress %v, then %+v", progress, last)
			}
		}
	}
}

func TestServerAsksItsClientInMidCall(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	alice, bob := g.legacy(t, g.token(t, "alice")), g.legacy(t, g.token(t, "bob"))
	// Both servers use the same id for what they ask.
	asks := map[*peer]*events{}
	for _, p := range []*peer{alice, bob} {
		asks[p] = p.listen(http.MethodPost, p.toolCall(1, "ask", object{"method": "sampling/createMessage", "params": json.RawMessage(`{"n":12345678901234567890}`)}))
	}
	for _, p := range []*peer{alice, bob} {
		line := nextWithMethod(asks[p])
		request := decode(t, line)
		if request.Method != "sampling/createMessage" || !strings.Contains(line, `{"n":12345678901234567890}`) {
			t.Errorf("asked %s", line)
		}
		// Nobody else can answer in the client's place.
		reply := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"by":"%p","big":98765432109876543210}}`, request.ID, p)
		if a := p.as(g.token(t, "mallory")).post(reply); a.status != http.StatusNotFound {
			t.Errorf("a stranger's answer: %d %s", a.status, a.body)
		}
		if a := p.post(reply); a.status != http.StatusAccepted {
			t.Errorf("the answer: %d %s", a.status, a.body)
		}
		rest := asks[p].ended()
		got, err := resultText(answer{status: 200, body: rest[len(rest)-1].data})
		if err != nil || got != reply {
			t.Errorf("the server read %q, want %q, %v", got, reply, err)
		}
		// A second answer is for nobody.
		if a := p.post(reply); a.status != http.StatusAccepted {
			t.Errorf("the answer again: %d", a.status)
		}
	}
}

func TestClientsNotificationReachesItsServerOnly(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	g := start(t, standin("-record", folder))
	alice, bob := g.legacy(t, g.token(t, "alice")), g.legacy(t, g.token(t, "bob"))
	alice.post(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	alice.call(1, "echo", nil)
	bob.call(1, "echo", nil)
	seen := 0
	for _, line := range recorded(t, folder) {
		if decode(t, string(line)).Method == "notifications/roots/list_changed" {
			seen++
			if id := stamped(t, line); id == nil || id.Subject != "alice" {
				t.Errorf("stamped %+v", id)
			}
		}
	}
	if seen != 1 {
		t.Errorf("it was written %d times", seen)
	}
}

func TestCancellationReachesTheChildUnderItsOwnID(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	g := start(t, standin("-record", folder))
	alice, bob := g.legacy(t, g.token(t, "alice")), g.legacy(t, g.token(t, "bob"))
	callA, callB := hold(t), hold(t)
	waiting := alice.begin(alice.toolCall("same", "hold", callA.late()))
	other := bob.begin(bob.toolCall("same", "hold", callB.arguments()))
	callA.reached()
	callB.reached()
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"same","reason":"r"}}`
	if a := alice.post(cancel); a.status != http.StatusAccepted {
		t.Fatalf("cancel: %d %s", a.status, a.body)
	}
	childID := callA.cancelled()
	for _, line := range recorded(t, folder) {
		if d := decode(t, string(line)); d.Method == "notifications/cancelled" && (string(d.Params.RequestID) != childID || stamped(t, line) == nil) {
			t.Errorf("the child knows the call as %s: %s", childID, line)
		}
	}
	waiting.wait(t)
	// The late answer meets the next call under the client's same id.
	if got := alice.call("same", "echo", object{"text": "fresh"}); got != "fresh" {
		t.Errorf("the next call with that id: %q", got)
	}
	if exists(callB.file + ".cancelled") {
		t.Error("the call of the same id in another session was cancelled")
	}
	callB.release()
	if got, err := resultText(other.wait(t)); err != nil || got != "released" {
		t.Errorf("the other session: %q %v", got, err)
	}
}

func TestModernClientCancelsByClosingTheStream(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"legacy", "modern"} {
		p := bothEras(t, era)["modern"]
		call := hold(t)
		waiting := p.begin(p.toolCall(1, "hold", call.late()))
		call.reached()
		waiting.cancel()
		call.cancelled()
		if got := p.call(1, "echo", object{"text": "fresh"}); got != "fresh" {
			t.Errorf("%s server: the next call with that id: %q", era, got)
		}
	}
}

// A modern server is told what a legacy client cancels, and a session that ends cancels its calls.
func TestLegacyClientCancelsAtAModernServer(t *testing.T) {
	t.Parallel()
	g := start(t, standin("-era", "modern"))
	for _, ends := range []bool{false, true} {
		p := g.legacy(t, g.token(t, "alice"))
		call := hold(t)
		waiting := p.begin(p.toolCall("held", "hold", call.late()))
		call.reached()
		if ends {
			p.do(http.MethodDelete, "")
		} else {
			p.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"held"}}`)
		}
		call.cancelled()
		if a := waiting.wait(t); a.status != http.StatusOK || a.code() != -32603 {
			t.Errorf("the call: %d %s", a.status, a.body)
		}
		if ends {
			continue
		}
		if got := p.call("held", "echo", object{"text": "fresh"}); got != "fresh" {
			t.Errorf("the next call with that id: %q", got)
		}
	}
}

func TestDroppedConnectionIsNoCancellationForALegacyClient(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	p := g.legacy(t, g.token(t, "alice"))
	call := hold(t)
	s := p.listen(http.MethodPost, p.toolCall(1, "hold", call.arguments()))
	call.reached()
	last := s.take() // after five seconds of silence the stream begins, with an id
	if last.id == "" {
		t.Fatalf("first event %+v", last)
	}
	s.cancel()
	s.ended()
	if a := p.post(p.toolCall(1, "echo", nil)); a.status != http.StatusBadRequest || a.code() != -32600 {
		t.Errorf("another call with the id in flight: %d %s", a.status, a.body)
	}
	resumed := p.resume(last.id)
	call.release()
	answered := resumed.take()
	if got, err := resultText(answer{status: 200, body: answered.data}); err != nil || got != "released" {
		t.Errorf("the answer on resumption: %q %v", got, err)
	}
	if rest := resumed.ended(); len(rest) != 0 {
		t.Errorf("events %v after the answer", rest)
	}
	if exists(call.file + ".cancelled") {
		t.Error("the call was cancelled")
	}
}

func TestGetStreamIsResumedWhereItBroke(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	p := g.legacy(t, g.token(t, "alice"))
	tell := func(text string) {
		a := p.post(p.toolCall(text, "tell", object{"method": "notifications/tools/list_changed", "params": object{"data": text}}))
		if _, err := resultText(a); err != nil {
			t.Error(err)
		}
	}
	first := p.listen(http.MethodGet, "")
	sseHeaders(t, first)
	tell("one")
	tell("two")
	one := first.take()
	if d := decode(t, one.data); d.Params.Data != "one" || one.id == "" {
		t.Fatalf("event %+v", one)
	}
	first.take()
	first.cancel()
	first.ended()
	second := p.resume(one.id)
	if d := decode(t, second.take().data); d.Params.Data != "two" {
		t.Errorf("resumed with %+v", d)
	}
	tell("three")
	if d := decode(t, second.take().data); d.Params.Data != "three" {
		t.Errorf("then %+v", d)
	}
	for _, id := range []string{"x", "s-", "s--1", "c99-0", one.id + "x"} {
		if a := p.do(http.MethodGet, "", set("Last-Event-ID", id)); a.status != http.StatusBadRequest {
			t.Errorf("Last-Event-ID %q: %d", id, a.status)
		}
	}
	// The end of the session is the end of the stream.
	p.do(http.MethodDelete, "")
	second.ended()
}

func TestEventOfAnotherSessionIsNeverReplayed(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	alice, again := g.legacy(t, g.token(t, "alice")), g.legacy(t, g.token(t, "alice"))
	s := alice.listen(http.MethodGet, "")
	alice.call(1, "tell", object{"method": "notifications/tools/list_changed", "params": object{"data": "of the first session"}})
	id := s.take().id
	number := id[:strings.LastIndexByte(id, '-')] + "-0"
	other := again.resume(number)
	again.call(1, "tell", object{"method": "notifications/tools/list_changed", "params": object{"data": "of the second"}})
	if d := decode(t, other.take().data); d.Params.Data != "of the second" {
		t.Errorf("got %+v", d)
	}
}

// A user may have several tokens, for several clients. What was said to a call that needed a
// scope is not said again to a token without it.
func TestEventsOfACallAreReplayedToThoseWhoCouldMakeIt(t *testing.T) {
	t.Parallel()
	s := standin()
	s.mcp = []string{"scopes {", "	base tools:use", "	tool progress tools:more", "}"}
	g := start(t, s)
	wide, narrow := g.token(t, "alice", "tools:use", "tools:more"), g.token(t, "alice", "tools:use")
	p := g.legacy(t, wide)
	stream := p.listen(http.MethodPost, p.message(1, "tools/call", object{"name": "progress", "arguments": object{"count": 2}, "_meta": object{"progressToken": 1}}))
	first := stream.take()
	for first.data == "" {
		first = stream.take()
	}
	stream.ended()
	if !strings.HasPrefix(first.id, "c") {
		t.Fatalf("event %+v", first)
	}
	a := p.as(narrow).do(http.MethodGet, "", set("Last-Event-ID", first.id))
	if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, "tools:more") {
		t.Errorf("with fewer scopes: %d %q %s", a.status, challenge, a.body)
	}
	if a := p.as(g.token(t, "alice", "other")).do(http.MethodGet, "", set("Last-Event-ID", first.id)); a.status != http.StatusForbidden {
		t.Errorf("without the base: %d", a.status)
	}
	if a := p.as(g.token(t, "alice", "tools:more", "tools:use")).do(http.MethodGet, "", set("Last-Event-ID", first.id)); a.status != http.StatusOK || !strings.Contains(a.body, `"result"`) {
		t.Errorf("with another token of the same scopes: %d %s", a.status, a.body)
	}
	narrowed := p.as(narrow).listen(http.MethodGet, "") // the session's own stream is for both
	sseHeaders(t, narrowed)
	narrowed.cancel()
}

func TestSilentStreamIsKeptAlive(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: it waits for a comment, which comes every fifteen seconds")
	}
	g := start(t, standin())
	legacy, modern := g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))
	streams := map[string]*events{"GET": legacy.listen(http.MethodGet, "")}
	for name, p := range map[string]*peer{"legacy call": legacy, "modern call": modern} {
		call := hold(t)
		streams[name] = p.listen(http.MethodPost, p.toolCall(1, "hold", call.arguments()))
		t.Cleanup(call.release)
	}
	timeout := time.After(2 * patience) // two comments take thirty seconds
	for name, s := range streams {
		sseHeaders(t, s)
		for comments := 0; comments < 2; {
			select {
			case e, open := <-s.next:
				if !open {
					t.Fatalf("%s: the stream ended", name)
				}
				if e.comment {
					comments++
				}
			case <-timeout:
				t.Fatalf("%s: %d comments", name, comments)
			}
		}
	}
}

// soon is when a token ends that a stream is begun with. The claim counts whole seconds.
const soon = 4 * time.Second

// endingSoon has streams begun with a token that ends soon. begin reports whether they were
// begun while the token was good. A machine that is busy may be too late for that, and then the next
// token is good for longer.
func (g *gateway) endingSoon(t *testing.T, begin func(token string) bool) {
	t.Helper()
	for life := soon; !begin(g.mintFor(t, "alice", life)); life *= 2 {
		if life > patience {
			t.Fatalf("nothing could be begun with a token that is good for %v", life)
		}
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := standin()
	s.oauth = []string{"clock_skew 0s"}
	g := start(t, s)
	p := g.legacy(t, g.token(t, "alice"))
	var stream *events
	g.endingSoon(t, func(token string) bool {
		stream = p.as(token).listen(http.MethodGet, "")
		return stream.status != http.StatusUnauthorized
	})
	sseHeaders(t, stream)
	stream.ended()
	if got := p.call(1, "echo", object{"text": "the session goes on"}); got != "the session goes on" {
		t.Errorf("after it: %q", got)
	}
}
