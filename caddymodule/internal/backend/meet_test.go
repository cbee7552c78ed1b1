package backend

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// ends counts how often a call was told that it has ended.
type ends struct{ atomic.Int32 }

func (e *ends) Deliver(event Event) {
	if event.Last {
		e.Add(1)
	}
}

// A server ends a subscription while the gateway ends the conversation, or the call: its sink
// hears of one end.
func TestASubscriptionEndsOnce(t *testing.T) {
	for name, other := range map[string]func(c *Conn, call *Call){
		"closed":    func(c *Conn, _ *Call) { c.fail(ErrClosed) },
		"cancelled": func(c *Conn, call *Call) { c.lapse(call) },
	} {
		ended := parse(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
		for range 50_000 {
			c := New(Config{Era: protocol.Modern})
			sink := &ends{}
			call := &Call{conn: c, id: 1, clientID: []byte(`1`), method: message.MethodListen, listen: true, sink: sink}
			c.calls[1] = call
			var both sync.WaitGroup
			c.mu.Lock() // so that they meet
			both.Go(func() { c.notification(ended) })
			both.Go(func() { other(c, call) })
			runtime.Gosched()
			c.mu.Unlock()
			both.Wait()
			if n := sink.Load(); n > 1 {
				t.Fatalf("%s: it was told %d times", name, n)
			}
		}
	}
}
