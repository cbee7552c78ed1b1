package backend

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

func TestTheProbeFindsTheEra(t *testing.T) {
	for how, want := range map[string]protocol.Era{
		"modern": protocol.Modern, "-32020": protocol.Modern, "-32021": protocol.Modern, "-32022": protocol.Modern,
		"-32601": protocol.Legacy, "-32602": protocol.Legacy, "-32000": protocol.Legacy, "0": protocol.Legacy, "other-result": protocol.Legacy,
	} {
		c := prepare(t, how, protocol.Modern)
		c.begin()
		era, answered, err := c.Probe(t.Context())
		if era != want || answered == nil || err != nil {
			t.Errorf("%s: found %v, answered %v, error %v", how, era, answered != nil, err)
		}
	}
}

func TestTheProbeIsNotStamped(t *testing.T) {
	c := prepare(t, "modern", protocol.Modern)
	c.begin()
	if _, _, err := c.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if line := c.sawLine("server/discover"); strings.Contains(line, "io.github.snapgate") {
		t.Errorf("the gateway's own handshake carries an identity: %s", line)
	}
}

func TestASilentServerIsNotWaitedForLonger(t *testing.T) {
	c := prepare(t, "silent", protocol.Modern)
	c.begin()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if era, answered, err := c.Probe(ctx); era != protocol.Legacy || answered != nil || err != nil {
		t.Errorf("found %v, answered %v, error %v", era, answered != nil, err)
	}
}

func TestTheProbeTellsThatTheProcessEnded(t *testing.T) {
	c := prepare(t, "die", protocol.Modern)
	c.begin()
	if _, _, err := c.Probe(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(err, process.ErrExited) {
		t.Errorf("error %v", err)
	}
}

func TestTheEndOfTheProcessFailsAllCalls(t *testing.T) {
	c := start(t, protocol.Modern)
	var open []inbox
	for range 20 {
		_, in := c.say(`1`)
		open = append(open, in)
	}
	_, last := c.call(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"die"}}`)
	for _, in := range append(open, last) {
		if e := in.next(t); !e.Last || !errors.Is(e.Err, ErrClosed) || !strings.Contains(e.Err.Error(), "exit status 3") {
			t.Errorf("a call was told %s, error %v", e.Frame, e.Err)
		}
		in.silent(t)
	}
	if err := <-c.closed; !errors.Is(err, ErrClosed) {
		t.Errorf("Closed was told %v", err)
	}
	if _, err := c.Call(parse(t, sayRequest(`1`, ``)), nil, newInbox()); !errors.Is(err, ErrClosed) {
		t.Errorf("a call afterwards: %v", err)
	}
	if err := c.Send(parse(t, `{"jsonrpc":"2.0","method":"x"}`), nil); !errors.Is(err, process.ErrExited) {
		t.Errorf("a notification afterwards: %v", err)
	}
}

func TestWhatTheChildSaysLastIsDelivered(t *testing.T) {
	c := start(t, protocol.Modern)
	_, in := c.say(`1`, `{"jsonrpc":"2.0","id":$id,"result":{}}`)
	_, died := c.call(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"die"}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
	if e := died.next(t); e.Err == nil {
		t.Errorf("the call was told %s", e.Frame)
	}
}

func TestCloseFailsCallsAtOnceAndEndsTheProcess(t *testing.T) {
	c := start(t, protocol.Modern)
	_, in := c.say(`1`)
	everywhere(10, func(int) { c.Close("a good reason") })
	if e := in.next(t); !errors.Is(e.Err, ErrClosed) || !strings.Contains(e.Err.Error(), "a good reason") {
		t.Errorf("the call was told %v", e.Err)
	}
	c.ended()
	<-c.closed
	in.silent(t)
	if len(c.closed) > 0 {
		t.Error("Closed was called twice")
	}
}

func TestCloseBeforeStartLeavesNoProcess(t *testing.T) {
	c := prepare(t, "modern", protocol.Modern)
	c.Close("changed my mind")
	c.begin()
	if _, err := c.Call(parse(t, sayRequest(`1`, ``)), nil, newInbox()); !errors.Is(err, ErrClosed) {
		t.Errorf("a call: %v", err)
	}
	c.ended()
	<-c.closed
}

func TestCloseWhileStartingLeavesNoProcess(t *testing.T) {
	for range 20 {
		c := prepare(t, "modern", protocol.Modern)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.Close("in the middle")
		}()
		c.begin()
		<-closed
		c.ended()
		<-c.closed
	}
}

func TestAFailedStartIsNotReportedTwice(t *testing.T) {
	c := prepare(t, "modern", protocol.Modern)
	c.cfg.Load().Process.Command = "/no/such/command"
	if err := c.Start(); err == nil {
		t.Fatal("it started")
	}
	c.Close("nothing to close")
	if len(c.closed) > 0 {
		t.Error("Closed was called though Start had failed")
	}
}

// Whoever wins, each call is told exactly one end.
func TestCallsCancelsAndTheEndRace(t *testing.T) {
	c := start(t, protocol.Modern)
	request := parse(t, sayRequest(`1`, `"progressToken":1`, `{"jsonrpc":"2.0","id":$id,"result":{}}`))
	everywhere(16, func(i int) {
		for n := range 200 {
			in := newInbox()
			call, err := c.Call(request, stamp, in)
			if err != nil {
				if !errors.Is(err, ErrClosed) && !errors.Is(err, process.ErrExited) {
					t.Error(err)
				}
				in.silent(t)
				return
			}
			if i == 0 && n == 100 {
				c.Close("in mid-flight")
			}
			if n%2 == 0 && call.Cancel(nil, "race") {
				continue
			}
			if e := in.next(t); !e.Last {
				t.Errorf("the first event is not the last: %s", e.Frame)
			}
			in.silent(t)
		}
	})
}
