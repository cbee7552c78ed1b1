package oauth

import (
	"sync"
	"time"
)

// tokenCache remembers what became of tokens, of the most recently used ones.
type tokenCache struct {
	size int

	mu      sync.Mutex
	entries map[tokenDigest]*cacheEntry
	recent  cacheEntry // head of the ring: next is the newest, prev the oldest
}

// verdict is whom a token speaks for, or why it is refused.
type verdict struct {
	principal *Principal
	refusal   *Error
}

// result is the verdict as the two values that callers know.
func (v verdict) result() (*Principal, error) {
	if v.refusal != nil {
		return nil, v.refusal
	}
	return v.principal, nil
}

func (v verdict) none() bool { return v.principal == nil && v.refusal == nil }

// cacheEntry is the verdict on a token. It is good until a time and, where keys were
// needed, while the set that they are of has lost none.
type cacheEntry struct {
	digest  tokenDigest
	verdict verdict
	until   time.Time
	source  *keySource // nil where the issuer itself was asked
	epoch   uint64

	next, prev *cacheEntry
}

// newTokenCache returns a cache of at most size tokens, or nil for none.
func newTokenCache(size int) *tokenCache {
	if size <= 0 {
		return nil
	}
	c := &tokenCache{size: size, entries: make(map[tokenDigest]*cacheEntry)}
	c.recent.next, c.recent.prev = &c.recent, &c.recent
	return c
}

// get returns the verdict on a token that still holds, or none.
func (c *tokenCache) get(digest tokenDigest, now time.Time) verdict {
	if c == nil {
		return verdict{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[digest]
	if e == nil {
		return verdict{}
	}
	if !now.Before(e.until) || e.source != nil && e.source.epoch.Load() != e.epoch {
		c.remove(e)
		return verdict{}
	}
	if c.recent.next != e {
		e.unlink()
		e.linkAfter(&c.recent)
	}
	return e.verdict
}

// put remembers a token, in place of the one unused the longest if need be.
func (c *tokenCache) put(e *cacheEntry) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[e.digest]; old != nil {
		c.remove(old)
	}
	if len(c.entries) >= c.size {
		c.remove(c.recent.prev)
	}
	c.entries[e.digest] = e
	e.linkAfter(&c.recent)
}

func (c *tokenCache) remove(e *cacheEntry) {
	delete(c.entries, e.digest)
	e.unlink()
}

func (e *cacheEntry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
	e.next, e.prev = nil, nil
}

func (e *cacheEntry) linkAfter(at *cacheEntry) {
	e.prev, e.next = at, at.next
	at.next.prev, at.next = e, e
}
