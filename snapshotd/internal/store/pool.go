package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClosed means that the pool has been closed.
var ErrClosed = errors.New("the storage is closed")

const (
	// DefaultOpen is how many stores a pool keeps open if nothing else is said.
	DefaultOpen = 64
	// DefaultIdle is how long an unused store stays open if nothing else is said.
	DefaultIdle = 5 * time.Minute
)

// Pool is a [Provider] of one store a user. Stores are opened on demand, kept for
// the user's next call and closed when idle, or earlier, the least recently used
// first, to stay within the limit. When all are in use, Acquire waits.
type Pool struct {
	open  func(ctx context.Context, owner Owner) (Store, error)
	limit int
	idle  time.Duration

	mu      sync.Mutex
	closed  bool
	entries map[string]*entry // by Owner.User
	changed chan struct{}     // closed and replaced when an entry becomes free or goes
	sweeper *time.Timer       // nil while nothing is open
	sweeps  sync.WaitGroup
}

// entry is one store of a pool, or one that is being opened.
type entry struct {
	owner Owner
	store Store // nil while being opened
	users int
	since time.Time // when users last became 0
}

// NewPool makes a pool. open is called for one owner at a time each; limit is at
// least 1 and idle above 0.
func NewPool(open func(ctx context.Context, owner Owner) (Store, error), limit int, idle time.Duration) *Pool {
	return &Pool{
		open:    open,
		limit:   limit,
		idle:    idle,
		entries: make(map[string]*entry),
		changed: make(chan struct{}),
	}
}

// Acquire implements [Provider].
func (p *Pool) Acquire(ctx context.Context, owner Owner) (Store, func(), error) {
	for {
		e, wait, evicted, err := p.reserve(owner)
		if err != nil {
			return nil, nil, err
		}
		if evicted != nil {
			// Closed before another is opened, so that the limit holds for files too.
			// An error of closing is no fault of this caller and loses no write.
			_ = evicted.Close()
		}
		if e != nil && wait == nil {
			return e.store, p.releaser(e), nil
		}
		if wait == nil {
			return p.openEntry(ctx, owner)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// reserve finds the owner's open store, or says what to wait for, or makes room
// and a place for a new one: then e and wait are nil.
func (p *Pool) reserve(owner Owner) (e *entry, wait <-chan struct{}, evicted Store, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, nil, ErrClosed
	}
	if e := p.entries[owner.User]; e != nil {
		if e.store == nil {
			return e, p.changed, nil, nil
		}
		if e.owner != owner {
			return nil, nil, nil, ErrOwner
		}
		e.users++
		return e, nil, nil, nil
	}
	if len(p.entries) >= p.limit {
		oldest := p.leastRecentlyUsed()
		if oldest == nil {
			return nil, p.changed, nil, nil
		}
		delete(p.entries, oldest.owner.User)
		evicted = oldest.store
	}
	p.entries[owner.User] = &entry{owner: owner, users: 1}
	return nil, nil, evicted, nil
}

func (p *Pool) leastRecentlyUsed() *entry {
	var oldest *entry
	for _, e := range p.entries {
		if e.users == 0 && (oldest == nil || e.since.Before(oldest.since)) {
			oldest = e
		}
	}
	return oldest
}

// openEntry opens the store for the place that reserve made.
func (p *Pool) openEntry(ctx context.Context, owner Owner) (Store, func(), error) {
	s, err := p.open(ctx, owner)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.signal()
	if err != nil {
		delete(p.entries, owner.User)
		return nil, nil, err
	}
	if p.closed {
		return nil, nil, errors.Join(ErrClosed, s.Close())
	}
	e := p.entries[owner.User]
	e.store = s
	return s, p.releaser(e), nil
}

func (p *Pool) releaser(e *entry) func() {
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		e.users--
		if e.users > 0 {
			return
		}
		e.since = time.Now()
		p.signal()
		if p.sweeper == nil && !p.closed {
			p.sweepIn(p.idle)
		}
	})
}

func (p *Pool) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// sweepIn is called with the lock held.
func (p *Pool) sweepIn(d time.Duration) {
	p.sweeps.Add(1)
	p.sweeper = time.AfterFunc(d, func() {
		defer p.sweeps.Done()
		for _, s := range p.sweep() {
			_ = s.Close() // idle: nothing is unwritten
		}
	})
}

// sweep takes out what has been idle long enough and plans the next sweep.
func (p *Pool) sweep() []Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeper = nil
	if p.closed {
		return nil
	}
	now := time.Now()
	var ended []Store
	next := time.Duration(-1)
	for user, e := range p.entries {
		if e.users > 0 {
			continue // its release plans a sweep
		}
		left := e.since.Add(p.idle).Sub(now)
		if left <= 0 {
			ended = append(ended, e.store)
			delete(p.entries, user)
		} else if next < 0 || left < next {
			next = left
		}
	}
	if len(ended) > 0 {
		p.signal()
	}
	if next >= 0 {
		p.sweepIn(next)
	}
	return ended
}

// Close implements [Provider]. It waits for no caller; a store that is in use is
// closed when database/sql has its connection back.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	if p.sweeper != nil && p.sweeper.Stop() {
		p.sweeps.Done()
	}
	p.sweeper = nil
	var errs []error
	for _, e := range p.entries {
		if e.store != nil {
			errs = append(errs, e.store.Close())
		}
	}
	clear(p.entries)
	p.signal()
	p.mu.Unlock()
	p.sweeps.Wait()
	return errors.Join(errs...)
}
