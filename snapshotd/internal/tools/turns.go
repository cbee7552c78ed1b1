package tools

import (
	"context"
	"sync"
)

// turns lets the calls of one user run one after another in the order in which
// they came, as the original server does, so that a client may write a save and a
// load without waiting in between. Different users' calls run at once. The zero
// value is ready.
type turns struct {
	mu   sync.Mutex
	last map[string]<-chan struct{} // by user: closed when the latest call is done
}

// take takes the next place in the user's order. The caller calls done once,
// whether it has waited or not.
func (t *turns) take(user string) (wait func(context.Context) error, done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.last[user]
	mine := make(chan struct{})
	if t.last == nil {
		t.last = make(map[string]<-chan struct{})
	}
	t.last[user] = mine
	wait = func(ctx context.Context) error {
		if before == nil {
			return nil
		}
		select {
		case <-before:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return wait, func() { t.leave(user, before, mine) }
}

// leave gives the place up. One who leaves before their turn has come must not let
// the next pass those in front.
func (t *turns) leave(user string, before <-chan struct{}, mine chan struct{}) {
	if before != nil {
		select {
		case <-before:
		default:
			go func() { // ends with the call in front
				<-before
				t.leave(user, nil, mine)
			}()
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	close(mine)
	if t.last[user] == (<-chan struct{})(mine) {
		delete(t.last, user)
	}
}
