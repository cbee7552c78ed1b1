package backend

import (
	"strings"
	"testing"
	"time"

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

// A child that is not silent for long enough is not even pinged.
func TestOnlyALongSilenceIsDoubted(t *testing.T) {
	c := start(t, protocol.Modern)
	c.call(unanswered)
	c.Doubt(time.Hour, 0)
	c.Doubt(0, patience)
	if lines := c.seen(); len(lines) != 2 || !strings.Contains(lines[1], "server/discover") {
		t.Errorf("the child has read %q, want the call and one ping", lines)
	}
}
