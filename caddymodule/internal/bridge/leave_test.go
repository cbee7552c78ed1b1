package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A long call is told in many responses, each of which ends before the call and is resumed.
func TestACallGoesOnThroughManyResponses(t *testing.T) {
	for name, per := range map[string]Per{"with a process of its own": PerSession, "with one that is shared": PerUser} {
		t.Run(name, func(t *testing.T) {
			g := openPer(t, per, nil)
			g.bridge.lifespan = 50 * time.Millisecond
			s := g.session("alice")
			stream := g.post(tool(`1`, "keep", `"mark":"long"`), s...)
			var ids, want, got []string
			resume := func() { // the response has ended, and the call has not
				if stream.retries != 1 || slices.Contains(ids, stream.last) || len(ids) > 500 {
					t.Fatalf("%d times told to come back, behind %s after %v", stream.retries, stream.last, ids)
				}
				ids = append(ids, stream.last)
				stream.body()
				stream = g.get(t.Context(), resuming(s, stream.last)...)
			}
			say := func(line string) {
				g.notify("notifications/act", `"mark":"long",`+saying(line), s...)
				for want = append(want, strings.NewReplacer("$id", "1", "$token", `"tok"`).Replace(line)); len(got) < len(want); {
					switch id, data := stream.next(); {
					case data != "":
						got = append(got, data)
					case id == "":
						resume()
					}
				}
			}
			for n := range 40 {
				say(fmt.Sprintf(progress, n))
				if n%10 == 9 { // nothing more is said until this response has ended
					if data := stream.final(); data != "" {
						t.Fatalf("told twice: %s", data)
					}
					resume()
				}
			}
			say(answered)
			stream.ends()
			if !slices.Equal(got, want) {
				t.Errorf("got %s", strings.Join(got, "\n"))
			}
			if stream.retries != 0 {
				t.Errorf("%d times told to come back after the answer", stream.retries)
			}
			if record := g.log.outcome(t, "keep"); record["outcome"] != "ok" {
				t.Errorf("recorded as %v", record)
			}
			g.until("nothing is counted", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 0 })
		})
	}
}

// left begins a call whose first response ends at once, and returns that.
func (g *gateway) left(session []string) *reader {
	g.t.Helper()
	g.bridge.lifespan = time.Millisecond
	stream := g.post(tool(`1`, "hold", ``), session...)
	stream.says("")
	stream.says("")
	stream.ends()
	return stream
}

func TestACallEndsWhileItsClientIsAway(t *testing.T) {
	for outcome, end := range map[string]func(*gateway, []string){
		"ok":        func(g *gateway, s []string) { g.notify("notifications/release", ``, s...) },
		"cancelled": func(g *gateway, s []string) { g.notify("notifications/cancelled", `"requestId":1`, s...) },
		"died":      func(g *gateway, s []string) { g.find(s).end("the test") },
	} {
		t.Run(outcome, func(t *testing.T) {
			g := open(t, nil)
			s := g.session("alice")
			g.left(s)
			end(g, s)
			g.hasEnded(outcome)
		})
	}
	t.Run("timeout", func(t *testing.T) {
		for limit := time.Second; ; limit *= 2 {
			g := open(t, nil)
			s := g.session("alice")
			g.bridge.lifespan = time.Millisecond
			stream := g.post(tool(`1`, "hold", ``), append(s, "X-Call-Timeout", limit.String())...)
			if stream.final() == "" {
				g.hasEnded("timeout")
				return
			}
			if limit > patience {
				t.Fatal("the response does not end before the call")
			} // otherwise the machine was too busy for it
		}
	})
}

// hasEnded waits until the call that was left has ended in that way, and counts no more.
func (g *gateway) hasEnded(outcome string) {
	g.t.Helper()
	if record := g.log.outcome(g.t, "hold"); record["outcome"] != outcome {
		g.t.Errorf("recorded as %v", record)
	}
	g.until("nothing is counted", func() bool { return g.bridge.concurrent.InUse(aliceKey) == 0 })
}

// A response that is resumed twice without anything said between must lead to the answer.
func TestASilentCallIsResumedAgainAndAgain(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	stream := g.left(s)
	for range 3 {
		before := stream.last
		stream = g.get(t.Context(), resuming(s, before)...)
		if id, data := stream.next(); id != before || data != "" {
			t.Errorf("resumed behind %s it begins with %s %q", before, id, data)
		}
		if id, data := stream.next(); id == before || data != "" {
			t.Errorf("it ends with %s %q", id, data)
		}
		stream.ends()
	}
	g.bridge.lifespan = lifespan // the answer may come later than that
	g.notify("notifications/release", ``, s...)
	g.resume(t.Context(), s, stream.last).says(`{"jsonrpc":"2.0","id":1,"result":{"released":true}}`)
}

// Clients of earlier versions need not come back.
func TestOlderClientsAreNotLeft(t *testing.T) {
	g := open(t, nil)
	g.bridge.lifespan = time.Millisecond
	s := g.session("alice")
	s[len(s)-1] = "2025-06-18"
	stream := g.post(tool(`1`, "say", `"every":50,`+saying(fmt.Sprintf(progress, 1), answered)), s...)
	stream.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok","progress":1}}`)
	stream.says(`{"jsonrpc":"2.0","id":1,"result":{"done":true}}`)
	stream.ends()
	if stream.retries != 0 {
		t.Error("it was told to come back")
	}
}

func TestAGETStreamEndsWithItsTokenAndIsResumed(t *testing.T) {
	g := open(t, nil)
	s := g.session("alice")
	stream := g.get(t.Context(), append(s, "X-Expires", "100ms")...)
	stream.says("")
	stream.ends()
	if stream.retries != 1 {
		t.Errorf("it was told %d times to come back", stream.retries)
	}
	line := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	g.post(tool(`1`, "say", saying(answered, line)), s...).body()
	g.resume(t.Context(), s, stream.last).says(line)
}

func TestAWriterLeavesOnlyWhenAllIsWritten(t *testing.T) {
	s := &stream{id: "c1"}
	w := s.attach(4)
	s.push(notice(t, 1))
	if number, left := s.leave(w); left {
		t.Errorf("it left at %d, before what waits", number)
	}
	s.take(w)
	newer := s.attach(4)
	if number, left := s.leave(w); !left || number != 0 {
		t.Errorf("while another receives: %d, %v", number, left)
	}
	number, left := s.leave(newer)
	if !left || number != 2 || s.attached() {
		t.Errorf("%d, %v", number, left)
	}
	s.push(notice(t, 2))
	if got := numbers(s, s.resume(number, 4)); got != "3" {
		t.Errorf("resumed with %q", got)
	}
	s.end()
	last := s.attach(4)
	if _, left := s.leave(last); left {
		t.Error("it left a stream that has ended")
	}
}

// Once the gateway closes nobody waits for the rest of a call any more.
func TestNobodyLeavesAGatewayThatCloses(t *testing.T) {
	b := New(PerSession)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b.Close(ctx)
	s := &stream{id: "c1"}
	x := &exchange{bridge: b, stream: s}
	x.leave(s.attach(1))
	if x.left || !s.attached() {
		t.Error("it left")
	}
}
