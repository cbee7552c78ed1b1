package backend

import (
	"fmt"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// lapse makes a call in somebody's name and cancels it. It returns the id that the child knows.
func (c *conversation) lapse(whose any) int64 {
	c.t.Helper()
	call, err := c.CallFor(whose, parse(c.t, unanswered), nil, newInbox())
	if err != nil {
		c.t.Fatal(err)
	}
	call.Cancel(nil, "enough")
	return call.id
}

func TestACancelledCallIsOpenUntilItIsAnswered(t *testing.T) {
	c := start(t, protocol.Legacy)
	c.lapse(nil) // of the gateway itself
	if c.Lapsed("somebody", time.Hour) {
		t.Error("a call of nobody's has lapsed")
	}
	id := c.lapse("alice's")
	if c.Lapsed("alice's", time.Hour) || !c.Lapsed("bob's", time.Hour) || !c.Lapsed(nil, time.Hour) {
		t.Error("a cancelled call is one of others for its own caller, or for nobody")
	}
	c.say(`1`, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":0,"message":"cancelled"}}`, id))
	c.seen()
	if c.Lapsed("bob's", time.Hour) {
		t.Error("it was answered, and is not settled")
	}
	c.lapse("alice's")
	if c.Lapsed("bob's", 0) {
		t.Error("it is remembered for longer than it is to be")
	}
}

// What is remembered of cancelled calls is bounded. Beyond that they are everybody's.
func TestManyCancelledCallsAreNobodysOwn(t *testing.T) {
	c := start(t, protocol.Legacy)
	for range maxLapses {
		c.lapse("alice's")
	}
	if c.Lapsed("alice's", time.Hour) {
		t.Error("they are another's already")
	}
	c.lapse("alice's")
	if !c.Lapsed("alice's", time.Hour) || len(c.lapses) > maxLapses {
		t.Errorf("%d are kept", len(c.lapses))
	}
}

// A modern server asks nothing by itself.
func TestAModernServerHasNoLapses(t *testing.T) {
	c := start(t, protocol.Modern)
	c.lapse("alice's")
	if c.Lapsed("bob's", time.Hour) {
		t.Error("its cancelled calls are remembered")
	}
}
