package bridge

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// share is what a legacy session has of a process that it shares with others. The session
// outlives the process: the next call starts another, and takes up there what the client
// had asked for.
type share struct {
	kind         kind
	client       translate.Client
	capabilities translate.Capabilities // that a legacy server is told
	user         string
	upgraded     bool                   // the server is modern
	sound        bool                   // a server that refused its initialize has none
	refused      atomic.Pointer[pooled] // the process that has refused initialize, if the last one did

	// Under session.mu:
	seats   int                 // what it has at a process, or waits for one with
	tenants *tenants            // of the newest process it was seen at
	level   string              // of logs, that the client asked for; "" if it did not
	uris    map[string]bool     // subscribed to
	stamp   []message.MetaValue // of its last message, for what is asked in its name

	listener *listener // of an upgraded session, instead of tenants
}

// rootsChanged is what a client says of its roots, which are those of one session.
const rootsChanged = "notifications/roots/list_changed"

// initializeShared begins a session at a process that is initialized once for all who
// share it.
func (b *Bridge) initializeShared(r *http.Request, call *admission.Call, settings *Settings, x *exchange) *answer.Refusal {
	launch, err := settings.launch(call.Principal)
	if err != nil {
		return failedToStart(settings, err)
	}
	s := b.makeSession(call)
	s.beginning = true
	s.digest = launch.Digest
	s.share = b.newShare(call, launch.Digest)
	if refusal := b.enterShared(s, settings); refusal != nil {
		return refusal
	}
	s.share.upgraded = b.servesModernOnly()
	x.sessionID = s.id
	p, refusal := b.seat(r.Context(), s, call, settings, x)
	if refusing := s.share.refused.Load(); refusal != nil && refusing != nil && !b.takesInitialize(true) {
		s.share.upgraded = true
		if modern, none := b.seatAfter(r.Context(), refusing.gone, s, call, settings, x); none == nil {
			p, refusal = modern, nil
			b.breaker.succeeded(s.share.kind) // the server has started, as one of another era
		}
	}
	if refusal != nil {
		s.end("the server failed to start")
		return refusal
	}
	defer p.stand(s)
	refusal = s.exchange(r, call, settings, x, settings.StartTimeout, func(in *inCall) (*backend.Call, error) {
		in.stream.push(event{frame: p.greet(s, call.Message.ID), last: true})
		return nil, nil
	})
	if refusal != nil {
		s.end("it did not begin")
	}
	return refusal
}

// greet is the answer to a client's initialize.
func (p *pooled) greet(s *session, id []byte) []byte {
	if s.share.upgraded {
		return p.modern.Initialized(id, s.share.client.Version)
	}
	return p.server.Greeting(p.greeting, id)
}

// newShare reads what decides which process serves the session. Versions that nobody
// speaks are one with the newest, so that a client can't have a process for each.
func (b *Bridge) newShare(call *admission.Call, digest string) *share {
	client := translate.ReadClient(call.Message)
	capabilities := translate.ReadCapabilities(call.Message.Params.Get("capabilities"))
	if b.per == PerShared {
		capabilities = translate.Capabilities{} // of nobody could it be told whom it asks
	}
	return &share{
		kind:   kind{b.processOwner(call.Principal), digest, "sessions " + client.Version + " " + capabilities.Key()},
		client: client, capabilities: capabilities, sound: true, user: user(call.Principal), uris: map[string]bool{},
	}
}

// enterShared counts a session and makes it known.
func (b *Bridge) enterShared(s *session, settings *Settings) *answer.Refusal {
	if !b.seats.Acquire(s.owner.key(), settings.MaxSessions) {
		return tooManySessions(settings)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if refusal := b.bars(s.owner); refusal != nil {
		b.seats.Release(s.owner.key())
		return refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = time.AfterFunc(settings.IdleTimeout, s.reap)
	b.sessions[s.id] = s
	return nil
}

// seat returns the process that the session shares, started if need be, with the session
// among those that use it, until stand.
func (b *Bridge) seat(ctx context.Context, s *session, call *admission.Call, settings *Settings, x *exchange) (*pooled, *answer.Refusal) {
	s.mu.Lock()
	s.share.seats++
	s.share.stamp = settings.stamp(call.Principal)
	s.mu.Unlock()
	find := b.findSeat
	if s.share.upgraded {
		find = b.findModern
	}
	p, refusal := find(ctx, s, call, settings, x)
	if refusal != nil {
		s.unseat()
	}
	return p, refusal
}

func (b *Bridge) findSeat(ctx context.Context, s *session, call *admission.Call, settings *Settings, x *exchange) (*pooled, *answer.Refusal) {
	for {
		b.mu.Lock()
		p := b.pick(s.share.kind, false, false)
		if p == nil && !b.closed {
			p = b.newPooled(s.share.kind)
			p.version, p.capabilities, p.tenants = s.share.client.Version, s.share.capabilities, newTenants(p)
			go p.start(call, settings, true)
		}
		b.mu.Unlock()
		if p == nil {
			return nil, closing()
		}
		if refusal := p.await(ctx, x); refusal != nil {
			if s.share.refused.Store(nil); p.refusedInitialize() {
				s.share.refused.Store(p)
			}
			return nil, refusal
		}
		if !p.use() {
			continue // it has ended since it was found: the next one is fresh
		}
		entered, over := p.tenants.enter(s)
		if entered {
			return p, nil
		}
		p.release()
		if over {
			return nil, answer.UnknownSession()
		}
	}
}

// stand ends what seat began.
func (p *pooled) stand(s *session) {
	s.unseat()
	p.release()
}

func (s *session) unseat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share.seats--
	s.lastUsed = time.Now()
}

// sharedCall carries one call of a session that shares its process.
func (s *session) sharedCall(r *http.Request, call *admission.Call, settings *Settings, x *exchange) *answer.Refusal {
	p, refusal := s.bridge.seat(r.Context(), s, call, settings, x)
	if refusal != nil {
		return refusal
	}
	x.cleanUp = append(x.cleanUp, func() { p.stand(s) })
	if s.share.upgraded {
		return s.upgradedCall(r, call, settings, x, p)
	}
	stamp := settings.stamp(call.Principal)
	return s.exchange(r, call, settings, x, settings.CallTimeout, func(in *inCall) (*backend.Call, error) {
		if frame := x.standing(call.Message, func() []byte { return p.tenants.answer(s, call.Message, stamp) }); frame != nil {
			in.stream.push(event{frame: frame, last: true})
			return nil, nil
		}
		// Before the server, which may ask something at once, is told.
		x.cleanUp = append(x.cleanUp, p.tenants.calls(s))
		return s.send(p.conn, call, stamp, in)
	})
}

// sharedNotification carries a notification, save those that speak of a session to a
// server that was told of none, or that name what may be another session's.
func (s *session) sharedNotification(r *http.Request, call *admission.Call, settings *Settings) *answer.Refusal {
	if m := call.Message.Method; m == message.MethodInitialized || m == rootsChanged || m == message.MethodProgress {
		return nil
	}
	release, refusal := s.bridge.admit(call, settings)
	if refusal != nil {
		return refusal
	}
	defer release()
	p, refusal := s.bridge.seat(r.Context(), s, call, settings, nil)
	if refusal != nil {
		return refusal
	}
	defer p.stand(s)
	if err := p.conn.Send(call.Message, settings.stamp(call.Principal)); err != nil {
		return unavailable(err)
	}
	return nil
}

// withdraw cancels a call of the session whose process goes on.
func (s *session) withdraw(in *inCall, reason string) {
	s.mu.Lock()
	call := in.call
	s.mu.Unlock()
	if call != nil && (call.Cancel(nil, reason) || in.quest != nil && in.quest.stop()) {
		in.stream.push(event{last: true, err: fmt.Errorf("%w: %s", errSessionOver, reason)})
	}
}

// vacate takes an ended session from the process it shares.
func (s *session) vacate(reason string) {
	s.bridge.seats.Release(s.owner.key())
	s.mu.Lock()
	calls := slices.Collect(maps.Values(s.calls))
	asked, at, listener := s.asked, s.share.tenants, s.share.listener
	s.asked = map[string]asking{}
	s.mu.Unlock()
	for _, in := range calls { // first, since a refused question may be the end of its call
		s.withdraw(in, reason)
	}
	for _, open := range asked {
		refusal := answer.New(http.StatusOK, protocol.CodeInternal, "The client has ended its session")
		_ = open.from.Say(refusal.Frame(open.id)) // if it can't be told, it is ending
	}
	if at != nil {
		at.remove(s)
	}
	if listener != nil {
		listener.at.quit(listener)
	}
}
