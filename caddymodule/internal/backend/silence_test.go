package backend

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

const unanswered = `{"jsonrpc":"2.0","id":1,"method":"notImplemented"}`

// await waits for what makes no event.
func (c *conversation) await(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("never: %s", what)
		}
	}
}

// Silence counts from the first call after the last word, and any word ends it.
func TestSilenceBeginsWithTheFirstCallThatIsNotAnswered(t *testing.T) {
	c := start(t, protocol.Legacy)
	if d := c.Silent(); d != 0 {
		t.Errorf("a child that was asked nothing is silent for %v", d)
	}
	for what, word := range map[string]string{
		"an answer":        sayRequest(`2`, ``, `{"jsonrpc":"2.0","id":$id,"result":{}}`),
		"a notification":   sayRequest(`2`, ``, `{"jsonrpc":"2.0","method":"notifications/x"}`),
		"text on stderr":   `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"mumble"}}`,
		"text that is not": sayRequest(`2`, ``, `no JSON`),
	} {
		c.call(unanswered)
		c.await("the child is silent", func() bool { return c.Silent() > 2*time.Millisecond })
		before := c.Silent()
		c.call(unanswered)
		if now := c.Silent(); now < before {
			t.Errorf("another call makes a silence of %v one of %v", before, now)
		}
		c.call(word)
		c.await(what+" ends the silence", func() bool { return c.Silent() == 0 })
	}
}

const hang = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hang"}}`

// found are the reasons for which the child was found to hang.
func (c *conversation) found() int { return len(c.hung) }

// A child may be busy with its newest call while an older one waits in vain. So the ping waits
// until that has had its time, too.
func TestAChildHasTheTimeOfACallForEachThatCameBeforeThePing(t *testing.T) {
	const limit = 400 * time.Millisecond
	c := start(t, protocol.Legacy)
	c.call(unanswered)
	c.await("the child is silent", func() bool { return c.Silent() >= limit })
	newest := time.Now()
	c.call(hang)
	c.Doubt(limit, time.Millisecond)
	if took := time.Since(newest); c.found() != 1 || took < limit {
		t.Errorf("found to hang %d times, %v after its newest call: want once, and not before %v", c.found(), took, limit)
	}
}

// Of a call that is given up early, the ping goes early. The child has the time of a call
// all the same.
func TestACallThatIsGivenUpEarlyHasItsTime(t *testing.T) {
	const limit = 300 * time.Millisecond
	c := start(t, protocol.Legacy)
	asked := time.Now()
	call, _ := c.call(hang)
	c.await("the child is silent", func() bool { return c.Silent() >= 10*time.Millisecond })
	call.Cancel(nil, "given up")
	c.Doubt(limit, 10*time.Millisecond)
	if took := time.Since(asked); c.found() != 1 || took < limit {
		t.Errorf("found to hang %d times, %v after it was asked: want once, and not before %v", c.found(), took, limit)
	}
}

// A child that answers no ping, but says anything else, lives.
func TestAnyWordInsteadOfAnAnswerToThePingWillDo(t *testing.T) {
	c := start(t, protocol.Legacy) // which knows no ping, and does not say so
	c.call(unanswered)
	doubted := make(chan struct{})
	go func() {
		defer close(doubted)
		c.Doubt(0, patience)
	}()
	c.await("it is pinged", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.silence.doubted
	})
	c.call(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"mumble"}}`)
	select {
	case <-doubted:
	case <-time.After(patience / 2):
		t.Error("the word is not heard")
	}
	if c.found() != 0 {
		t.Error("it was found to hang")
	}
}

// The end of a silence is found out a moment later. What comes in it is doubted all the same.
func TestASilenceThatIsOverDoesNotHideTheNext(t *testing.T) {
	c := start(t, protocol.Legacy)
	doubting := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.silence.doubted
	}
	c.call(unanswered)
	first := make(chan struct{})
	go func() {
		defer close(first)
		c.Doubt(0, patience) // which looks four times a second
	}()
	c.await("it is pinged", doubting)
	c.call(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"mumble"}}`)
	c.await("the word is heard", func() bool { return c.Silent() == 0 })
	c.call(hang)
	const limit = time.Millisecond
	c.await("the child is silent", func() bool { return c.Silent() >= limit })
	c.Doubt(limit, limit)
	if c.found() != 1 {
		t.Errorf("found to hang %d times", c.found())
	}
	<-first
	if c.found() != 1 || doubting() {
		t.Errorf("in the end it is found to hang %d times", c.found())
	}
}

// A child that waits for the answer to its own question may do nothing else. Its time begins
// anew with the answer.
func TestSilenceBeginsAnewWithAnAnswerToTheChild(t *testing.T) {
	c := start(t, protocol.Legacy)
	response := parse(t, `{"jsonrpc":"2.0","id":"q","result":{}}`)
	for what, answer := range map[string]func() error{
		"the gateway's": func() error { return c.Say(response.Raw) },
		"the client's":  func() error { return c.Respond(response, response.ID) },
	} {
		c.call(unanswered)
		const long = 20 * time.Millisecond
		c.await("the child is silent", func() bool { return c.Silent() >= long })
		began := time.Now()
		if err := answer(); err != nil {
			t.Fatal(err)
		}
		if silent := c.Silent(); silent > time.Since(began) {
			t.Errorf("after %s answer it is silent for %v", what, silent)
		}
	}
}

// An answer that there is no room for is none: whoever says it again and again would keep the
// child from being found out.
func TestAnAnswerThatIsNotTakenEndsNoSilence(t *testing.T) {
	c := start(t, protocol.Legacy)
	c.call(hang)
	c.await("it reads no more", func() bool {
		return c.Send(parse(t, `{"jsonrpc":"2.0","method":"notifications/own","params":{"fill":"`+strings.Repeat("x", 2<<20)+`"}}`), nil) != nil
	})
	const long = 20 * time.Millisecond
	c.await("the child is silent", func() bool { return c.Silent() >= long })
	response := parse(t, `{"jsonrpc":"2.0","id":"q","result":{}}`)
	if err := c.Respond(response, response.ID); !errors.Is(err, process.ErrQueueFull) {
		t.Fatalf("there is room: %v", err)
	}
	if silent := c.Silent(); silent < long {
		t.Errorf("it is silent for %v", silent)
	}
}

// A child that has ended is not waited for.
func TestTheEndOfTheChildEndsTheDoubt(t *testing.T) {
	c := start(t, protocol.Legacy)
	c.call(hang)
	time.AfterFunc(10*time.Millisecond, func() { c.Close("the test ends it") })
	c.Doubt(0, 100*patience)
	if c.found() != 0 {
		t.Error("what has ended was found to hang")
	}
}

// A child that is not silent for long enough is not even pinged.
func TestOnlyALongSilenceIsDoubted(t *testing.T) {
	c := start(t, protocol.Modern)
	c.call(unanswered)
	c.Doubt(time.Hour, time.Hour)
	c.Doubt(0, patience)
	if lines := c.seen(); len(lines) != 2 || !strings.Contains(lines[1], "server/discover") {
		t.Errorf("the child has read %q, want the call and one ping", lines)
	}
}
