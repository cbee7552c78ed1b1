package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// union is the one subscriptions/listen that a modern server has from a user: for all that
// the user's clients listen to. Servers there are that remember one listen only for each
// connection, and many clients are behind this one. What changes the union ends the listen
// and opens another; whoever listened before is then told to look again.
type union struct {
	p     *pooled
	owner owner
	turn  chan struct{} // filled by the one who changes it

	users  int                 // of this entry; under pooled.mu
	listen *unionSink          // with the turn, to be written under pooled.mu as well
	stamp  []message.MetaValue // of who changed it last
	gap    bool                // changes may have gone by unseen since a listen was ended
	trying int                 // listeners that change it again and again, until settle
}

// unionSink hears what the server says to one listen of a union.
type unionSink struct {
	u       *union
	asked   translate.Subscriptions
	granted translate.Subscriptions // once acked is closed
	call    *backend.Call
	acked   chan struct{}
	over    chan struct{}
	last    backend.Event // once over is closed

	replaced bool // under pooled.mu
	dropped  bool // and only its end is heard; under pooled.mu
}

// lingering is how long a listen may take to end before another is opened all the same. A server
// need not answer what is cancelled, and many do not (MCP 2026-07-28, stdio, Cancellation): one
// that has kept silent is waited for briefly, until it answers one after all.
const (
	lingering = time.Second
	briefly   = 20 * time.Millisecond
)

// union returns the entry of a user, made if need be, until unionUsed.
func (p *pooled) union(of owner) *union {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.unions[of]
	if u == nil {
		u = &union{p: p, owner: of, turn: make(chan struct{}, 1)}
		p.unions[of] = u
	}
	u.users++
	return u
}

func (p *pooled) unionUsed(u *union) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.users--; u.users == 0 && u.listen == nil {
		delete(p.unions, u.owner)
	}
}

// change makes other subscriptions of those that a listener asks for.
type change func(translate.Subscriptions) translate.Subscriptions

func asItIs(asks translate.Subscriptions) translate.Subscriptions { return asks }

// join makes a listener one of those of its user, or changes what it asks for: when its turn
// comes, since others may have changed it meanwhile. It returns the server's answer if that
// is an error; then all is as before.
func (p *pooled) join(ctx context.Context, l *listener, to change) (refused *message.Message, err error) {
	u := p.union(l.owner)
	defer p.unionUsed(u)
	select {
	case u.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, backend.ErrSilent
	}
	defer func() { <-u.turn }()
	p.mu.Lock()
	before, there := l.asks, p.listeners[l]
	l.asks = to(before)
	left := l.left || p.bridge.barred(l.owner)
	if !left {
		p.listeners[l] = true
	}
	p.mu.Unlock()
	if left {
		return nil, errCanceled
	}
	u.stamp = l.stamp
	refused, err = u.adjust()
	p.mu.Lock()
	defer p.mu.Unlock()
	if refused == nil && err == nil {
		if u.listen == nil || !p.listeners[l] {
			return nil, nil // it has left meanwhile, or was told that the server has ended the listen
		}
		l.wants = l.asks.Only(u.listen.granted)
		l.acknowledge()
		return nil, nil
	}
	if l.asks = before; !there {
		delete(p.listeners, l)
	}
	if errors.Is(err, backend.ErrClosed) {
		return refused, err
	}
	p.mu.Unlock()
	u.restore()
	p.mu.Lock()
	return refused, err
}

// quit takes a listener out, in the background.
func (p *pooled) quit(l *listener) {
	p.mu.Lock()
	l.left = true
	delete(p.listeners, l)
	known := p.unions[l.owner] != nil // or it never joined
	p.mu.Unlock()
	if !known {
		return
	}
	u := p.union(l.owner)
	go func() {
		defer p.unionUsed(u)
		u.turn <- struct{}{}
		defer func() { <-u.turn }()
		u.restore()
	}()
}

// restore makes the server report what those want who are left, in the name of one of them.
// What it granted before it may refuse now: then they are told that they listen in vain.
func (u *union) restore() {
	u.p.mu.Lock()
	for l := range u.p.listeners {
		if l.owner == u.owner {
			u.stamp = l.stamp
			break
		}
	}
	u.p.mu.Unlock()
	if refused, err := u.adjust(); refused != nil || err != nil {
		u.p.mu.Lock()
		defer u.p.mu.Unlock()
		u.dismiss(errNotReported, anyone)
	}
}

func anyone(*listener) bool { return true }

var errNotReported = errors.New("the server does not report any more what was subscribed to")

// dismiss ends those of the user's listeners that are such. p.mu is held.
func (u *union) dismiss(why error, such func(*listener) bool) {
	for l := range u.p.listeners {
		if l.owner == u.owner && such(l) {
			l.acknowledge()
			l.finish(why)
			delete(u.p.listeners, l)
		}
	}
}

// adjust makes the server report what the user's listeners ask for, and no more. The turn
// is held.
func (u *union) adjust() (refused *message.Message, err error) {
	wanted, others := u.wanted()
	current := u.listen
	if current != nil && current.alive() {
		if others > 0 && slices.Equal(wanted.URIs, current.asked.URIs) {
			return nil, nil
		}
		current.end()
		u.gap = true
	}
	u.replaceBy(nil)
	if others == 0 {
		u.gap = false
		return nil, nil
	}
	next, refused, err := u.open(wanted)
	if refused != nil || err != nil {
		return refused, err
	}
	u.replaceBy(next)
	if !next.alive() { // it has just ended
		u.p.endListeners(next)
		u.gap = false
	}
	u.closeGap()
	return nil, nil
}

// closeGap tells whoever listens to look again if changes may have gone by unseen, once nobody
// is about to change the listen further. The turn is held.
func (u *union) closeGap() {
	if !u.gap || u.trying > 0 || u.listen == nil || !u.listen.alive() {
		return
	}
	u.gap = false
	for _, m := range u.listen.granted.Changes() {
		u.p.announce(m, &u.owner)
	}
}

// try begins several changes of which listeners are told once, by settle.
func (u *union) try() {
	u.turn <- struct{}{}
	u.trying++
	<-u.turn
}

func (u *union) settle() {
	u.turn <- struct{}{}
	u.trying--
	u.closeGap()
	<-u.turn
}

// replaceBy enters another listen, or none. Who loses something by it is ended: it listens
// again, and is told then what there is.
func (u *union) replaceBy(listen *unionSink) {
	u.p.mu.Lock()
	defer u.p.mu.Unlock()
	u.listen = listen
	if listen != nil {
		u.dismiss(nil, func(l *listener) bool { return l.ready && !l.keeps(listen.granted) })
	}
}

// keeps says whether all that the listener was granted, and has not given up, is granted.
// p.mu is held.
func (l *listener) keeps(granted translate.Subscriptions) bool {
	has := l.wants.Only(l.asks)
	kept := has.Only(granted)
	return has.Tools == kept.Tools && has.Prompts == kept.Prompts && has.Resources == kept.Resources && len(has.URIs) == len(kept.URIs)
}

// wanted is what the listeners ask for together. Changes of lists are always asked for:
// they are few, and who did not ask for them is not told.
func (u *union) wanted() (wanted translate.Subscriptions, listeners int) {
	u.p.mu.Lock()
	defer u.p.mu.Unlock()
	wanted = translate.Subscriptions{Tools: true, Prompts: true, Resources: true}
	for l := range u.p.listeners {
		if l.owner == u.owner {
			listeners++
			wanted.URIs = append(wanted.URIs, l.asks.URIs...)
		}
	}
	slices.Sort(wanted.URIs)
	wanted.URIs = slices.Compact(wanted.URIs)
	return wanted, listeners
}

// open sends a listen and waits until the server has taken it.
func (u *union) open(wanted translate.Subscriptions) (*unionSink, *message.Message, error) {
	sink := &unionSink{u: u, asked: wanted, acked: make(chan struct{}), over: make(chan struct{})}
	request, err := message.Parse(wanted.Listen(), 0)
	if err != nil {
		return nil, nil, fmt.Errorf("subscriptions/listen: %w", err)
	}
	if sink.call, err = u.p.conn.Call(request, u.stamp, sink); err != nil {
		return nil, nil, err
	}
	timer := time.NewTimer(subscribeTime)
	defer timer.Stop()
	select {
	case <-sink.acked:
		return sink, nil, nil
	case <-sink.over:
		if m := sink.last.Message; m != nil && m.IsError() {
			return nil, m, nil
		}
		if sink.last.Err != nil {
			return nil, nil, sink.last.Err
		}
		return nil, nil, errors.New("the server ended the subscription without taking it")
	case <-timer.C:
		sink.call.Cancel(nil, backend.ErrSilent.Error())
		return nil, nil, backend.ErrSilent
	}
}

func (s *unionSink) alive() bool {
	select {
	case <-s.over:
		return false
	default:
		return true
	}
}

// end ends the listen, and waits a moment until the server has.
func (s *unionSink) end() {
	p := s.u.p
	p.mu.Lock()
	s.replaced = true
	patience := p.linger()
	p.mu.Unlock()
	s.call.End("what is subscribed to has changed")
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.over:
	case <-timer.C:
		p.mu.Lock()
		first := !p.curt
		p.curt, s.dropped = true, true
		p.mu.Unlock()
		if !first { // whose answer may yet come
			s.call.Cancel(nil, backend.ErrSilent.Error())
		}
	}
}

// linger is how long the end of a listen is waited for. p.mu is held.
func (p *pooled) linger() time.Duration {
	if p.curt {
		return briefly
	}
	return lingering
}

// Deliver takes what the server says. It runs on the goroutine that reads from it.
func (s *unionSink) Deliver(e backend.Event) {
	p := s.u.p
	p.mu.Lock()
	dropped := s.dropped
	if dropped && e.Last {
		p.curt = false
	}
	p.mu.Unlock()
	switch {
	case e.Last:
		s.last = e
		close(s.over)
		p.endListeners(s)
	case e.Message.Method == message.MethodAcknowledge:
		select {
		case <-s.acked: // already
		default:
			// What can't be read grants nothing.
			s.granted, _ = translate.ReadSubscriptions(e.Message)
			close(s.acked)
		}
	case !dropped:
		p.announce(e.Message, &s.u.owner)
	}
}

// endListeners ends those whom a listen was for, which has ended.
func (p *pooled) endListeners(s *unionSink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.replaced && s.u.listen == s {
		s.u.dismiss(s.last.Err, anyone)
	}
}
