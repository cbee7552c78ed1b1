package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// farFuture is the deadline of a subscription that no token limits.
const farFuture = 100 * 365 * 24 * time.Hour

func (b *Bridge) serveModern(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) {
	if call.Message.Kind == message.Notification {
		if refusal := b.modernNotification(w, r, call, settings); refusal != nil {
			Refuse(w, call, refusal, settings.Logger, settings.Audit)
		}
		return
	}
	x := b.newExchange(w, call)
	x.statusOf = modernStatus
	if refusal := b.modernCall(r, call, settings, x); refusal != nil {
		x.refuse(settings, refusal)
	}
}

// modernNotification carries a notification to the process of the caller. Those that
// speak of a call or a session by name are accepted and go no further: a modern client
// cancels by closing the stream, and ids of several clients may be equal.
func (b *Bridge) modernNotification(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	switch call.Message.Method {
	case message.MethodCancelled, message.MethodInitialized, message.MethodProgress:
	default:
		release, refusal := b.admit(call, settings)
		if refusal != nil {
			return refusal
		}
		defer release()
		p, refusal := b.acquire(r.Context(), call, settings, nil)
		if refusal != nil {
			return refusal
		}
		defer p.release()
		if p.server != nil && call.Message.Method == rootsChanged {
			break // its server was told that roots do not change: it could ask nobody for them now
		}
		if err := p.conn.Send(call.Message, settings.stamp(call.Principal)); err != nil {
			return unavailable(err)
		}
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (b *Bridge) modernCall(r *http.Request, call *admission.Call, settings *Settings, x *exchange) *answer.Refusal {
	release, refusal := b.admit(call, settings)
	if refusal != nil {
		return refusal
	}
	defer release()
	state, refusal := b.openState(call)
	switch {
	case refusal != nil:
		return refusal
	case state == nil:
		return b.forward(r, call, settings, x)
	}
	if refusal := b.checkRetry(r, call, state.ID); refusal != nil {
		return refusal
	}
	relay := b.unpark(state.ID)
	if relay == nil {
		return b.retry(r, call, settings, state, x)
	}
	x.stream = relay.takeUp(call)
	b.carry(r, settings, x, relay)
	return nil
}

// forward carries a call to a process. With a refusal nothing has reached the server.
func (b *Bridge) forward(r *http.Request, call *admission.Call, settings *Settings, x *exchange) *answer.Refusal {
	p, refusal := b.acquire(r.Context(), call, settings, x)
	if refusal != nil {
		return refusal
	}
	if p.server != nil {
		return b.hostedCall(r, call, settings, p, x)
	}
	defer p.release()
	if call.Message.Method == message.MethodListen && translate.Plain(call.Message) {
		return b.listen(r, call, settings, p, x)
	}
	if refusal := p.checkHeaders(r, call); refusal != nil {
		return refusal
	}
	x.stream = &stream{request: call.Message.ID}
	p.enter(x.stream, call.Message)
	defer p.leave(x.stream)
	sent, err := p.conn.Call(call.Message, settings.stamp(call.Principal), shown(call, p.sink(x.stream, call)))
	if err != nil {
		return unavailable(err)
	}
	b.run(r, settings, x, sent)
	return nil
}

// run carries the answer of a call that was sent, or that the gateway answers itself.
func (b *Bridge) run(r *http.Request, settings *Settings, x *exchange, sent *backend.Call) event {
	last, err := x.run(r, modernDeadline(x.call, settings))
	if err != nil && sent != nil {
		sent.Cancel(nil, err.Error())
		b.doubt(sent.Conn(), settings)
	}
	x.record(settings.Audit, last, err)
	return last
}

func (p *pooled) checkHeaders(r *http.Request, call *admission.Call) *answer.Refusal {
	tool := call.Tool()
	if tool == "" {
		return nil
	}
	if err := p.headers.Check(r.Header, tool, call.Message.Params.Get("arguments")); err != nil {
		return answer.New(http.StatusBadRequest, protocol.CodeHeaderMismatch, "Header mismatch: %v", err)
	}
	return nil
}

// modernDeadline is when a call has taken too long. A subscription may go on as long
// as its token is good.
func modernDeadline(call *admission.Call, settings *Settings) time.Time {
	switch {
	case call.Message.Method != message.MethodListen:
		return time.Now().Add(settings.CallTimeout)
	case call.GoodUntil.IsZero():
		return time.Now().Add(farFuture)
	default:
		return call.GoodUntil
	}
}

// modernStatus is the HTTP status of an answer that comes first (MCP 2026-07-28,
// Streamable HTTP).
func modernStatus(e event) int {
	if e.msg == nil || !e.msg.IsError() {
		return http.StatusOK
	}
	code, _ := strconv.Atoi(string(e.msg.Error.Get("code")))
	switch code {
	case protocol.CodeMethodNotFound:
		return http.StatusNotFound
	case protocol.CodeHeaderMismatch, protocol.CodeMissingCapability, protocol.CodeUnsupportedVersion:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// unavailable is the answer when a message could not be handed to the process: there
// is no session that could have ended, so the client may just ask again.
func unavailable(err error) *answer.Refusal {
	if errors.Is(err, backend.ErrSilent) {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server did not answer in time").RetryAfter(subscribeTime)
	}
	refusal := refusalOf(err)
	if refusal.Status == http.StatusNotFound {
		return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server's process has just ended").RetryAfter(time.Second)
	}
	return refusal
}

// acquire returns the caller's process, started and probed if need be, and counts the
// caller as its user until release. x is that of a call whose client waits for the answer.
func (b *Bridge) acquire(ctx context.Context, call *admission.Call, settings *Settings, x *exchange) (*pooled, *answer.Refusal) {
	launch, err := settings.launch(call.Principal)
	if err != nil {
		return nil, failedToStart(settings, err)
	}
	key := kind{b.processOwner(call.Principal), launch.Digest, protocol.Modern.String()}
	for {
		b.mu.Lock()
		p := b.pick(key, false, false)
		if p == nil && b.legacyServer {
			b.mu.Unlock()
			return b.host(ctx, call, settings, launch.Digest, x)
		}
		if p == nil && !b.closed {
			p = b.newPooled(key)
			go p.start(call, settings, false)
		}
		b.mu.Unlock()
		if p == nil {
			return nil, closing()
		}
		if refusal := p.await(ctx, x); refusal != nil {
			return nil, refusal
		}
		if p.legacy || !p.use() {
			// It is of the other era, or it ended between being found and being used:
			// the next one is fresh.
			continue
		}
		return p, nil
	}
}

func clientGone() *answer.Refusal {
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The client went away")
}

func closing() *answer.Refusal {
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The gateway is shutting down").RetryAfter(time.Second)
}

// start starts the process, and probes it or, if the server is known to be legacy, takes
// it through initialize. It belongs to no request: the first caller may leave while others
// wait.
func (p *pooled) start(call *admission.Call, settings *Settings, legacy bool) {
	b := p.bridge
	_, p.refusal = b.launch(call, settings, p.kind.era, nil, func(_ Launch, open opener) *answer.Refusal {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			return closing()
		}
		cfg := backend.Config{Era: protocol.Modern, Unclaimed: p.fromServer, Hangs: p.hangs, Closed: p.closed}
		if legacy {
			cfg.Era = protocol.Legacy
		}
		if legacy && p.tenants == nil {
			cfg.Request, cfg.Result = p.translateRequest, p.translateResult
		}
		p.conn = open(cfg)
		return nil
	})
	switch {
	case p.refusal != nil:
	case legacy:
		p.handshake(settings)
	default:
		p.probe(settings)
	}
	if p.refusal != nil {
		p.forget() // before anyone hears of it: the next who comes is not to find this one
	}
	p.mu.Lock()
	if p.refusal == nil && !p.ended {
		p.idle = time.AfterFunc(settings.IdleTimeout, p.reap)
	}
	p.mu.Unlock()
	close(p.ready)
}

func (p *pooled) probe(settings *Settings) {
	ctx, cancel := context.WithTimeout(context.Background(), settings.StartTimeout)
	defer cancel()
	era, answered, err := p.conn.Probe(ctx)
	switch {
	case err != nil:
		p.bridge.breaker.failed(p.kind)
		p.refusal = failedToStart(settings, fmt.Errorf("it ended before it answered server/discover: %w", err))
		p.end("it failed to start")
	case era == protocol.Legacy:
		b := p.bridge
		b.mu.Lock()
		p.legacy = !b.modernServer
		b.legacyServer = p.legacy
		b.mu.Unlock()
		if !p.legacy {
			p.bridge.breaker.failed(p.kind)
			// Others of its kind are modern, so this is a fault and no sign of an era.
			p.refusal = failedToStart(settings, errors.New("it answered server/discover with an error"))
		}
		p.end("it speaks legacy protocol versions only")
	default:
		p.modern = translate.ReadDiscovered(answered)
		if p.bridge.per == PerShared && !p.modern.Stamps() {
			p.modern.WithholdSubscribe()
		}
		p.bridge.breaker.succeeded(p.kind)
		p.bridge.mu.Lock()
		p.bridge.modernServer = true
		p.bridge.mu.Unlock()
	}
}
