package bridge

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// After so many failed starts in a row the breaker refuses further ones for a while. The
// next attempt then decides anew, and is the only one until it has, or has had as long.
const (
	breakAfter = 3
	breakTime  = 30 * time.Second
)

// forgetFaults is when failures count no more.
const forgetFaults = 10 * time.Minute

// A server that crashes in use is started again at once a few times, and then after a pause
// that grows. It stays short: otherwise whoever can crash a server that users share could
// take it from the others.
const (
	freeCrashes = 3
	firstPause  = 100 * time.Millisecond
	longPause   = time.Second
	stableTime  = 10 * time.Second // of a process whose end is no crash in a row
)

// breaker keeps a server that does not start from being started for every request. It
// counts by kind, so that what is wrong for one user is no other's trouble, and neither is
// a version or capability of a client that the server does not take.
// The zero breaker is ready.
type breaker struct {
	now func() time.Time // for tests; default time.Now

	mu      sync.Mutex
	faults  map[kind]fault // starts that failed
	crashes map[kind]fault // processes that ended by themselves soon after
}

// fault is what came of it.
type fault struct {
	inARow int
	last   time.Time
	trying bool // since last one attempt is made that is to decide
}

func (b *breaker) time() time.Time {
	if b.now != nil {
		return b.now()
	}
	return time.Now()
}

// refusal is nil if the server may be started, which its caller is about to do.
func (b *breaker) refusal(k kind) *answer.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.faults[k]
	left := f.last.Add(breakTime).Sub(b.time())
	switch {
	case f.inARow < breakAfter:
		return nil
	case left <= 0:
		b.faults[k] = fault{f.inARow, b.time(), true}
		return nil
	}
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server behind the gateway failed to start %d times in a row", f.inARow).RetryAfter(left)
}

// unused takes back an attempt that refusal has let through, where nothing was started after all:
// the next one decides instead.
func (b *breaker) unused(k kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.faults[k]; f.trying {
		b.faults[k] = fault{inARow: f.inARow, last: b.time().Add(-breakTime)}
	}
}

// ended counts the end of a process that nobody has ended.
func (b *breaker) ended(k kind, lived time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lived >= stableTime {
		delete(b.crashes, k)
		return
	}
	count(&b.crashes, k, b.time())
}

// pause is how long the next process of a kind is to be waited with.
func (b *breaker) pause(k kind) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.crashes[k]
	surplus := f.inARow - freeCrashes
	if surplus < 0 {
		return 0
	}
	return max(0, f.last.Add(min(firstPause<<min(surplus, 10), longPause)).Sub(b.time()))
}

// count adds a fault, and forgets old ones.
func count(faults *map[kind]fault, k kind, now time.Time) {
	maps.DeleteFunc(*faults, func(_ kind, f fault) bool { return now.Sub(f.last) > forgetFaults })
	if *faults == nil {
		*faults = map[kind]fault{}
	}
	(*faults)[k] = fault{inARow: (*faults)[k].inARow + 1, last: now}
}

// failed counts a start after which the server did not answer its first request.
func (b *breaker) failed(k kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	count(&b.faults, k, b.time())
}

// succeeded forgets the failures.
func (b *breaker) succeeded(k kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.faults, k)
}
