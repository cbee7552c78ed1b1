package postgres

import (
	"context"
	"sync"
)

// shares bounds how many connections one user holds, so that slow calls of one leave
// connections to others.
type shares struct {
	limit int // at least 1

	mu    sync.Mutex
	users map[string]*share
}

// share is one user's. It exists while someone has or wants a slot of it.
type share struct {
	slots   chan struct{}
	callers int
}

// take waits for one of the user's slots. The caller gives it back.
func (s *shares) take(ctx context.Context, user string) (giveBack func(), err error) {
	s.mu.Lock()
	if s.users == nil {
		s.users = make(map[string]*share)
	}
	own := s.users[user]
	if own == nil {
		own = &share{slots: make(chan struct{}, s.limit)}
		s.users[user] = own
	}
	own.callers++
	s.mu.Unlock()
	select {
	case own.slots <- struct{}{}:
		return func() {
			<-own.slots
			s.leave(user, own)
		}, nil
	case <-ctx.Done():
		s.leave(user, own)
		return nil, ctx.Err()
	}
}

func (s *shares) leave(user string, own *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.callers--; own.callers == 0 {
		delete(s.users, user)
	}
}
