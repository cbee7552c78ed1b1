package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// queuePatience is how long a call waits for a busy process of its kind before another is
// started.
const queuePatience = time.Second

// host returns a process of a legacy server for a modern caller. A call that the server
// may interrupt with a question gets the process for itself until it has ended: questions
// of legacy servers do not say which call they belong to.
func (b *Bridge) host(ctx context.Context, call *admission.Call, settings *Settings, launch string, x *exchange) (*pooled, *answer.Refusal) {
	capabilities := translate.ReadCapabilities(call.Message.Meta.Get(message.MetaClientCapabilities))
	if b.per == PerShared {
		capabilities = translate.Capabilities{} // of nobody could it be told whom it asks
	}
	key := kind{b.processOwner(call.Principal), launch, protocol.Legacy.String() + " " + capabilities.Key()}
	alone := capabilities.Any() && translate.MayAsk(call.Message.Method)
	queued := time.Now().Add(settings.QueueTimeout)
	for began := time.Now(); ; {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return nil, closing()
		}
		p := b.pick(key, alone, true)
		freed := b.freed
		room := b.processes < settings.MaxProcesses && (b.per == PerShared || b.perUser.InUse(key.owner.key()) < settings.MaxSessions)
		if p == nil && !room {
			p = b.pick(key, alone, false) // what its server asks is refused
		}
		if p == nil && room && (len(b.pool[key]) == 0 || time.Since(began) >= queuePatience || b.allParked(key)) {
			p = b.newPooled(key)
			p.version, p.capabilities, p.taken = protocol.Version20251125, capabilities, alone
			go p.start(call, settings, true)
		}
		b.mu.Unlock()
		if p != nil {
			refusal := p.await(ctx, x)
			if refusal == nil && p.use() {
				return p, nil
			}
			if refusal != nil {
				if alone {
					p.free()
				}
				return nil, refusal
			}
			continue
		}
		if time.Now().After(queued) {
			return nil, answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "All server processes are taken").RetryAfter(settings.QueueTimeout)
		}
		select {
		case <-freed:
		case <-x.hushed():
			x.comfort()
		case <-b.stopping:
			return nil, closing()
		case <-time.After(queuePatience / 10):
		case <-ctx.Done():
			return nil, clientGone()
		}
	}
}

// pick finds a process of a kind, and takes it if it is to be had alone. If it is to be settled,
// and the server is one that asks, it is then none to which a question of a cancelled call may
// come. b.mu is held.
func (b *Bridge) pick(key kind, alone, settled bool) *pooled {
	for _, p := range b.pool[key] {
		if !alone {
			return p
		}
		if !p.taken && !(settled && b.asks && p.unsettled(nil)) {
			p.taken = true
			return p
		}
	}
	return nil
}

// unsettled says whether the server may still be at a cancelled call of another, who could
// be meant by what it asks.
func (p *pooled) unsettled(of any) bool {
	select {
	case <-p.ready:
		return p.conn != nil && p.conn.Lapsed(of, p.bridge.settling)
	default:
		return false
	}
}

// solo is whose the calls are that have a process for themselves: each that was cancelled
// before is another's.
type solo struct{}

// hasAsked remembers that the server is one that asks.
func (b *Bridge) hasAsked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asks = true
}

// allParked says whether every process of a kind waits for its client. b.mu is held.
func (b *Bridge) allParked(key kind) bool {
	waiting := map[*pooled]bool{}
	for _, r := range b.parked {
		waiting[r.p] = true
	}
	for _, p := range b.pool[key] {
		if !waiting[p] {
			return false
		}
	}
	return true
}

// free lets the next call have the process.
func (p *pooled) free() {
	b := p.bridge
	b.mu.Lock()
	defer b.mu.Unlock()
	p.taken = false
	close(b.freed)
	b.freed = make(chan struct{})
}

// handshake takes a legacy server through initialize.
func (p *pooled) handshake(settings *Settings) {
	ctx, cancel := context.WithTimeout(context.Background(), settings.StartTimeout)
	defer cancel()
	answered, err := p.conn.Ask(ctx, p.capabilities.Initialize(p.version, "snapgate", backend.Version))
	var server *translate.Server
	if err == nil {
		p.refuses = answered.IsError()
		server, err = translate.ReadServer(answered)
	}
	if err == nil {
		if p.bridge.per == PerShared && !server.Stamps() {
			server.WithholdSubscribe()
		}
		p.mu.Lock()
		p.server, p.greeting = server, answered
		p.mu.Unlock()
		err = p.conn.Say(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":%q}`, message.MethodInitialized))
	}
	if err == nil {
		p.bridge.breaker.succeeded(p.kind)
		p.bridge.tookInitialize()
	} else {
		p.bridge.breaker.failed(p.kind)
		if p.tenants == nil {
			// It may have been replaced by a modern one: look again next time.
			p.bridge.mu.Lock()
			p.bridge.legacyServer = false
			p.bridge.mu.Unlock()
		}
		p.refusal = failedToStart(settings, fmt.Errorf("initialize: %w", err))
		p.end("it failed to start")
	}
}

// translateRequest and translateResult adjust what a modern client and a legacy server
// say to one another, once the server has told what it is.
func (p *pooled) translateRequest(m *message.Message, edit *message.Editor) {
	if server := p.hosts(); server != nil {
		server.Request(m, edit)
	}
}

func (p *pooled) translateResult(method string, m *message.Message, edit *message.Editor) {
	if server := p.hosts(); server != nil {
		server.Result(method, m, edit)
	}
}

func (p *pooled) hosts() *translate.Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server
}

// hostedCall carries a call of a modern client to a legacy server. The process was
// acquired by the caller, and is given back here or, if the call is parked, at its end.
func (b *Bridge) hostedCall(r *http.Request, call *admission.Call, settings *Settings, p *pooled, x *exchange) *answer.Refusal {
	m := call.Message
	alone := p.capabilities.Any() && translate.MayAsk(m.Method)
	giveBack := func() {
		if alone {
			p.free()
		}
		p.release()
	}
	refusal := p.checkHeaders(r, call)
	if refusal == nil {
		refusal = checkLevel(m)
	}
	switch {
	case refusal != nil:
	case m.Method == message.MethodDiscover:
		x.stream = &stream{request: m.ID}
		x.stream.push(event{frame: p.server.Discover(m.ID), last: true})
		b.run(r, settings, x, nil)
	case m.Method == message.MethodListen:
		refusal = b.listen(r, call, settings, p, x)
	case translate.Removed(m.Method):
		refusal = answer.New(http.StatusNotFound, protocol.CodeMethodNotFound, "%s does not exist in protocol version %s", m.Method, call.Version)
	default:
		return b.sendHosted(r, call, settings, p, x, alone, giveBack)
	}
	giveBack()
	return refusal
}

func (b *Bridge) sendHosted(r *http.Request, call *admission.Call, settings *Settings, p *pooled, x *exchange, alone bool, giveBack func()) *answer.Refusal {
	m := call.Message
	p.setLevel(m)
	s := &stream{request: m.ID}
	x.stream = s
	if !alone {
		defer giveBack()
		p.enter(s, m)
		defer p.leave(s)
		sent, err := p.conn.Call(m, settings.stamp(call.Principal), shown(call, p.sink(s, call)))
		if err != nil {
			return unavailable(err)
		}
		b.run(r, settings, x, sent)
		return nil
	}
	bound, err := boundTo(call)
	if err != nil {
		giveBack()
		return answer.New(http.StatusBadRequest, protocol.CodeInvalidParams, "%v", err)
	}
	relay := &relay{bridge: b, p: p, bound: bound, request: call, target: s}
	p.mu.Lock()
	p.current = relay
	p.mu.Unlock()
	p.enter(s, m) // and so it is told of what the server says at once
	// The server may ask before Call has returned: ask waits for the lock.
	relay.mu.Lock()
	relay.call, err = p.conn.CallFor(solo{}, m, settings.stamp(call.Principal), relay)
	relay.mu.Unlock()
	if err != nil {
		p.leave(s)
		p.freeFrom(relay)
		p.release()
		return unavailable(err)
	}
	b.carry(r, settings, x, relay)
	return nil
}

// carry writes what a call with a relay has to say to one request of the client, whose stream is
// entered at the process. If that ends with a question the process stays with the call, unless the
// client left before it was asked, which cancels the call.
func (b *Bridge) carry(r *http.Request, settings *Settings, x *exchange, relay *relay) {
	last := b.run(r, settings, x, relay.call)
	relay.p.leave(x.stream)
	if !last.parks || x.unread(r) { // then nobody has the state to come back with
		relay.close()
	}
}

// freeFrom takes the process from the call that had it alone.
func (p *pooled) freeFrom(r *relay) {
	p.mu.Lock()
	if p.current == r {
		p.current = nil
	}
	p.mu.Unlock()
	p.free()
}

// checkLevel refuses a log level that there is not (MCP 2026-07-28, Logging, Error Handling): the
// server, which is not told of it, cannot.
func checkLevel(m *message.Message) *answer.Refusal {
	raw := m.Meta.Get(message.MetaLogLevel)
	if level, _ := message.Unquote(raw); raw == nil || string(raw) == "null" || translate.Severity(level) >= 0 {
		return nil
	}
	return answer.New(http.StatusOK, protocol.CodeInvalidParams, "params._meta: %q must be one of %s", message.MetaLogLevel, strings.Join(translate.Levels, ", "))
}

// setLevel makes a legacy server log what a modern call asks for: its level is the lowest
// that any call asked for, and more is filtered out.
func (p *pooled) setLevel(m *message.Message) {
	if level, ok := m.Meta.String(message.MetaLogLevel); ok && p.server.Has("logging", "") {
		p.lower(level)
	}
}
