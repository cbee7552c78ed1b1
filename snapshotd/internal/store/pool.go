package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// DefaultOpen is how many stores a pool keeps open if nothing else is said.
	DefaultOpen = 200
	// DefaultIdle is how long an unused store stays open if nothing else is said.
	DefaultIdle = 5 * time.Minute
)

// Source is where a [Pool] gets its stores from.
type Source interface {
	// Open opens the owner's store, and makes it if need be.
	Open(ctx context.Context, owner Owner) (Store, error)
	// Owner returns who the user with the key is, or ErrNoUser.
	Owner(ctx context.Context, key string) (Owner, error)
	// Users is as in [Provider].
	Users(ctx context.Context, after string, limit int) ([]User, error)
}

// Pool is a [Provider] of one store a user. Stores are opened on demand, kept for
// the user's next call and closed when idle, or earlier, the least recently used
// first, to stay within the limit. When all are in use, Acquire waits.
//
// Users do not wait for one another's files: a store is opened and closed with no
// lock held, in a goroutine of its own, which goes on if its caller gives up, so that
// a long migration is done once and not begun again with each call.
type Pool struct {
	source Source
	limit  int
	idle   time.Duration

	opening context.Context // ends with the pool
	cancel  context.CancelFunc
	work    sync.WaitGroup // goroutines that open, and sweeps

	mu      sync.Mutex
	closed  bool
	entries map[string]*entry // by Owner.User
	changed chan struct{}     // closed and replaced when an entry becomes free or goes
	sweeper *time.Timer       // nil while nothing is idle
}

// entry is one store of a pool, or one that is being opened.
type entry struct {
	owner Owner
	ready chan struct{} // closed when store or err is set
	store Store
	err   error // for those who waited for this attempt; the next caller tries anew
	users int
	since time.Time // when users last became 0
}

// NewPool makes a pool. It opens the store of one owner once at a time; limit is at
// least 1 and idle above 0.
func NewPool(source Source, limit int, idle time.Duration) *Pool {
	p := &Pool{
		source:  source,
		limit:   limit,
		idle:    idle,
		entries: make(map[string]*entry),
		changed: make(chan struct{}),
	}
	p.opening, p.cancel = context.WithCancel(context.Background())
	return p
}

// Acquire implements [Provider].
func (p *Pool) Acquire(ctx context.Context, owner Owner) (Store, func(), error) {
	for {
		e, wait, err := p.reserve(owner)
		switch {
		case err != nil:
			return nil, nil, err
		case e != nil:
			return p.await(ctx, e)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// AcquireUser implements [Provider].
func (p *Pool) AcquireUser(ctx context.Context, key string) (Store, func(), error) {
	owner, err := p.source.Owner(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	return p.Acquire(ctx, owner)
}

// Users implements [Provider].
func (p *Pool) Users(ctx context.Context, after string, limit int) ([]User, error) {
	if err := CheckLimit(limit); err != nil {
		return nil, err
	}
	return p.source.Users(ctx, after, limit)
}

// reserve counts the caller among the users of the owner's entry, which may still be
// opening, or says what to wait for.
func (p *Pool) reserve(owner Owner) (*entry, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	if e := p.entries[owner.User]; e != nil {
		switch {
		case e.owner == owner:
			e.users++
			return e, nil, nil
		case e.store == nil: // the other may turn out not to be the owner
			return nil, e.ready, nil
		default:
			return nil, nil, ErrOwner
		}
	}
	var evicted Store
	if len(p.entries) >= p.limit {
		oldest := p.leastRecentlyUsed()
		if oldest == nil {
			return nil, p.changed, nil
		}
		delete(p.entries, oldest.owner.User)
		evicted = oldest.store
	}
	e := &entry{owner: owner, ready: make(chan struct{}), users: 1}
	p.entries[owner.User] = e
	p.work.Go(func() { p.open(e, evicted) })
	return e, nil, nil
}

func (p *Pool) leastRecentlyUsed() *entry {
	var oldest *entry
	for _, e := range p.entries {
		if e.store != nil && e.users == 0 && (oldest == nil || e.since.Before(oldest.since)) {
			oldest = e
		}
	}
	return oldest
}

// open opens the store of an entry, after it has closed the one whose place it takes,
// so that the limit holds for files too.
func (p *Pool) open(e *entry, evicted Store) {
	if evicted != nil {
		_ = evicted.Close() // no fault of this owner, and no write is lost
	}
	s, err := p.source.Open(p.opening, e.owner)
	p.mu.Lock()
	closed := p.closed
	switch {
	case closed:
		e.err = errors.Join(ErrClosed, err)
	case err != nil:
		e.err = err
		delete(p.entries, e.owner.User)
	default:
		e.store = s
		if e.users == 0 { // all have given up
			p.freed(e)
		}
	}
	close(e.ready)
	p.signal()
	p.mu.Unlock()
	if closed && err == nil {
		_ = s.Close()
	}
}

// await returns the store of an entry that counts the caller among its users.
func (p *Pool) await(ctx context.Context, e *entry) (Store, func(), error) {
	select {
	case <-e.ready:
	default:
		select {
		case <-e.ready:
		case <-ctx.Done():
			p.release(e)
			return nil, nil, ctx.Err()
		}
	}
	if e.err != nil {
		return nil, nil, e.err
	}
	return e.store, sync.OnceFunc(func() { p.release(e) }), nil
}

func (p *Pool) release(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.users--; e.users == 0 && e.store != nil {
		p.freed(e)
		p.signal()
	}
}

// freed is called with the lock held when an open store has lost its last user.
func (p *Pool) freed(e *entry) {
	e.since = time.Now()
	if p.sweeper == nil && !p.closed {
		p.sweepIn(p.idle)
	}
}

// signal is called with the lock held.
func (p *Pool) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// sweepIn is called with the lock held.
func (p *Pool) sweepIn(d time.Duration) {
	p.work.Add(1)
	p.sweeper = time.AfterFunc(d, func() {
		defer p.work.Done()
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
		if e.users > 0 || e.store == nil {
			continue // its release, or its opening, plans a sweep
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
		p.work.Done()
	}
	p.sweeper = nil
	var open []Store
	for _, e := range p.entries {
		if e.store != nil {
			open = append(open, e.store)
		}
	}
	clear(p.entries)
	p.signal()
	p.mu.Unlock()
	p.cancel()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	p.work.Wait()
	return errors.Join(errs...)
}
