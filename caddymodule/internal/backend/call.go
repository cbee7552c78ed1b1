package backend

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/identity"
)

// Sink takes what the child says about one call, in order. Deliver must not block;
// after the last event it is not called again.
type Sink interface {
	Deliver(Event)
}

// Adjuster is a [Sink] that has a say in the answer before it is delivered: it edits what
// the client is to read, in the same pass as everything else.
type Adjuster interface {
	Sink
	Adjust(m *message.Message, edit *message.Editor)
}

// Event is one thing that the child said about a call, or the end of the call
// without an answer.
type Event struct {
	// Frame is the message as the client is to read it: its own id and token.
	Frame []byte
	// Message is the child's message; nil if the gateway made the frame.
	Message *message.Message
	// Last is set on the answer, and with Err.
	Last bool
	// Err says why there is no answer.
	Err error
}

// Call is a request in flight.
type Call struct {
	conn   *Conn
	id     int64
	text   [20]byte // for the id as it is written
	method string
	listen bool
	stamp  []message.MetaValue
	sink   Sink
	whose  any

	mu       sync.Mutex
	clientID []byte
	token    []byte // the client's progress token, or nil
}

// client returns what the client calls this call, and its progress token.
func (call *Call) client() (id, token []byte) {
	call.mu.Lock()
	defer call.mu.Unlock()
	return call.clientID, call.token
}

// Conn is the conversation that the call is part of.
func (call *Call) Conn() *Conn { return call.conn }

// Rebind makes the answer, and what is reported until then, that of another request of
// the client: the one by which it takes the call up again.
func (call *Call) Rebind(m *message.Message) {
	call.mu.Lock()
	defer call.mu.Unlock()
	call.clientID, call.token = m.ID, tokenOf(m)
}

// tokenOf is the progress token of a request, nil if it has none or null.
func tokenOf(m *message.Message) []byte {
	token := m.Meta.Get(message.MetaProgressToken)
	if string(token) == "null" {
		return nil
	}
	return token
}

// Call sends a request of a client. stamp is put into its _meta, after the gateway's
// keys that the client wrote were removed. The error wraps [ErrClosed], or one of
// package process: then nothing reached the child and sink stays silent.
func (c *Conn) Call(m *message.Message, stamp []message.MetaValue, sink Sink) (*Call, error) {
	return c.CallFor(nil, m, stamp, sink)
}

// CallFor is [Conn.Call] for one whom the child may ask something in mid-call. whose is what
// [Conn.Lapsed] tells callers apart by: it is compared, and kept after the call.
func (c *Conn) CallFor(whose any, m *message.Message, stamp []message.MetaValue, sink Sink) (*Call, error) {
	call := &Call{
		conn: c, clientID: m.ID, token: tokenOf(m),
		method: m.Method, listen: m.Method == message.MethodListen, stamp: stamp, sink: sink, whose: whose,
	}
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()
		return nil, c.closed
	}
	c.last++
	call.id = c.last
	c.calls[call.id] = call
	c.silence.asked(c.process.Heard())
	c.mu.Unlock()

	id := strconv.AppendInt(call.text[:0], call.id, 10)
	edit := m.Edit().ID(id).DropMeta(identity.MetaPrefix).SetMeta(stamp...)
	if call.token != nil {
		edit.MetaMember(message.MetaProgressToken, id)
	}
	if c.cfg.Load().Request != nil {
		c.cfg.Load().Request(m, edit)
	}
	if err := c.process.Send(edit.Bytes()); err != nil {
		if c.take(id, true) == nil {
			return call, nil // the end of the process was told to the sink meanwhile
		}
		return nil, err
	}
	return call, nil
}

// Cancel tells the child that nobody waits for the answer, and drops it if it comes.
// The sink hears nothing more, unless it is being told at this moment. m is the
// client's own notification, or nil if the gateway gives up. It reports whether the
// call was still in flight.
func (call *Call) Cancel(m *message.Message, reason string) bool {
	if !call.conn.lapse(call) {
		return false
	}
	call.withdraw(m, reason)
	return true
}

// End asks the child to end the call, as [Call.Cancel] does, but hears what it says until
// it has.
func (call *Call) End(reason string) {
	id := strconv.AppendInt(nil, call.id, 10)
	if call.conn.take(id, false) != nil {
		call.withdraw(nil, reason)
	}
}

// withdraw sends the cancellation. The child must learn of it even where it has no room for more
// (MCP 2026-07-28, Streamable HTTP, Cancellation): then in the gateway's words, which are short,
// and there are no more of them than calls. If it can't be told otherwise, it is ending: there is
// nothing to cancel.
func (call *Call) withdraw(m *message.Message, reason string) {
	id := strconv.AppendInt(nil, call.id, 10)
	if err := call.conn.process.Send(call.cancellation(id, m, reason)); errors.Is(err, process.ErrQueueFull) {
		_ = call.conn.process.SendOver(call.cancellation(id, nil, reason))
	}
}

// cancellation is notifications/cancelled: m, the client's own, or one of the gateway.
func (call *Call) cancellation(id []byte, m *message.Message, reason string) (frame []byte) {
	if m != nil {
		frame = m.Edit().DropMeta(identity.MetaPrefix).SetMeta(call.stamp...).Param("requestId", id).Bytes()
	} else {
		own := fmt.Appendf(nil, `{"jsonrpc":"2.0","method":%q,"params":{"requestId":%s,"reason":%s}}`, message.MethodCancelled, id, message.Quote(reason))
		if parsed, err := message.Parse(own, 0); err == nil {
			frame = parsed.Edit().SetMeta(call.stamp...).Bytes()
		}
	}
	return frame
}

// Progress turns the child's report of progress into the client's; nil if the client has asked
// for none.
func (call *Call) Progress(m *message.Message) []byte {
	_, token := call.client()
	if token == nil {
		return nil
	}
	return m.Edit().DropMeta(identity.MetaPrefix).Param("progressToken", token).Bytes()
}

// Answer turns the child's answer into the client's.
func (call *Call) Answer(m *message.Message) []byte {
	clientID, _ := call.client()
	edit := m.Edit().ID(clientID).DropMeta(identity.MetaPrefix)
	if adjust := call.conn.cfg.Load().Result; adjust != nil {
		adjust(call.method, m, edit)
	}
	if adjuster, ok := call.sink.(Adjuster); ok {
		adjuster.Adjust(m, edit)
	}
	if call.conn.cfg.Load().Era == protocol.Modern {
		// Servers say public by default of what is private to one user.
		if scope := m.Result.Get("cacheScope"); scope != nil && !bytes.Equal(scope, []byte(`"private"`)) {
			edit.ResultMember("cacheScope", []byte(`"private"`))
		}
		if call.listen {
			edit.MetaMember(message.MetaSubscriptionID, clientID)
		}
	}
	return edit.Bytes()
}

// ListenResult is the answer to subscriptions/listen on a graceful end (MCP
// 2026-07-28, Subscriptions).
func ListenResult(clientID []byte) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","_meta":{%q:%s}}}`, clientID, message.MetaSubscriptionID, clientID)
}
