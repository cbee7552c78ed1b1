package bridge

import (
	"context"
	"errors"

	"github.com/snapgate/snapgate/caddymodule/internal/backend"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/translate"
)

// subscription is what a server was asked to report, and in whose name: it may refuse one
// user what another may read.
type subscription struct {
	owner owner
	uri   string
}

// holding is what is known of a subscription. Its numbers are under pooled.mu.
type holding struct {
	turn  chan struct{} // filled by the one who asks the server
	users int           // of this entry
	held  int           // by how many; above zero the server reports
}

// hold counts one who wants the updates of a resource; for the first the server is asked.
// If it refuses, or gives no answer until the context ends, nothing is counted.
func (p *pooled) hold(ctx context.Context, of subscription, stamp []message.MetaValue) (refused *message.Message, err error) {
	h := p.holding(of)
	defer p.holdingUsed(of, h)
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, backend.ErrSilent
	}
	defer func() { <-h.turn }()
	if p.holdMore(h, false) {
		return nil, nil
	}
	answered, err := p.conn.Ask(ctx, translate.Subscribe(of.uri, true), stamp...)
	switch {
	case errors.Is(err, backend.ErrSilent):
		_ = p.conn.Tell(translate.Subscribe(of.uri, false), stamp...) // it may have begun to report
		return nil, err
	case err != nil:
		return nil, err
	case answered.IsError():
		return answered, nil
	}
	p.holdMore(h, true)
	return nil, nil
}

// holding returns the entry of a subscription, made if need be, until holdingUsed.
func (p *pooled) holding(of subscription) *holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.holdings[of]
	if h == nil {
		h = &holding{turn: make(chan struct{}, 1)}
		p.holdings[of] = h
	}
	h.users++
	return h
}

func (p *pooled) holdingUsed(of subscription, h *holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.users--; h.users == 0 && h.held == 0 {
		delete(p.holdings, of)
	}
}

// holdMore counts one more, if there is one already or if the server has just agreed.
func (p *pooled) holdMore(h *holding, agreed bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.held == 0 && !agreed {
		return false
	}
	h.held++
	return true
}

// letGo ends what hold began; with the last the server is told. It does not wait: whoever
// holds next asks the server after it was told.
func (p *pooled) letGo(of subscription, stamp []message.MetaValue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.holdings[of]
	if h.held--; h.held > 0 {
		return
	}
	if h.users == 0 {
		delete(p.holdings, of)
	}
	// If the server can't be told, updates that come are for nobody.
	_ = p.conn.Tell(translate.Subscribe(of.uri, false), stamp...)
}

// lower makes the server log from a level on, unless it logs more already. A server that
// refuses logs as it likes: what is not asked for is filtered out all the same.
func (p *pooled) lower(level string) {
	severity := translate.Severity(level)
	p.mu.Lock()
	defer p.mu.Unlock()
	if severity < 0 || severity >= p.level {
		return
	}
	p.level = severity
	_ = p.conn.Tell(translate.SetLevel(level)) // if it can't be told, it is ending
}
