package bridge

import (
	"context"
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// listener is one subscriptions/listen at a legacy server.
type listener struct {
	id     []byte
	wants  translate.Subscriptions
	stream *stream
	owner  owner
	user   string
	stamp  []message.MetaValue // of the user, for what is asked of the server in their name
}

// subscription is what a server was asked to report, and in whose name.
type subscription struct {
	owner owner
	uri   string
}

// subscribeTime bounds how long the server may take to subscribe to one resource.
const subscribeTime = 10 * time.Second

// listen answers subscriptions/listen over what a legacy server has: it notifies without
// being asked, save of resources, which are subscribed to once for all who listen.
func (b *Bridge) listen(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings, p *pooled) *answer.Refusal {
	wants, err := p.server.Subscriptions(call.Message)
	if err != nil {
		return answer.New(http.StatusOK, protocol.CodeInvalidParams, "params.notifications is not what subscriptions/listen asks for")
	}
	id := call.Message.ID
	l := &listener{
		id: id, wants: wants, stream: &stream{request: id},
		owner: ownerOf(call.Principal), user: user(call.Principal), stamp: settings.stamp(call.Principal),
	}
	l.wants.URIs = nil
	defer p.unsubscribe(l)
	if err := p.subscribe(r.Context(), l, wants.URIs); err != nil {
		return unavailable(err)
	}
	p.mu.Lock()
	l.stream.push(event{frame: l.wants.Acknowledged(id)})
	p.listeners[l] = true
	ended := p.ended
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.listeners, l)
	}()
	if !l.wants.Any() {
		l.stream.push(event{frame: backend.ListenResult(id), last: true})
	} else if ended {
		l.stream.push(event{last: true, err: backend.ErrClosed})
	}
	b.run(w, r, call, settings, &exchange{stream: l.stream}, nil)
	return nil
}

// subscribe asks the server for the updates of resources that nobody listens to yet. What
// it grants is entered in l, which nobody else knows yet.
func (p *pooled) subscribe(ctx context.Context, l *listener, uris []string) error {
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	for _, uri := range uris {
		refused, err := p.hold(ctx, subscription{l.owner, uri}, l.stamp)
		if err != nil {
			return err
		}
		if refused == nil {
			l.wants.URIs = append(l.wants.URIs, uri)
		}
	}
	return nil
}

// unsubscribe ends the updates that nobody listens to any more.
func (p *pooled) unsubscribe(l *listener) {
	for _, uri := range l.wants.URIs {
		p.letGo(context.Background(), subscription{l.owner, uri}, l.stamp)
	}
}

// hold counts one who wants the updates of a resource; for the first the server is asked.
// If it refuses, or gives no answer, nothing is counted.
func (p *pooled) hold(ctx context.Context, of subscription, stamp []message.MetaValue) (refused *message.Message, err error) {
	p.subscribing.Lock()
	defer p.subscribing.Unlock()
	if p.subscribed[of] == 0 {
		answered, err := p.conn.Ask(ctx, translate.Subscribe(of.uri, true), stamp...)
		if err != nil {
			return nil, err
		}
		if answered.IsError() {
			return answered, nil
		}
	}
	p.subscribed[of]++
	return nil, nil
}

// letGo ends what hold began; with the last the server is told.
func (p *pooled) letGo(ctx context.Context, of subscription, stamp []message.MetaValue) {
	p.subscribing.Lock()
	defer p.subscribing.Unlock()
	if p.subscribed[of]--; p.subscribed[of] > 0 {
		return
	}
	delete(p.subscribed, of)
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	// If the server can't be asked it is ending; if it refuses, updates that come are for
	// nobody.
	_, _ = p.conn.Ask(ctx, translate.Subscribe(of.uri, false), stamp...)
}

// announce gives a notification to everyone who listens for it.
func (p *pooled) announce(m *message.Message) {
	p.mu.Lock()
	var to []*listener
	for l := range p.listeners {
		if l.wants.Wants(m) && (p.bridge.per != PerShared || m.Method != translate.ResourceUpdated || stampedFor(m, l.user)) {
			to = append(to, l)
		}
	}
	p.mu.Unlock()
	for _, l := range to {
		l.stream.push(event{frame: translate.Notify(m, l.id), msg: m})
	}
}
