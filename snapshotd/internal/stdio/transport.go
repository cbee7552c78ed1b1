package stdio

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// MaxLine bounds one incoming message, in bytes without the line end.
	MaxLine = 64 << 20
	// MaxInFlight bounds the calls that have been read and not yet answered.
	MaxInFlight = 128
	// MaxBytesInFlight is how many bytes of such calls stop the reading of more.
	MaxBytesInFlight = 64 << 20
	// drainStall is how long, after the end of input, the transport waits for one
	// more answer before it gives the remaining calls up.
	drainStall = 30 * time.Second
	// listenGrace is how long, after the end of input, a subscription may take to
	// end by itself, as one that is granted nothing does.
	listenGrace = 250 * time.Millisecond
)

// Transport is an [mcp.Transport] over a pair of byte streams. It serves one
// connection.
type Transport struct {
	// In is read to its end. It is closed with the connection.
	In io.ReadCloser
	// Out receives whole lines, one Write each. It is never closed.
	Out io.Writer
	// Stop, when closed, ends the input as the end of In does. It may be nil.
	Stop <-chan struct{}
	// Admitted, if not nil, receives one value for each tool call that has taken its
	// place in the order of calls. The message after a tool call is then handed on
	// only when that call has been admitted or answered, so that calls take their
	// places in the order in which they were written though they run concurrently.
	// It must have room for one value.
	Admitted <-chan struct{}
}

// Connect implements [mcp.Transport].
func (t *Transport) Connect(context.Context) (mcp.Connection, error) {
	c := &conn{
		in:       t.In,
		out:      &lineWriter{out: t.Out},
		stop:     t.Stop,
		admitted: t.Admitted,
		lines:    make(chan line),
		closed:   make(chan struct{}),
		flights:  newFlights(),
	}
	go c.readLines()
	return c, nil
}

// conn is one connection. Read is called by one goroutine at a time; Write and
// Close by any.
type conn struct {
	in       io.ReadCloser
	out      *lineWriter
	stop     <-chan struct{}
	admitted <-chan struct{}
	lines    chan line
	flights  *flights

	// Only Read touches these.
	queue    []jsonrpc.Message // of the line read last, or made by drain
	admit    jsonrpc.ID        // the tool call whose admission is awaited, if valid
	draining error             // why input ended, once it has
	unparked bool              // drain has ended the subscriptions

	closeOnce sync.Once
	closed    chan struct{}
}

// SessionID implements [mcp.Connection]: stdio has none.
func (c *conn) SessionID() string { return "" }

// Close implements [mcp.Connection]. It ends the reading goroutine as soon as In
// yields to being closed.
func (c *conn) Close() error {
	var err error
	c.closeOnce.Do(func() {
		close(c.closed)
		err = c.in.Close()
	})
	return err
}

// Read implements [mcp.Connection]. It returns io.EOF once input has ended and
// every call is answered.
func (c *conn) Read(ctx context.Context) (jsonrpc.Message, error) {
	if err := c.awaitAdmission(ctx); err != nil {
		return nil, err
	}
	for len(c.queue) == 0 {
		step := c.next
		if c.draining != nil {
			step = c.drain
		}
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	message := c.queue[0]
	c.queue = c.queue[1:]
	if request, ok := message.(*jsonrpc.Request); ok && c.admitted != nil && request.Method == "tools/call" {
		c.admit = request.ID
	}
	return message, nil
}

// awaitAdmission waits until the last tool call is admitted, or answered without.
func (c *conn) awaitAdmission(ctx context.Context) error {
	for c.admit.IsValid() {
		inFlight, changed := c.flights.has(c.admit)
		if !inFlight {
			c.admit = jsonrpc.ID{}
			select {
			case <-c.admitted: // it was admitted first
			default:
			}
			return nil
		}
		select {
		case <-c.admitted:
			c.admit = jsonrpc.ID{}
		case <-changed:
		case <-c.closed:
			return io.EOF
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// next takes one line into the queue, or notes that there will be no more.
func (c *conn) next(ctx context.Context) error {
	select {
	case <-c.flights.room():
	case <-c.stop:
		c.draining = io.EOF
		return nil
	case <-c.closed:
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case l := <-c.lines:
		if l.err != nil && !errors.Is(l.err, errTooLong) {
			c.draining = l.err
			return nil
		}
		return c.accept(l)
	case <-c.stop:
		c.draining = io.EOF
		return nil
	case <-c.closed:
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain waits until every call is answered and returns why input ended. A nil
// error means that there is something in the queue: a subscription would wait for
// ever, so it is ended as its client would end it, and its answer too is sent.
func (c *conn) drain(ctx context.Context) error {
	patience := drainStall
	if !c.unparked {
		patience = listenGrace
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		idle, changed := c.flights.idle()
		if idle {
			return c.draining
		}
		select {
		case <-changed:
			timer.Reset(patience)
		case <-timer.C:
			if c.unparked {
				return errors.Join(c.draining, errors.New("calls were given up unanswered"))
			}
			c.unparked = true
			for _, id := range c.flights.pending("subscriptions/listen") {
				c.queue = append(c.queue, cancelled(id))
			}
			return nil
		case <-c.closed:
			return c.draining
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Write implements [mcp.Connection].
func (c *conn) Write(ctx context.Context, message jsonrpc.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return err
	}
	response, ok := message.(*jsonrpc.Response)
	if !ok {
		return c.out.writeLine(data)
	}
	data = c.flights.answer(response, data)
	defer c.flights.answered()
	if data == nil {
		return nil // the rest of its batch is still to come
	}
	return c.out.writeLine(data)
}

var (
	_ mcp.Transport  = (*Transport)(nil)
	_ mcp.Connection = (*conn)(nil)
)
