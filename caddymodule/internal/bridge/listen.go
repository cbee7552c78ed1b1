package bridge

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
	"github.com/snapgate/snapgate/identity"
)

// listener is one who listens to what a server notifies: a subscriptions/listen of a modern
// client, or a legacy session at a modern server.
type listener struct {
	id      []byte
	stream  *stream
	session *session // instead of id and stream
	at      *pooled  // with session
	over    atomic.Bool
	listed  translate.Subscriptions // what the session was told since it began; under session.mu

	owner owner
	user  string
	stamp []message.MetaValue // of the user, for what is asked of the server in their name

	visible visibility.Func // of a modern client: what it may read; nil for all

	// Under pooled.mu:
	asks  translate.Subscriptions // of a modern server
	wants translate.Subscriptions // as far as granted
	ready bool                    // it was told what it gets
	early []*message.Message      // came before
	left  bool
}

// maxEarly is how many notifications are kept for a listener that is not told yet what it
// gets.
const maxEarly = 64

// Bounds of what a session or a listen may be subscribed to, and of how long the server may
// take to subscribe.
const (
	maxSubscribed = 1024
	maxURI        = 8 << 10 // bytes
	subscribeTime = 10 * time.Second
)

// subscribable says why a resource can't be subscribed to; nil if it can, as the one more
// beside so many.
func subscribable(uri string, others int) *answer.Refusal {
	switch {
	case len(uri) > maxURI:
		return answer.New(http.StatusOK, protocol.CodeInvalidParams, "The URI has %d bytes: at most %d can be subscribed to", len(uri), maxURI)
	case others >= maxSubscribed:
		return answer.New(http.StatusOK, protocol.CodeInvalidParams, "At most %d resources can be subscribed to at once", maxSubscribed)
	}
	return nil
}

// listen answers subscriptions/listen. Nothing is passed on of it: a legacy server notifies
// without being asked, save of resources, which are subscribed to once for all who listen,
// and a modern one is asked once for all of a user.
func (b *Bridge) listen(r *http.Request, call *admission.Call, settings *Settings, p *pooled, x *exchange) *answer.Refusal {
	asks, err := translate.ReadSubscriptions(call.Message)
	if err != nil {
		return answer.New(http.StatusOK, protocol.CodeInvalidParams, "params.notifications is not what subscriptions/listen asks for")
	}
	for i, uri := range asks.URIs {
		if refusal := subscribable(uri, i); refusal != nil {
			return refusal
		}
	}
	if p.server == nil && b.per == PerShared && !p.modern.Stamps() {
		asks.URIs = nil // what would reach nobody is not granted
	}
	l := &listener{
		id: call.Message.ID, stream: &stream{request: call.Message.ID},
		owner: ownerOf(call.Principal), user: user(call.Principal), stamp: settings.stamp(call.Principal),
		visible: call.Hears, asks: asks,
	}
	if p.server == nil {
		defer p.quit(l)
		var refused *message.Message
		x.meanwhile(func() { refused, err = p.join(r.Context(), l, asItIs) })
		if err != nil {
			return unavailable(err)
		}
		if refused != nil {
			l.stream.push(event{frame: refused.Edit().ID(l.id).DropMeta(identity.MetaPrefix).Bytes(), msg: refused, last: true})
		}
	} else {
		defer p.unsubscribe(l)
		x.meanwhile(func() { err = p.subscribe(r.Context(), l, p.server.Grant(asks)) })
		if err != nil {
			return unavailable(err)
		}
	}
	x.stream = l.stream
	b.run(r, settings, x, nil)
	return nil
}

// acknowledge tells the listener what it gets, first of all. p.mu is held.
func (l *listener) acknowledge() {
	if l.ready {
		return
	}
	l.ready = true
	if l.session == nil {
		l.stream.push(event{frame: l.wants.Acknowledged(l.id)})
	}
	for _, m := range l.early {
		if l.wants.Wants(m) {
			l.tell(m)
		}
	}
	l.early = nil
}

func (l *listener) tell(m *message.Message) {
	if l.session != nil {
		l.session.deliver(nil, m, m.Edit().DropMeta(message.MetaSubscriptionID, identity.MetaPrefix).Bytes())
		return
	}
	if visibility.MayHear(l.visible, m) {
		l.stream.push(event{frame: translate.Notify(m, l.id), msg: m})
	}
}

// finish tells the listener that nothing more comes, and why, if that is no good end.
func (l *listener) finish(err error) {
	switch {
	case l.session != nil:
		l.over.Store(true) // it listens again with its next message
	case err != nil:
		l.stream.push(event{last: true, err: err})
	default:
		l.stream.push(event{frame: backend.ListenResult(l.id), last: true})
	}
}

// subscribe asks a legacy server for the updates of resources that nobody listens to yet,
// and makes l a listener to what it grants.
func (p *pooled) subscribe(ctx context.Context, l *listener, asks translate.Subscriptions) error {
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	uris := asks.URIs
	asks.URIs = nil
	l.wants = asks
	for _, uri := range uris {
		refused, err := p.hold(ctx, subscription{l.owner, uri}, l.stamp)
		if err != nil {
			return err
		}
		if refused == nil {
			l.wants.URIs = append(l.wants.URIs, uri)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.acknowledge()
	switch {
	case !l.wants.Any():
		l.finish(nil)
	case p.ended || p.bridge.barred(l.owner):
		l.finish(backend.ErrClosed)
	default:
		p.listeners[l] = true
	}
	return nil
}

// unsubscribe ends the updates that nobody listens to any more.
func (p *pooled) unsubscribe(l *listener) {
	p.mu.Lock()
	delete(p.listeners, l)
	p.mu.Unlock()
	for _, uri := range l.wants.URIs {
		p.letGo(subscription{l.owner, uri}, l.stamp)
	}
}

// announce gives a notification to everyone who listens for it; to those of one user, if it
// came for that user.
func (p *pooled) announce(m *message.Message, of *owner) {
	p.mu.Lock()
	var to []*listener
	for l := range p.listeners {
		switch {
		case of != nil && l.owner != *of:
		case p.bridge.per == PerShared && m.Method == message.MethodUpdated && !stampedFor(m, l.user):
		case p.bridge.per == PerShared && stampedForAnother(m, l.user):
		case !l.ready && len(l.early) < maxEarly:
			l.early = append(l.early, m)
		case l.ready && l.wants.Wants(m):
			to = append(to, l)
		}
	}
	p.mu.Unlock()
	for _, l := range to {
		l.tell(m)
	}
}
