package bridge

import (
	"net/http"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Voucher is whose word says who a user is: an issuer's, by one claim of its tokens.
type Voucher struct{ Issuer, Claim string }

// recognition is whose users are served, and whose are not any more. Of other vouchers
// nothing is known: a configuration that has them is about to start.
type recognition struct {
	recognized map[Voucher]bool
	barred     map[Voucher]bool
}

// Recognize makes these the vouchers whose users are served. What belongs to the users of
// those that were recognized before ends at once: their sessions with all streams, their
// processes, their listens. Their calls are refused, for the configuration that is being
// replaced still lets some in.
//
// The function returned takes it back, unless Recognize has been called since: for a
// configuration that was not started after all.
func (b *Bridge) Recognize(vouchers []Voucher) (undo func()) {
	now := &recognition{recognized: map[Voucher]bool{}, barred: map[Voucher]bool{}}
	for _, v := range vouchers {
		now.recognized[v] = true
	}
	b.mu.Lock()
	before := b.recognition.Load()
	if before != nil {
		for _, known := range []map[Voucher]bool{before.recognized, before.barred} {
			for v := range known {
				if !now.recognized[v] {
					now.barred[v] = true
				}
			}
		}
	}
	b.recognition.Store(now)
	var sessions []*session
	for _, s := range b.sessions {
		if b.barred(s.owner) {
			sessions = append(sessions, s)
		}
	}
	var theirs, others []*pooled
	for k, members := range b.pool {
		if b.barred(k.owner) {
			theirs = append(theirs, members...)
		} else {
			others = append(others, members...)
		}
	}
	b.mu.Unlock()
	const reason = "the gateway does not ask the issuer any more who its user is"
	for _, s := range sessions {
		s.end(reason)
	}
	for _, p := range theirs {
		p.end(reason)
	}
	for _, p := range others {
		p.dismissBarred()
	}
	return func() { b.recognition.CompareAndSwap(now, before) }
}

// barred says whether the users of an owner's voucher are served no more. Whoever enters
// something that lasts asks it under the lock that Recognize takes to find it.
func (b *Bridge) barred(o owner) bool {
	now := b.recognition.Load()
	return now != nil && now.barred[Voucher{o.issuer, o.claim}]
}

// bars says why nothing more may begin for an owner; nil if it may. b.mu is held.
func (b *Bridge) bars(o owner) *answer.Refusal {
	switch {
	case b.closed:
		return closing()
	case b.barred(o):
		return servedNoMore()
	}
	return nil
}

// servedNoMore is the answer to a call that the configuration before this one let in. The
// one now in force says what is wrong with its token.
func servedNoMore() *answer.Refusal {
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The gateway's configuration has just changed: send the request again").RetryAfter(time.Second)
}

// dismissBarred ends the listens at a process that all users share.
func (p *pooled) dismissBarred() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.listeners {
		if l.session == nil && p.bridge.barred(l.owner) {
			l.finish(nil)
		}
	}
}
