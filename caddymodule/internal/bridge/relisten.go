package bridge

import (
	"context"
	"errors"
	"slices"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// follow makes the session one that listens at the process. One that comes from a process
// that has ended takes its subscriptions along. A call does not wait until it listens: what that
// lists may change unseen.
func (p *pooled) follow(s *session, method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.share.listener
	if s.ended || before != nil && (before.at.generation > p.generation || before.at == p && !before.over.Load()) {
		if before != nil {
			before.listed = before.listed.With(translate.Listed(method))
		}
		return
	}
	l, stamp := before, s.share.stamp
	if l == nil || l.at != p {
		l = &listener{session: s, at: p, owner: s.owner, user: s.share.user, stamp: stamp, asks: s.share.asks()}
		s.share.listener = l
	}
	l.over.Store(false) // the same again, where another call may be about to change what it asks for
	go func() {
		if err := l.listen(stamp); err != nil {
			l.over.Store(true) // the next call tries again
			return
		}
		unseen := l.granted() // what may have changed
		if before == nil {
			s.mu.Lock()
			unseen = l.listed.Only(unseen)
			s.mu.Unlock()
		}
		for _, m := range unseen.Changes() {
			l.tell(m)
		}
	}()
}

// listen makes the session listen to all that it is subscribed to. A resource that the server
// refuses keeps it from nothing else.
func (l *listener) listen(stamp []message.MetaValue) error {
	u := l.at.union(l.owner)
	defer l.at.unionUsed(u)
	u.try()
	defer u.settle()
	ctx := context.Background()
	var uris []string
	refused, err := l.at.join(ctx, l, func(asks translate.Subscriptions) translate.Subscriptions {
		asks.URIs = l.session.subscriptions()
		l.stamp, uris = stamp, asks.URIs
		return asks
	})
	if err != nil || refused == nil {
		return err
	}
	refused, err = l.at.join(ctx, l, without(uris))
	switch {
	case err != nil:
		return err
	case refused != nil:
		l.at.bridge.settings.Load().Logger.Debug("the server takes no subscription")
		return nil
	}
	return l.listenTo(uris)
}

// listenTo adds resources, or as many of them as the server takes: it halves them until it knows
// which it refuses. To those the session is subscribed no more.
func (l *listener) listenTo(uris []string) error {
	refused, err := l.at.join(context.Background(), l, func(asks translate.Subscriptions) translate.Subscriptions {
		subscribed := l.session.subscriptions() // still, now that it is its turn
		uris = slices.DeleteFunc(slices.Clone(uris), func(uri string) bool {
			_, found := slices.BinarySearch(subscribed, uri)
			return !found
		})
		return with(uris)(asks)
	})
	switch {
	case err != nil || refused == nil || len(uris) == 0:
		return err
	case len(uris) == 1:
		l.session.forget(uris[0])
		return nil
	}
	half := len(uris) / 2
	return errors.Join(l.listenTo(uris[:half]), l.listenTo(uris[half:]))
}

// subscriptions are the resources to which the session is subscribed, in order.
func (s *session) subscriptions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share.asks().URIs
}

func (s *session) forget(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.share.uris, uri)
}

// with and without are changes of what a listener asks for.
func with(uris []string) change {
	return func(asks translate.Subscriptions) translate.Subscriptions {
		asks = without(uris)(asks)
		asks.URIs = append(asks.URIs, uris...)
		return asks
	}
}

func without(uris []string) change {
	return func(asks translate.Subscriptions) translate.Subscriptions {
		asks.URIs = slices.DeleteFunc(slices.Clone(asks.URIs), func(uri string) bool { return slices.Contains(uris, uri) })
		return asks
	}
}
