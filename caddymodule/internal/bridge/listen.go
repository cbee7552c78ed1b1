package bridge

import (
	"context"
	"net/http"
	"slices"
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

// listen answers subscriptions/listen over what a legacy server has: it notifies without
// being asked, save of resources, which are subscribed to once for all who listen.
func (b *Bridge) listen(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings, p *pooled) *answer.Refusal {
	wants, err := p.server.Subscriptions(call.Message)
	if err != nil {
		return answer.New(http.StatusOK, protocol.CodeInvalidParams, "params.notifications is not what subscriptions/listen asks for")
	}
	slices.Sort(wants.URIs)
	wants.URIs = slices.Compact(wants.URIs)
	for i, uri := range wants.URIs {
		if refusal := subscribable(uri, i); refusal != nil {
			return refusal
		}
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
		p.letGo(subscription{l.owner, uri}, l.stamp)
	}
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
