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
	l := &listener{id: id, wants: wants, stream: &stream{request: id}}
	if wants.URIs, err = p.subscribe(r.Context(), l, wants.URIs); err != nil {
		return unavailable(err)
	}
	defer p.unsubscribe(l)
	p.mu.Lock()
	l.wants = wants
	l.stream.push(event{frame: wants.Acknowledged(id)})
	p.listeners[l] = true
	ended := p.ended
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.listeners, l)
	}()
	if !wants.Any() {
		l.stream.push(event{frame: backend.ListenResult(id), last: true})
	} else if ended {
		l.stream.push(event{last: true, err: backend.ErrClosed})
	}
	x := &exchange{bridge: b, call: call, stream: l.stream}
	last, err := x.run(w, r, modernDeadline(call, settings))
	b.record(settings.Audit, call, last, err, x.bytesOut)
	return nil
}

// subscribe asks the server for the updates of resources that nobody listens to yet. It
// returns those that it grants.
func (p *pooled) subscribe(ctx context.Context, l *listener, uris []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	var granted []string
	for _, uri := range uris {
		p.subscribing.Lock()
		first := p.subscribed[uri] == 0
		if first {
			answered, err := p.ask(ctx, translate.Subscribe(uri, true))
			if err != nil {
				p.subscribing.Unlock()
				return granted, err
			}
			if answered.IsError() {
				p.subscribing.Unlock()
				continue
			}
		}
		p.subscribed[uri]++
		p.subscribing.Unlock()
		granted = append(granted, uri)
		l.wants.URIs = slices.Clone(granted)
	}
	return granted, nil
}

// unsubscribe ends the updates that nobody listens to any more.
func (p *pooled) unsubscribe(l *listener) {
	for _, uri := range l.wants.URIs {
		p.subscribing.Lock()
		if p.subscribed[uri]--; p.subscribed[uri] == 0 {
			delete(p.subscribed, uri)
			ctx, cancel := context.WithTimeout(context.Background(), subscribeTime)
			// If the server can't be asked it is ending; if it refuses, updates that
			// come are for nobody.
			_, _ = p.ask(ctx, translate.Subscribe(uri, false))
			cancel()
		}
		p.subscribing.Unlock()
	}
}

// announce gives a notification to everyone who listens for it.
func (p *pooled) announce(m *message.Message) {
	p.mu.Lock()
	var to []*listener
	for l := range p.listeners {
		if l.wants.Wants(m) {
			to = append(to, l)
		}
	}
	p.mu.Unlock()
	for _, l := range to {
		l.stream.push(event{frame: translate.Notify(m, l.id), msg: m})
	}
}
