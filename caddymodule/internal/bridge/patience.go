package bridge

import (
	"context"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// A process may take long to start, or be taken by others. A client that waits for it hears of its
// call as soon as one whose call is under way: what stands between would otherwise take the
// connection for dead. So an exchange may begin its event stream before it has anything to
// carry, and then all that goes wrong rides in it.

// hushed tells when the client is to be shown once more that its call is not forgotten. Whoever
// receives from it then calls comfort. It is never told of a call that has no answer to come.
func (x *exchange) hushed() <-chan time.Time {
	if x == nil || x.gone {
		return nil
	}
	if x.beat.timer == nil {
		x.beat.next(x.bridge.hush)
	}
	return x.beat.due()
}

// comfort begins the event stream, or keeps it alive.
func (x *exchange) comfort() {
	x.idle()
	x.beat.next(keepalive)
}

// meanwhile does what may take long before the call is under way.
func (x *exchange) meanwhile(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	for {
		select {
		case <-done:
			return
		case <-x.hushed():
			x.comfort()
		}
	}
}

// standing is what the gateway answers to a call that is about the session. The server may be
// asked for it, and be busy.
func (x *exchange) standing(m *message.Message, answer func() []byte) (frame []byte) {
	if m.Method != message.MethodSubscribe && m.Method != message.MethodUnsubscribe {
		return answer()
	}
	x.meanwhile(func() { frame = answer() })
	return frame
}

// await waits until the process can be used. The error says why it cannot.
func (p *pooled) await(ctx context.Context, x *exchange) *answer.Refusal {
	select {
	case <-p.ready: // as nearly always
		return p.refusal
	default:
	}
	for {
		select {
		case <-p.ready:
			return p.refusal
		case <-p.bridge.stopping:
			return closing()
		case <-ctx.Done():
			return clientGone()
		case <-x.hushed():
			x.comfort()
		}
	}
}

// refuse answers a call that goes no further: with a status, as long as there is none yet.
func (x *exchange) refuse(settings *Settings, refusal *answer.Refusal) {
	defer x.beat.end()
	if !x.began {
		Refuse(x.sse.w, x.call, refusal, settings.Logger, settings.Audit)
		return
	}
	noteRefusal(x.call, refusal, settings.Logger, settings.Audit)
	told := *refusal
	told.NoID = false // the client waits for that of its call
	x.sse.add("", event{frame: told.Frame(x.call.Message.ID)})
	_ = x.sse.flush() // a client that has gone is told nothing
	x.sse.end()
}
