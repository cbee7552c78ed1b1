package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"
	"time"
)

// tokenDigest stands for a token in the cache.
type tokenDigest [sha256.Size]byte

// tokenCache remembers verified tokens, the most recently used ones. Its keys are
// HMACs under a key that never leaves the process, so a dump of the cache's keys
// neither reveals a token nor tells whether a given one was seen.
type tokenCache struct {
	size int
	macs sync.Pool // of *tokenMAC

	mu      sync.Mutex
	entries map[tokenDigest]*cacheEntry
	recent  cacheEntry // head of the ring: next is the newest, prev the oldest
}

// cacheEntry is a verified token. It is good until a time, and while the key set
// that verified it has lost no key.
type cacheEntry struct {
	digest    tokenDigest
	principal *Principal
	until     time.Time
	source    *keySource
	epoch     uint64

	next, prev *cacheEntry
}

type tokenMAC struct {
	hash  hash.Hash
	bytes []byte
	sum   tokenDigest
}

// newTokenCache returns a cache of at most size tokens, or nil for none.
func newTokenCache(size int) *tokenCache {
	if size <= 0 {
		return nil
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	c := &tokenCache{size: size, entries: make(map[tokenDigest]*cacheEntry)}
	c.macs.New = func() any { return &tokenMAC{hash: hmac.New(sha256.New, key[:])} }
	c.recent.next, c.recent.prev = &c.recent, &c.recent
	return c
}

// digest computes the cache key of a token without allocating.
func (c *tokenCache) digest(token string) tokenDigest {
	m := c.macs.Get().(*tokenMAC)
	m.bytes = append(m.bytes[:0], token...)
	m.hash.Reset()
	m.hash.Write(m.bytes)
	m.hash.Sum(m.sum[:0])
	clear(m.bytes)
	sum := m.sum
	c.macs.Put(m)
	return sum
}

// get returns the principal of a token that is still good, or nil.
func (c *tokenCache) get(digest tokenDigest, now time.Time) *Principal {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[digest]
	if e == nil {
		return nil
	}
	if !now.Before(e.until) || e.source.epoch.Load() != e.epoch {
		c.remove(e)
		return nil
	}
	if c.recent.next != e {
		e.unlink()
		e.linkAfter(&c.recent)
	}
	return e.principal
}

// put remembers a token, in place of the one unused the longest if need be.
func (c *tokenCache) put(e *cacheEntry) {
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

func (c *tokenCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
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
