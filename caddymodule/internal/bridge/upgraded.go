package bridge

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
	"github.com/snapgate/snapgate/identity"
)

// An upgraded session is one of a legacy client at a modern server, which has no sessions.
// The gateway keeps it: what the client says of itself in initialize goes into each request,
// what it subscribes to is listened to, and what the server wants to know in mid-call is
// asked of it. The process is the one that the user's modern clients have.

// defaultLevel is what an upgraded session logs until its client says otherwise: a legacy
// server decides that by itself, and a modern one would log nothing.
const defaultLevel = "info"

// greeting sends the initialize of a session that has its own child. If the server refuses
// it, it may be one of modern versions only: the session then goes on as an upgraded one. A
// spare that was sent the same before has answered already.
func (b *Bridge) greeting(s *session, spare *spare, call *admission.Call, settings *Settings) sender {
	return func(in *inCall) (*backend.Call, error) {
		if spare != nil && spare.greeting != nil {
			frame := spare.greeting.Edit().ID(call.Message.ID).DropMeta(identity.MetaPrefix).Bytes()
			in.stream.push(event{frame: frame, msg: spare.greeting, last: true})
			return nil, nil
		}
		return s.sendTo(s.conn, call.Message, settings.stamp(call.Principal), in, &greeted{stream: in.stream, refused: func(e event) {
			if b.takesInitialize(translate.Sound(call.Message)) {
				in.stream.push(e)
				return
			}
			go func() {
				if frame := b.upgrade(s, call, settings); frame != nil {
					e = event{frame: frame, last: true}
				}
				in.stream.push(e)
			}()
		}})
	}
}

// greeted is the stream of an initialize.
type greeted struct {
	*stream
	refused func(event)
}

func (g *greeted) Deliver(e backend.Event) {
	if e.Message != nil && e.Message.IsError() {
		g.refused(event{frame: e.Frame, msg: e.Message, last: true})
		return
	}
	g.stream.Deliver(e)
}

// tookInitialize remembers that the server has initialize.
func (b *Bridge) tookInitialize() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.initialized, b.initializes = true, true
}

// takesInitialize says whether the server is known to be of legacy versions. Each refusal of a
// sound initialize makes it less known.
func (b *Bridge) takesInitialize(sound bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.legacyServer || b.initialized
	if sound {
		b.initialized = false
	}
	return known
}

// upgrade puts an upgraded session in the place of one whose child refused initialize. It
// returns the answer for the client, nil if the server is not modern either.
func (b *Bridge) upgrade(refused *session, call *admission.Call, settings *Settings) []byte {
	refused.end("the server refused initialize")
	s := b.makeSession(call)
	s.id, s.digest = refused.id, refused.digest
	s.share = b.newShare(call, s.digest)
	s.share.upgraded, s.share.sound = true, translate.Sound(call.Message)
	if b.enterShared(s, settings) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), settings.StartTimeout)
	defer cancel()
	p, refusal := b.seatAfter(ctx, refused.gone, s, call, settings, nil)
	if refusal != nil {
		s.end("the server refused initialize")
		return nil
	}
	defer p.stand(s)
	if !refused.succeededBy(s, call.Message) {
		s.end("its client has gone")
		return nil
	}
	return p.greet(s, call.Message.ID)
}

// seatAfter is seat for a session whose first process has refused initialize. Until that one is
// gone it counts, and it may be the only one that there may be.
func (b *Bridge) seatAfter(ctx context.Context, gone <-chan struct{}, s *session, call *admission.Call, settings *Settings, x *exchange) (*pooled, *answer.Refusal) {
	p, refusal := b.seat(ctx, s, call, settings, x)
	if refusal == nil || refusal.Status != http.StatusTooManyRequests && refusal.Status != http.StatusServiceUnavailable {
		return p, refusal
	}
	for {
		select {
		case <-gone:
			return b.seat(ctx, s, call, settings, x)
		case <-x.hushed():
			x.comfort()
		case <-b.stopping:
			return nil, refusal
		case <-ctx.Done():
			return nil, refusal
		}
	}
}

// succeededBy enters the session that takes the place of this one, to share its end if the
// client is not told of it. It reports whether the client still waits.
func (s *session) succeededBy(other *session, initialize *message.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.successor = other
	return s.calls[message.IDKey(initialize.ID)] != nil
}

// findModern returns the process that an upgraded session uses, until release.
func (b *Bridge) findModern(ctx context.Context, s *session, call *admission.Call, settings *Settings, x *exchange) (*pooled, *answer.Refusal) {
	p, refusal := b.acquire(ctx, call, settings, x)
	if refusal == nil || refusal.Status == http.StatusBadGateway { // otherwise it says nothing of the server
		b.foundModern(refusal == nil && p.server == nil, s.share.sound) // if it fails, initialize is tried again
	}
	if refusal != nil {
		return nil, refusal
	}
	if p.server != nil {
		p.release()
		s.end("the server speaks legacy versions now")
		if call.Message.Method == message.MethodInitialize {
			return nil, answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server has just been replaced: try again").RetryAfter(time.Second)
		}
		return nil, answer.UnknownSession()
	}
	p.follow(s, call.Method())
	return p, nil
}

// foundModern notes whether the server was found modern by a session whose initialize it has
// refused. A client that said there what servers refuse, or that has a version which this one
// does not take, is upgraded itself; others may be served better by initialize.
func (b *Bridge) foundModern(modern, sound bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.modernOnly = modern && (b.modernOnly || sound && !b.initializes)
}

// servesModernOnly says whether the server was found to have no initialize.
func (b *Bridge) servesModernOnly() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.modernOnly
}

// asks is what the session listens to. The session's mu is held.
func (s *share) asks() translate.Subscriptions {
	return translate.Subscriptions{Tools: true, Prompts: true, Resources: true, URIs: slices.Sorted(maps.Keys(s.uris))}
}

// upgradedCall carries one call.
func (s *session) upgradedCall(r *http.Request, call *admission.Call, settings *Settings, x *exchange, p *pooled) *answer.Refusal {
	stamp := settings.stamp(call.Principal)
	quest := &quest{s: s, p: p, stamp: stamp}
	quest.sink = shown(call, quest)
	x.cleanUp = append(x.cleanUp, quest.close)
	return s.exchange(r, call, settings, x, settings.CallTimeout, func(in *inCall) (*backend.Call, error) {
		if frame := x.standing(call.Message, func() []byte { return p.answerUpgraded(s, call.Message) }); frame != nil {
			in.stream.push(event{frame: frame, last: true})
			return nil, nil
		}
		s.mu.Lock()
		level := s.share.level
		s.mu.Unlock()
		if level == "" && p.modern.Has("logging", "") {
			level = defaultLevel
		}
		request, err := s.share.client.Request(call.Message, level)
		if err != nil {
			in.stream.push(event{frame: answer.New(http.StatusOK, protocol.CodeInvalidRequest, "%v", err).Frame(call.Message.ID), last: true})
			return nil, nil
		}
		quest.in, quest.request = in, request
		s.mu.Lock()
		in.quest = quest
		s.mu.Unlock()
		p.enter(in.stream, request)
		return s.sendTo(p.conn, request, stamp, in, quest.sink)
	})
}

// answerUpgraded is the gateway's answer to what a modern server does not know, nil if the
// call is the server's to answer.
func (p *pooled) answerUpgraded(s *session, m *message.Message) []byte {
	if translate.MayAsk(m.Method) && stateIn(&m.Params) != nil {
		return callAgain().Frame(m.ID) // the gateway keeps the server's: no client was given one
	}
	switch m.Method {
	case message.MethodPing:
		return emptyResult(m.ID)
	case message.MethodListen, message.MethodDiscover:
		return answer.New(http.StatusOK, protocol.CodeMethodNotFound, "%s does not exist in this version of the protocol", m.Method).Frame(m.ID)
	case message.MethodSetLevel:
		level, _ := m.Params.String("level")
		if translate.Severity(level) < 0 {
			return answer.New(http.StatusOK, protocol.CodeInvalidParams, "There is no log level %q", level).Frame(m.ID)
		}
		s.mu.Lock()
		s.share.level = level
		s.mu.Unlock()
		return emptyResult(m.ID)
	case message.MethodSubscribe, message.MethodUnsubscribe:
		uri, ok := m.Params.String("uri")
		switch {
		case !p.modern.Has("resources", "subscribe"):
			return answer.New(http.StatusOK, protocol.CodeMethodNotFound, "There are no subscriptions to resources here").Frame(m.ID)
		case !ok:
			return answer.New(http.StatusOK, protocol.CodeInvalidParams, "params.uri is missing").Frame(m.ID)
		}
		return p.subscribeUpgraded(s, m, uri)
	}
	return nil
}

// subscribeUpgraded changes what the session listens to.
func (p *pooled) subscribeUpgraded(s *session, m *message.Message, uri string) []byte {
	on := m.Method == message.MethodSubscribe
	s.mu.Lock()
	others, had := len(s.share.uris), s.share.uris[uri]
	if !on && !had {
		s.mu.Unlock()
		return emptyResult(m.ID)
	}
	if refusal := subscribable(uri, others); on && !had && refusal != nil {
		s.mu.Unlock()
		return refusal.Frame(m.ID)
	}
	if on { // had or not: another call may be asking for it, and be refused
		s.share.uris[uri] = true
	} else {
		delete(s.share.uris, uri)
	}
	l := s.share.listener
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), subscribeTime) // a client that leaves has not cancelled
	defer cancel()
	to := without([]string{uri})
	if on {
		to = with([]string{uri})
	}
	refused, err := l.at.join(ctx, l, to)
	if !on || refused == nil && err == nil && slices.Contains(l.granted().URIs, uri) {
		return emptyResult(m.ID)
	}
	if !had {
		s.forget(uri)
	}
	switch {
	case refused != nil:
		return refused.Edit().ID(m.ID).DropMeta(identity.MetaPrefix).Bytes()
	case err == nil:
		err = errors.New("the server does not report this resource")
	}
	return faultFrame(err, m.ID)
}

// granted is what the listener is told of.
func (l *listener) granted() translate.Subscriptions {
	l.at.mu.Lock()
	defer l.at.mu.Unlock()
	return l.wants
}

// reports says whether an upgraded session waits for updates. p.mu is held.
func (p *pooled) reports() bool {
	for l := range p.listeners {
		if l.session != nil && len(l.asks.URIs) > 0 {
			return true
		}
	}
	return false
}
