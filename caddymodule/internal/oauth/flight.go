package oauth

import (
	"context"
	"sync"
)

// flights are the verifications under way. Requests that bring the same token meanwhile
// wait for the one, so that a client that begins with a hundred requests has its token
// verified once.
type flights struct {
	mu     sync.Mutex
	closed bool
	aloft  map[tokenDigest]*flight
	// detached are those that no request carries.
	detached sync.WaitGroup
}

// flight is one verification.
type flight struct {
	done chan struct{} // closed at its end; the rest is final then
	// abandoned says that the request that carried it ended before it did.
	abandoned bool
	verdict   verdict
}

// join returns the verification of a token that is under way, or a new one, which the
// caller must land.
func (f *flights) join(digest tokenDigest) (_ *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if found := f.aloft[digest]; found != nil {
		return found, false
	}
	fresh := &flight{done: make(chan struct{}), abandoned: true}
	if f.aloft == nil {
		f.aloft = make(map[tokenDigest]*flight)
	}
	f.aloft[digest] = fresh
	return fresh, true
}

// end records the verdict of a flight.
func (f *flight) end(v verdict) { f.verdict, f.abandoned = v, false }

// wait says whether the flight has ended; if not, ctx has. A flight that was abandoned by
// a request that has ended itself is no longer of use to it.
func (f *flight) wait(ctx context.Context) bool {
	select {
	case <-f.done:
		return !f.abandoned || ctx.Err() == nil
	default:
	}
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// land tells those who wait. Without a verdict one of them begins anew.
func (f *flights) land(digest tokenDigest, landing *flight) {
	f.mu.Lock()
	delete(f.aloft, digest)
	f.mu.Unlock()
	close(landing.done)
}

// detach runs what outlives the request that began it, unless it is too late for that.
func (f *flights) detach(run func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.detached.Go(run)
	}
	return !f.closed
}

// close refuses to detach more, and waits for what was detached. Its context must be
// cancelled before.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.detached.Wait()
}
