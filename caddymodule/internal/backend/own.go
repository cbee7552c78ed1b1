package backend

import (
	"context"
	"errors"
	"strconv"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
)

// ErrSilent means that the child did not answer a request of the gateway in time.
var ErrSilent = errors.New("no answer in time")

// Say sends a message of the gateway's own that is not a request. It carries no identity.
// Nobody would say it again, so it is queued even if the child does not keep up
// ([process.Process.Insist]).
func (c *Conn) Say(frame []byte) error {
	m, err := message.Parse(frame, 0)
	if err != nil {
		return err
	}
	if err = c.process.Insist(m.Raw); err == nil && m.Kind == message.Response {
		c.answered()
	}
	return err
}

// Ask sends a request of the gateway's own and waits for the answer, which may be an
// error of the child. It carries the identity of the user in whose name it is asked, or
// none. The error is [ErrSilent] once the context has ended, or says that the process did.
func (c *Conn) Ask(ctx context.Context, frame []byte, stamp ...message.MetaValue) (*message.Message, error) {
	m, err := message.Parse(frame, 0)
	if err != nil {
		return nil, err
	}
	answers := make(once, 1)
	call, err := c.Call(m, stamp, answers)
	if err != nil {
		return nil, err
	}
	select {
	case e := <-answers:
		return e.Message, e.Err
	case <-ctx.Done():
		call.Cancel(nil, ErrSilent.Error())
		return nil, ErrSilent
	}
}

// Tell sends a request of the gateway's own whose answer does not matter, in the name of
// a user or of none. It is queued even if the child does not keep up: callers tell once what
// follows from a call that was queued before, or is short and rare.
func (c *Conn) Tell(frame []byte, stamp ...message.MetaValue) error {
	m, err := message.Parse(frame, 0)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.last++
	id, closed := c.last, c.closed
	c.mu.Unlock()
	if closed != nil {
		return closed
	}
	return c.process.SendOver(m.Edit().ID(strconv.AppendInt(nil, id, 10)).SetMeta(stamp...).Bytes())
}

// once is the sink of a request of which only the answer counts.
type once chan Event

func (o once) Deliver(e Event) {
	if e.Last {
		o <- e
	}
}
