// Package backend holds a conversation with one child process: it gives every call
// an id and a progress token of its own, finds the call that each line of the child
// belongs to, and turns both back into what the client wrote.
//
// Ids are always replaced. Two clients of one child may use the same id, a late
// answer to a cancelled call must not reach the next one, and a progress token is
// whatever a client likes; the conversation knows its calls by numbers that it never
// uses twice.
//
// Members of a _meta that belong to the gateway ([identity.MetaPrefix]) are removed
// from everything that passes, in both directions, before the gateway adds its own.
package backend

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/identity"
)

// ErrClosed means that the conversation has ended.
var ErrClosed = errors.New("the server's process has ended")

// Config says what to start and who listens.
type Config struct {
	// Process is the child. Its OnLine and OnExit belong to the conversation.
	Process process.Config
	// Era decides what is adjusted in results.
	Era protocol.Era
	// Request and Result, if set, adjust each call of a client and its answer, where the
	// client speaks versions of another era than the child.
	Request func(m *message.Message, edit *message.Editor)
	Result  func(method string, m *message.Message, edit *message.Editor)
	// Logger receives what is wrong with the child's messages. Default: none.
	Logger *slog.Logger
	// Unclaimed receives the child's requests, and those of its notifications that
	// do not say which call they belong to, from one goroutine and in order. It must
	// not block.
	Unclaimed func(m *message.Message, frame []byte)
	// Hangs, if set, is called when [Conn.Doubt] has found that the child hangs.
	Hangs func(reason string)
	// Closed is called once, when the process is gone and every call has been told.
	Closed func(err error)
}

// Conn is a conversation. All methods may be called from any goroutine.
type Conn struct {
	cfg     atomic.Pointer[Config]
	process *process.Process
	started chan struct{} // closed once process is set

	complaints complaints // about its lines

	mu      sync.Mutex
	last    int64
	calls   map[int64]*Call
	closed  error // why no more calls are taken
	silence silence
	lapses  map[int64]lapse
}

// New makes a conversation that has not begun.
func New(cfg Config) *Conn {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Conn{calls: map[int64]*Call{}, started: make(chan struct{})}
	c.cfg.Store(&cfg)
	return c
}

// Adopt gives a conversation that has begun to another owner: all but the process of the
// configuration is replaced. It reports whether the conversation goes on; if not, its end
// was told to the owner before.
func (c *Conn) Adopt(cfg Config) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return false
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c.cfg.Store(&cfg)
	return true
}

// Start starts the child, once. Nothing is said to it yet. After an error Closed is
// not called. Before Start has returned, only Close may be called.
func (c *Conn) Start() error {
	cfg := c.cfg.Load().Process
	cfg.OnLine, cfg.OnExit = c.receive, c.exited
	p, err := process.Start(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.process = p
	ending := c.closed != nil
	c.mu.Unlock()
	close(c.started)
	if ending {
		p.Stop("closed while it started")
	}
	return nil
}

// Close fails the calls in flight with the reason and ends the process step by step.
// It returns at once; Done tells when nothing is left.
func (c *Conn) Close(reason string) {
	c.fail(fmt.Errorf("%w: %s", ErrClosed, reason))
	c.mu.Lock()
	p := c.process
	c.mu.Unlock()
	if p != nil {
		p.Stop(reason)
	}
}

// Open says whether calls are taken: it turns false before the first call is told that the
// process has ended.
func (c *Conn) Open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed == nil
}

// Takes says whether a message would reach the child still, or once it has started. One that is
// ending may yet answer what it was asked before.
func (c *Conn) Takes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed == nil && (c.process == nil || c.process.Takes())
}

// Done is closed when the process and its group are gone.
func (c *Conn) Done() <-chan struct{} { return c.process.Done() }

// Respond carries a client's answer to a request of the child, by the id that the child has
// given it. The client can say it again: if the child does not keep up it is not queued.
func (c *Conn) Respond(m *message.Message, id []byte) error {
	err := c.process.Send(m.Edit().ID(id).DropMeta(identity.MetaPrefix).Bytes())
	if err == nil {
		c.answered()
	}
	return err
}

// Send carries a client's notification.
func (c *Conn) Send(m *message.Message, stamp []message.MetaValue) error {
	return c.process.Send(m.Edit().DropMeta(identity.MetaPrefix).SetMeta(stamp...).Bytes())
}

func (c *Conn) exited(err error) {
	<-c.started
	c.complaints.close(c.cfg.Load().Logger)
	if err == nil {
		err = ErrClosed
	} else {
		err = &exitError{err}
	}
	c.fail(err)
	if c.cfg.Load().Closed != nil {
		c.cfg.Load().Closed(err)
	}
}

// exitError is ErrClosed with how the process ended, in words for a client.
type exitError struct{ cause error }

func (e *exitError) Error() string {
	how := strings.TrimPrefix(e.cause.Error(), process.ErrExited.Error()+": ")
	return ErrClosed.Error() + " (" + how + "); the gateway's log has its standard error"
}

func (e *exitError) Is(target error) bool { return target == ErrClosed }

func (e *exitError) Unwrap() error { return e.cause }

// fail ends all calls and takes no more.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.closed == nil {
		c.closed = err
	}
	calls := c.calls
	c.calls = map[int64]*Call{}
	c.mu.Unlock()
	for _, call := range calls {
		call.sink.Deliver(Event{Err: err, Last: true})
	}
}

// take returns the call with a raw id or token of ours, and forgets it if last.
func (c *Conn) take(raw []byte, last bool) *Call {
	id, ok := message.Integer(raw)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[id]
	if call != nil && last {
		delete(c.calls, id)
	}
	return call
}

// receive routes one line of the child.
func (c *Conn) receive(line []byte) {
	<-c.started
	defer func() {
		// Whatever a child writes, it must not end the gateway for everyone.
		if fault := recover(); fault != nil {
			c.cfg.Load().Logger.Error("a line of the server could not be handled; its process is ended", "fault", fault, "bytes", len(line))
			c.process.Kill(fmt.Errorf("a line of it could not be handled"))
		}
	}()
	m, err := message.Parse(line, 0)
	if err != nil {
		c.malformed(line, err)
		return
	}
	switch m.Kind {
	case message.Response:
		c.response(m)
	case message.Request:
		c.unclaimed(m)
	case message.Notification:
		c.notification(m)
	}
}

func (c *Conn) response(m *message.Message) {
	call := c.take(m.ID, true)
	if call == nil {
		c.settle(m.ID)
		c.cfg.Load().Logger.Debug("the server answered a call that is no longer open")
		return
	}
	call.sink.Deliver(Event{Frame: call.Answer(m), Message: m, Last: true})
}

func (c *Conn) notification(m *message.Message) {
	subscription := m.Meta.Get(message.MetaSubscriptionID)
	var call *Call
	var frame []byte
	switch {
	case m.Method == message.MethodProgress:
		if call = c.take(m.ProgressToken(), false); call != nil {
			frame = call.Progress(m)
		}
		if frame == nil {
			c.cfg.Load().Logger.Debug("the server reports progress of a call that is no longer open")
			return
		}
	case subscription != nil:
		if call = c.take(subscription, false); call == nil || !call.listen {
			c.cfg.Load().Logger.Debug("the server notifies a subscription that is no longer open")
			return
		}
		clientID, _ := call.client()
		frame = m.Edit().DropMeta(identity.MetaPrefix).MetaMember(message.MetaSubscriptionID, clientID).Bytes()
	case m.Method == message.MethodCancelled:
		id := m.Params.Get("requestId")
		if call = c.take(id, false); call != nil && call.listen {
			// A modern server ends a subscription in this way.
			if c.take(id, true) == nil {
				return // it has just been ended, and its sink told so
			}
			clientID, _ := call.client()
			call.sink.Deliver(Event{Frame: ListenResult(clientID), Last: true})
			return
		}
		c.unclaimed(m)
		return
	default:
		c.unclaimed(m)
		return
	}
	call.sink.Deliver(Event{Frame: frame, Message: m})
}

func (c *Conn) unclaimed(m *message.Message) {
	if c.cfg.Load().Unclaimed == nil {
		return
	}
	c.cfg.Load().Unclaimed(m, m.Edit().DropMeta(identity.MetaPrefix).Bytes())
}
