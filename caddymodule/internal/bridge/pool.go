package bridge

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/paramheader"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
	"github.com/snapgate/snapgate/identity"
)

// pooled is a process that serves modern calls of one principal, on whatever connection
// they come.
type pooled struct {
	bridge *Bridge
	kind   kind
	conn   *backend.Conn
	// generation is higher for a process that was started later.
	generation int
	began      time.Time

	gone    chan struct{}   // closed when the process counts no more
	ready   chan struct{}   // closed once the fields below are final
	refusal *answer.Refusal // why there is no process
	legacy  bool            // it was probed and speaks legacy versions only
	refuses bool            // initialize, which it has answered with an error
	// server is set for a legacy server that was taken through initialize.
	server       *translate.Server
	version      string                 // asked of it
	capabilities translate.Capabilities // told to it
	greeting     *message.Message       // its answer to initialize
	modern       *translate.Server      // what a modern server has said of itself
	// tenants are the legacy sessions that share it; nil if it serves modern clients.
	tenants *tenants

	headers *sharedTable

	taken     bool // by one call alone; under Bridge.mu
	forgotten bool // under Bridge.mu

	mu        sync.Mutex
	ended     bool
	died      bool // by itself, which whoever was to use it next has found
	users     int
	calls     map[*stream]*message.Message // in flight
	current   *relay                       // of the call that has it alone
	level     int                          // of what a legacy server logs
	listeners map[*listener]bool
	lastUsed  time.Time
	idle      *time.Timer

	holdings map[subscription]*holding
	unions   map[owner]*union // of listens at a modern server
	curt     bool             // which has not answered one that was ended
}

const levelUnset = 100

// kind is what processes have in common that can stand for one another.
type kind struct {
	owner  owner
	launch string // its digest
	era    string // and what the server was told of the client
}

// tools names the processes whose tools are the same.
func (k kind) tools() kind { return kind{owner: k.owner, launch: k.launch} }

// sharedTable is what all processes of one user have shown of their tools.
type sharedTable struct {
	paramheader.Table
	processes int
}

// newPooled makes an entry for a process that is about to start. b.mu is held.
func (b *Bridge) newPooled(k kind) *pooled {
	table := b.headers[k.tools()]
	if table == nil {
		table = &sharedTable{}
		b.headers[k.tools()] = table
	}
	table.processes++
	b.generation++
	p := &pooled{
		bridge: b, kind: k, generation: b.generation, began: time.Now(), headers: table, gone: make(chan struct{}), ready: make(chan struct{}), lastUsed: time.Now(), level: levelUnset,
		calls: map[*stream]*message.Message{}, listeners: map[*listener]bool{}, holdings: map[subscription]*holding{}, unions: map[owner]*union{},
	}
	b.pool[k] = append(b.pool[k], p)
	return p
}

// refusedInitialize says whether the process is known to have answered initialize with an
// error. Whoever waited for it may have left before that is known.
func (p *pooled) refusedInitialize() bool {
	select {
	case <-p.ready:
		return p.refuses
	default:
		return false
	}
}

// use counts one more who uses the process, until release. It reports false if that takes no
// more, and then whoever looks again finds another.
func (p *pooled) use() bool {
	p.mu.Lock()
	gone := p.ended || !p.conn.Open()
	takes := !gone && p.conn.Takes()
	if takes {
		p.users++
	}
	p.mu.Unlock()
	switch {
	case gone:
		p.end("the server has ended")
	case !takes:
		p.forget() // those who use it may yet be answered
	}
	return takes
}

func (p *pooled) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	p.lastUsed = time.Now()
}

func (p *pooled) enter(s *stream, m *message.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[s] = m
}

func (p *pooled) leave(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, s)
}

// lesson is the stream of a tools/list. What it says is known before the client can act
// on it.
type lesson struct {
	*stream
	headers *sharedTable
}

func (l lesson) Deliver(e backend.Event) {
	if e.Last && e.Message != nil {
		l.headers.Learn(e.Message.Result.Get("tools"))
	}
	l.stream.Deliver(e)
}

// ownUpdates is the stream of a listen at a process that all users share: of updates it
// gets those that are stamped for its user.
type ownUpdates struct {
	*stream
	user string
}

func (o ownUpdates) Deliver(e backend.Event) {
	if !e.Last && e.Message != nil && e.Message.Method == message.MethodUpdated && !stampedFor(e.Message, o.user) {
		return
	}
	o.stream.Deliver(e)
}

// discovery is the stream of a server/discover at a process that all users share. What would
// reach nobody is not offered.
type discovery struct{ *stream }

func (discovery) Adjust(m *message.Message, edit *message.Editor) {
	translate.WithholdSubscribe(m, edit)
}

// stampedFor says whether the server has written that a notification is for the user.
func stampedFor(m *message.Message, user string) bool {
	stamp, ok := m.Meta.String(identity.UpdateKey)
	return ok && user != "" && stamp == user
}

// stampedForAnother says whether the server has written that a notification is for a user,
// and not for this one. A changed list need not say: one that does not is everyone's.
func stampedForAnother(m *message.Message, user string) bool {
	_, ok := m.Meta.String(identity.UpdateKey)
	return ok && !stampedFor(m, user)
}

func emptyResult(id []byte) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":{}}`, id)
}

// sink is where the answer to a call goes.
func (p *pooled) sink(s *stream, call *admission.Call) backend.Sink {
	switch m := call.Message; {
	case m.Method == message.MethodToolsList:
		return lesson{s, p.headers}
	case m.Method == message.MethodDiscover && p.bridge.per == PerShared:
		return discovery{s}
	case m.Method == message.MethodListen && p.bridge.per == PerShared:
		return readUpdates{ownUpdates{s, user(call.Principal)}, call.Hears}
	case m.Method == message.MethodListen && call.Hears != nil:
		return readUpdates{s, call.Hears}
	case translate.MayAsk(m.Method):
		return interruptible{s, p, call}
	}
	return s
}

// forget makes room for a fresh process of the kind.
func (p *pooled) forget() {
	b := p.bridge
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.forgotten {
		return
	}
	p.forgotten = true
	if p.headers.processes--; p.headers.processes == 0 {
		delete(b.headers, p.kind.tools())
	}
	members := slices.DeleteFunc(b.pool[p.kind], func(other *pooled) bool { return other == p })
	if len(members) == 0 {
		delete(b.pool, p.kind)
		return
	}
	b.pool[p.kind] = members
}

// end ends the process. Calls in flight and listeners are told.
func (p *pooled) end(reason string) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	p.mu.Unlock()
	p.clear(reason)
}

// clear is what follows, once, after ended was set.
func (p *pooled) clear(reason string) {
	p.mu.Lock()
	if p.idle != nil {
		p.idle.Stop()
	}
	conn := p.conn
	var why error // they listen no more, if that is no good end
	if conn != nil && !conn.Open() {
		p.died, why = true, backend.ErrClosed
	}
	for l := range p.listeners {
		l.finish(why)
	}
	p.mu.Unlock()
	p.forget()
	if p.tenants != nil {
		p.tenants.bereave()
	}
	if conn != nil {
		conn.Close(reason)
	}
}

func (p *pooled) reap() {
	timeout := p.bridge.settings.Load().IdleTimeout
	p.mu.Lock()
	left := timeout - time.Since(p.lastUsed)
	if p.users > 0 || p.reports() || p.tenants != nil && p.tenants.subscribed() {
		left = timeout
	}
	due := left <= 0 && !p.ended
	if due {
		p.ended = true // with the lock held: no caller slips in between
	} else if !p.ended {
		p.idle.Reset(left)
	}
	p.mu.Unlock()
	if due {
		p.clear("idle")
	}
}

// closed is told when the process is gone.
func (p *pooled) closed(err error) {
	p.bridge.settings.Load().Logger.Debug("a server has ended", "error", err)
	p.mu.Lock()
	crashed := !p.ended || p.died
	p.mu.Unlock()
	if crashed {
		p.bridge.breaker.ended(p.kind, time.Since(p.began))
	}
	p.end("the server has ended")
	if p.tenants != nil {
		p.tenants.bereave()
	}
	p.bridge.exited(p.kind.owner)
	close(p.gone)
}

// fromServer takes what names no call. What nobody listens to goes to the call that it can
// be about, if there is but one.
func (p *pooled) fromServer(m *message.Message, frame []byte) {
	p.mu.Lock()
	server, ended := p.server, p.ended
	p.mu.Unlock()
	switch {
	case ended && m.Kind == message.Request:
		p.answer(m) // a client that was asked now could not tell it from the next process's
		return
	case p.tenants != nil:
		p.tenants.fromServer(m, frame)
		return
	case m.Kind == message.Request:
		p.request(m)
		return
	}
	announced := translate.Announced(m.Method)
	if announced && server != nil {
		p.announce(m, nil)
		return
	}
	if target := p.onlyCall(m); target != nil && !announced {
		target.Deliver(backend.Event{Frame: frame, Message: m})
		return
	}
	p.bridge.settings.Load().Logger.Debug("a notification of the server belongs to no call", "method", m.Method)
}

// onlyCall is the sink of the one call in flight, if the notification may be about it and
// its client understands it. A log message must have been asked for.
func (p *pooled) onlyCall(m *message.Message) backend.Sink {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.calls) != 1 || p.bridge.per == PerShared || m.Method == message.MethodCancelled || m.Method == translate.ElicitationComplete {
		return nil // under shared it may be from another user's call that has just ended
	}
	for s, call := range p.calls {
		if m.Method != message.MethodLog {
			return s
		}
		level, _ := m.Params.String("level")
		asked, ok := call.Meta.String(message.MetaLogLevel)
		if ok && (p.server == nil || translate.Severity(level) >= translate.Severity(asked)) {
			return s
		}
	}
	return nil
}

// request answers a request of the server, or puts it to the client of the call that has
// the process alone. A modern server writes none.
func (p *pooled) request(m *message.Message) {
	p.mu.Lock()
	current := p.current
	p.mu.Unlock()
	if m.Method != message.MethodPing && p.capabilities.Allows(m) {
		p.bridge.hasAsked()
		if current != nil && !p.unsettled(nil) && current.ask(m) {
			return
		}
	}
	p.answer(m)
}

// answer answers a request of the server that no client is asked.
func (p *pooled) answer(m *message.Message) {
	answerUnasked(p.conn, m)
}

func answerUnasked(conn *backend.Conn, m *message.Message) {
	frame := emptyResult(m.ID)
	if m.Method != message.MethodPing {
		frame = answer.New(http.StatusOK, protocol.CodeMethodNotFound, "No client can be asked this now").Frame(m.ID)
	}
	_ = conn.Say(frame) // if it can't be told, it is ending
}
