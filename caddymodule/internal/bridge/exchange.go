package bridge

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Why an exchange ended without an answer of the server.
var (
	errTimeout     = errors.New("the call took longer than the gateway allows")
	errStopping    = errors.New("the gateway is shutting down")
	errCanceled    = errors.New("the client cancelled the call")
	errSessionOver = errors.New("the session has ended")
)

// exchange carries the answer of one POST: as JSON if the answer is the first thing
// the server says, as an event stream from the first notification or request on, or
// once the server was silent for a while.
type exchange struct {
	bridge    *Bridge
	call      *admission.Call
	stream    *stream
	sessionID string // told with the answer; of a session that begins
	prime     bool   // the client understands events without data

	// outlive says whether the call goes on when the client's connection ends:
	// so it does in the legacy era, where the client may come back for the answer.
	outlive bool
	// statusOf gives the HTTP status of an answer that comes first.
	statusOf func(event) int

	// cleanUp is to be done when the call has ended, the last first.
	cleanUp []func()

	// writer is attached by who sends the call, so that what a fast server says at once
	// finds a reader; otherwise by run.
	writer *writer

	sse      sse
	beat     beat
	began    bool // the event stream
	leaving  bool // it has lasted long enough
	left     bool // the call goes on without it
	gone     bool // the client
	bytesOut int
}

// newExchange is that of a call whose answer goes to w.
func (b *Bridge) newExchange(w http.ResponseWriter, call *admission.Call) *exchange {
	return &exchange{bridge: b, call: call, sse: newSSE(w)}
}

// run writes until the call has ended or the deadline has come, and returns the event
// that ended it. If err is not nil the server has not answered, and the caller cancels
// the call. If left is set the call goes on, and is over when [exchange.linger] returns.
func (x *exchange) run(r *http.Request, deadline time.Time) (event, error) {
	wr := x.attach()
	defer x.stream.detach(wr)
	defer func() {
		if x.began {
			x.sse.end()
		}
	}()

	x.beat.begin(x.bridge.silences, time.Until(deadline))
	defer x.beat.end()
	if x.began { // before there was a stream
		x.prelude()
	}
	enough := x.enough(0)
	stopping, late := x.bridge.stopping, errTimeout
	for {
		if !x.gone {
			if e, done := x.drain(wr); done {
				return e, e.err
			}
		}
		if x.left {
			return event{}, nil
		}
		if x.gone {
			x.stream.detach(wr)
			return x.linger(deadline)
		}
		select {
		case <-wr.wake:
		case <-x.beat.due():
			left := time.Until(deadline)
			if left <= 0 {
				return x.abandon(wr, late)
			}
			x.idle()
			x.beat.next(min(keepalive, left))
			if enough == nil && stopping != nil {
				enough = x.enough(silence)
			}
		case <-enough:
			x.begin()
			x.leaving = true
		case <-r.Context().Done():
			x.gone = true
		case <-stopping:
			stopping, late = nil, errStopping
			enough = nil // nobody could come back
			if x.listens() {
				return x.abandon(wr, errStopping)
			}
			deadline = x.soon(deadline)
			x.beat.next(time.Until(deadline))
		}
	}
}

// attach sees to it that the exchange writes what its stream has to say, unless who sends the
// call has done so.
func (x *exchange) attach() *writer {
	if x.writer == nil {
		x.writer = x.stream.attach(1)
	}
	return x.writer
}

// drain writes what is there, and returns the last event once it is.
func (x *exchange) drain(wr *writer) (last event, done bool) {
	events, over := x.stream.take(wr)
	if x.call.Hears != nil {
		events = slices.DeleteFunc(events, func(e event) bool { return !mayHear(x.call.Hears, e) })
	}
	if len(events) == 1 && events[0].last && !x.began {
		x.writeJSON(events[0])
		return events[0], true
	}
	if len(events) > 0 {
		x.writeEvents(events)
		if e := events[len(events)-1]; e.last {
			return e, true
		}
	}
	x.gone = x.gone || over // the client has come back on another connection
	if x.leaving && !x.gone {
		x.leave(wr)
	}
	return event{}, false
}

// enough tells when the event stream has lasted long enough, if its client resumes. It is
// asked at the begin and, for a stream that may last longer than the silence, after that:
// most calls have ended by then.
func (x *exchange) enough(lasted time.Duration) <-chan time.Time {
	if !x.prime || x.leaving || x.bridge.lifespan > silence != (lasted > 0) {
		return nil
	}
	return time.After(x.bridge.lifespan - lasted)
}

// leave ends the event stream before something on the way does, which might do so in the
// middle of an event. The client is told to come back (MCP 2025-11-25, Streamable HTTP).
func (x *exchange) leave(wr *writer) {
	if !x.bridge.stay() {
		return
	}
	number, left := x.stream.leave(wr)
	if !left {
		x.bridge.running.Done()
		return
	}
	x.left, x.gone = true, true
	x.sse.leave(x.stream.id, number)
}

// stay counts the rest of a call as running, unless the bridge has closed.
func (b *Bridge) stay() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.running.Add(1)
	}
	return !b.closed
}

// returns is called when the handler of the call returns.
func (x *exchange) returns() {
	if !x.left {
		x.end()
	}
}

func (x *exchange) end() {
	for _, do := range slices.Backward(x.cleanUp) {
		do()
	}
}

// linger waits for the end of a call whose client has gone. In the modern era that
// is the end; in the legacy era the client may come back for the answer, which the
// stream keeps.
func (x *exchange) linger(deadline time.Time) (event, error) {
	if !x.outlive {
		return event{}, errCanceled
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	stopping, late := x.bridge.stopping, errTimeout
	for {
		select {
		case <-x.stream.finished():
			e := x.stream.final()
			return e, e.err
		case <-timer.C:
			return x.abandon(nil, late)
		case <-stopping:
			stopping, late = nil, errStopping
			timer.Reset(time.Until(x.soon(deadline)))
		}
	}
}

// soon is the deadline of a call once the gateway goes down.
func (x *exchange) soon(deadline time.Time) time.Time {
	soon := time.Now().Add(x.bridge.settings.Load().StopTimeout)
	if soon.Before(deadline) {
		return soon
	}
	return deadline
}

func (x *exchange) listens() bool { return x.call.Message.Method == message.MethodListen }

// abandon answers in the server's place, unless the server has just answered.
func (x *exchange) abandon(wr *writer, err error) (event, error) {
	e := event{last: true, err: err}
	if x.listens() {
		e.frame = backend.ListenResult(x.call.Message.ID)
	}
	x.stream.push(e)
	if wr != nil {
		x.drain(wr)
	}
	e = x.stream.final()
	return e, e.err
}

// writeEvents continues the event stream. A client that can't be written to has gone;
// what it did not get stays in the stream.
func (x *exchange) writeEvents(events []event) {
	x.begin()
	for _, e := range events {
		x.sse.add(x.stream.id, e)
	}
	x.bytesOut = x.sse.bytes
	if err := x.sse.flush(); err != nil {
		x.gone = true
		x.stream.fail(x.writer, events[0].number)
	}
}

func (x *exchange) begin() {
	if x.began || x.gone {
		return
	}
	x.began = true
	x.sse.begin(x.sessionID)
	x.prelude()
}

// prelude tells the client where it would resume, once that is known.
func (x *exchange) prelude() {
	if x.prime && x.stream != nil && x.stream.id != "" && !x.gone {
		x.gone = x.sse.prime(x.stream.id, 0) != nil
	}
}

// idle begins the event stream, or keeps it alive.
func (x *exchange) idle() {
	if x.gone {
		return
	}
	x.begin()
	if err := x.sse.comment(); err != nil {
		x.gone = true
	}
}

func (x *exchange) writeJSON(e event) {
	h := x.sse.w.Header()
	if x.sessionID != "" && !failed(e) {
		h.Set(protocol.HeaderSession, x.sessionID)
	}
	fields := &[3]string{"application/json", "no-store", strconv.Itoa(len(e.frame))} // in one piece of memory
	h["Content-Type"], h["Cache-Control"], h["Content-Length"] = fields[0:1:1], fields[1:2:2], fields[2:3:3]
	status := http.StatusOK
	if x.statusOf != nil {
		status = x.statusOf(e)
	}
	x.sse.w.WriteHeader(status)
	x.gone = x.writeAnswer(e.frame) != nil
	x.bytesOut = len(e.frame)
}

// small is how many bytes of an answer are only buffered until the handler returns.
const small = 2 << 10

// unread says whether the client has certainly not got the answer: it could not be written, or it
// is still here, and the client has gone.
func (x *exchange) unread(r *http.Request) bool {
	return x.gone || !x.began && x.bytesOut <= small && r.Context().Err() != nil
}

// writeAnswer bounds the time a client may take to read the answer.
func (x *exchange) writeAnswer(frame []byte) error {
	write := func() error {
		_, err := x.sse.w.Write(frame)
		return err
	}
	switch {
	case len(frame) <= small:
		return write()
	case len(frame) <= timely:
		return x.bridge.writes.Write(x.sse.w, write)
	}
	_ = x.sse.rc.SetWriteDeadline(time.Now().Add(timeFor(len(frame))))
	defer x.sse.end()
	return write()
}

// failed says whether the server has not answered, or with an error.
func failed(e event) bool { return e.err != nil || e.msg != nil && e.msg.IsError() }

// faultFrame says to the client why the server did not answer.
func faultFrame(err error, id []byte) []byte {
	return answer.New(http.StatusOK, protocol.CodeInternal, "%v", err).Frame(id)
}

// record writes what became of the call: at once if its handler has returned, and otherwise
// when that does.
func (x *exchange) record(log *audit.Log, e event, err error) {
	record := newRecord(x.call)
	record.BytesOut = x.bytesOut
	record.Outcome, record.Code = outcome(x.call, e, err)
	if x.left {
		log.Write(record)
		return
	}
	x.call.Afterwards = func() { log.Write(record) }
}

// RecordPassed writes a call that was let through to a server of which no more is known
// here than that it was asked.
func RecordPassed(log *audit.Log, call *admission.Call) {
	if call.Message == nil || call.Message.Kind != message.Request {
		return
	}
	record := newRecord(call)
	record.Outcome = audit.Passed
	log.Write(record)
}

func newRecord(call *admission.Call) audit.Record {
	record := audit.Record{
		RequestID: call.RequestID, Era: call.Era.String(), Method: call.Method(), Tool: call.Tool(),
		Decision: audit.Allow, Rule: call.Rule, Duration: time.Since(call.Began), BytesIn: call.Bytes,
	}
	if p := call.Principal; p != nil {
		record.User, record.Issuer, record.Client = p.User, p.Issuer, p.ClientID
	}
	return record
}

// outcome says how a call ended. A subscription that the gateway ends has ended well.
func outcome(call *admission.Call, e event, err error) (string, int) {
	switch {
	case call.Method() == message.MethodListen && (errors.Is(err, errTimeout) || errors.Is(err, errStopping)):
		return audit.OK, 0
	case errors.Is(err, errTimeout):
		return audit.TimedOut, protocol.CodeInternal
	case errors.Is(err, errCanceled), errors.Is(err, errSessionOver), errors.Is(err, errStopping):
		return audit.Cancelled, 0
	case errors.Is(err, backend.ErrClosed):
		return audit.Died, protocol.CodeInternal
	case err != nil:
		return audit.Error, protocol.CodeInternal
	case e.msg != nil && e.msg.IsError():
		code, _ := strconv.Atoi(string(e.msg.Error.Get("code")))
		return audit.Error, code
	case e.msg != nil && string(e.msg.Result.Get("isError")) == "true":
		return audit.ToolError, 0
	}
	return audit.OK, 0
}
