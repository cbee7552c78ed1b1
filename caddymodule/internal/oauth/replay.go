package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// maxProofs is how many DPoP proofs are remembered. With a clock skew of 30 seconds
// each counts for at most two minutes, so there is room for a thousand requests a
// second, in some ten megabytes.
const maxProofs = 1 << 17

// proofDigest stands for a proof that was used.
type proofDigest [16]byte

// replayCache remembers the DPoP proofs that were used, each for as long as it would
// be accepted (RFC 9449 section 11.1). When it is full it takes no more: to forget a
// proof that is still good would let it be used again. Its keys are MACs, so a dump
// of it tells nothing of clients.
type replayCache struct {
	key  [32]byte
	size int

	mu    sync.Mutex
	used  map[proofDigest]struct{}
	ends  map[int64][]proofDigest // by the second from which they are refused anyway
	swept int64                   // the second up to which ends is empty
}

func newReplayCache(size int) *replayCache {
	c := &replayCache{size: size, used: make(map[proofDigest]struct{}), ends: make(map[int64][]proofDigest)}
	rand.Read(c.key[:]) // never fails
	return c
}

// use remembers a proof until a time and says whether it was used before. wait is
// how long until there is room again, 0 if there was. Proofs of different keys never
// get in the way of one another, whatever jti their clients choose.
func (c *replayCache) use(key, id string, until, now time.Time) (again bool, wait time.Duration) {
	mac := hmac.New(sha256.New, c.key[:])
	mac.Write([]byte(key)) // a thumbprint, of one length
	mac.Write([]byte(id))
	digest := proofDigest(mac.Sum(nil))
	end := until.Add(time.Second - 1).Unix() // rounded up

	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now.Unix())
	if _, again := c.used[digest]; again {
		return true, 0
	}
	if len(c.used) >= c.size {
		return false, c.nextRoom(now)
	}
	c.used[digest] = struct{}{}
	c.ends[end] = append(c.ends[end], digest)
	return false, 0
}

// sweep forgets what has ended. There are no more seconds in ends than a proof is
// accepted for.
func (c *replayCache) sweep(now int64) {
	if now <= c.swept {
		return
	}
	c.swept = now
	for end, digests := range c.ends {
		if end > now {
			continue
		}
		for _, digest := range digests {
			delete(c.used, digest)
		}
		delete(c.ends, end)
	}
}

// nextRoom is how long it takes until the next proof is forgotten.
func (c *replayCache) nextRoom(now time.Time) time.Duration {
	first := int64(0)
	for end := range c.ends {
		if first == 0 || end < first {
			first = end
		}
	}
	return max(time.Unix(first, 0).Sub(now), time.Second)
}

func (c *replayCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.used)
}
