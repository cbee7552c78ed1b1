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
// next attempt then decides anew.
const (
	breakAfter = 3
	breakTime  = 30 * time.Second
)

// forgetFaults is when failures count no more.
const forgetFaults = 10 * time.Minute

// breaker keeps a server that does not start from being started for every request. It
// counts by kind, so that what is wrong for one user is no other's trouble, and neither is
// a version or capability of a client that the server does not take.
// The zero breaker is ready.
type breaker struct {
	now func() time.Time // for tests; default time.Now

	mu     sync.Mutex
	faults map[kind]fault
}

// fault is what came of it.
type fault struct {
	inARow int
	last   time.Time
}

func (b *breaker) time() time.Time {
	if b.now != nil {
		return b.now()
	}
	return time.Now()
}

// refusal is nil if the server may be started.
func (b *breaker) refusal(k kind) *answer.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.faults[k]
	left := f.last.Add(breakTime).Sub(b.time())
	if f.inARow < breakAfter || left <= 0 {
		return nil
	}
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "The server behind the gateway failed to start %d times in a row", f.inARow).RetryAfter(left)
}

// failed counts a start after which the server did not answer its first request.
func (b *breaker) failed(k kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.time()
	maps.DeleteFunc(b.faults, func(_ kind, f fault) bool { return now.Sub(f.last) > forgetFaults })
	if b.faults == nil {
		b.faults = map[kind]fault{}
	}
	b.faults[k] = fault{b.faults[k].inARow + 1, now}
}

// succeeded forgets the failures.
func (b *breaker) succeeded(k kind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.faults, k)
}
