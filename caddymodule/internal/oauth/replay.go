package oauth

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

// maxProofs is how many DPoP proofs are remembered. With a clock skew of 30 seconds
// each counts for at most two minutes, so there is room for a thousand requests a
// second, in some ten megabytes.
const maxProofs = 1 << 17

// ReplayCache remembers the DPoP proofs that were used at a resource, each for as long as it
// would be accepted (RFC 9449 section 11.1). When it is full it takes no more: to forget a
// proof that is still good would let it be used again. A user may fill a quarter of
// it, so that one alone cannot keep out the others. Its keys are MACs: a dump of it
// tells nothing of proofs. It is safe for concurrent use.
type ReplayCache struct {
	key  [32]byte
	size int

	mu        sync.Mutex
	window    time.Duration // for which proofs are remembered: the longest that was asked for
	forgotten time.Time     // proofs issued then or before may have been used, and forgotten
	used      map[proofDigest]struct{}
	users     map[string]int        // how many of them are whose
	ends      map[int64][]usedProof // by the second from which they are refused anyway
	swept     int64                 // the second up to which ends is empty
}

// proofDigest stands for a proof that was used.
type proofDigest [16]byte

type usedProof struct {
	digest proofDigest
	user   string
}

// NewReplayCache returns an empty one.
func NewReplayCache() *ReplayCache { return newReplayCache(maxProofs) }

func newReplayCache(size int) *ReplayCache {
	c := &ReplayCache{size: size, used: make(map[proofDigest]struct{}), users: make(map[string]int), ends: make(map[int64][]usedProof)}
	rand.Read(c.key[:]) // never fails
	return c
}

// use remembers a proof of a user, which is accepted for a window of time from when it was
// issued. The error says that it was used before, or that there is no room to remember it.
// Proofs of different keys never get in the way of one another, whatever jti their clients
// choose.
func (c *ReplayCache) use(user, key, id string, issued time.Time, window time.Duration, now time.Time) *Error {
	mac := hmac.New(sha256.New, c.key[:])
	mac.Write([]byte(key)) // a thumbprint, of one length
	mac.Write([]byte(id))
	digest := proofDigest(mac.Sum(nil))

	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now.Unix())
	c.widen(window, now)
	if !issued.After(c.forgotten) {
		return badProof("iat: from before clock_skew was raised; proofs of that time may have been used, and forgotten since")
	}
	end := issued.Add(c.window + time.Second - 1).Unix() // rounded up
	if _, again := c.used[digest]; again {
		return badProof("jti: the proof was used before")
	}
	switch {
	case len(c.used) >= c.size:
		return noRoom(http.StatusServiceUnavailable, "there is no room left to remember it", c.nextRoom(now))
	case c.users[user] >= max(1, c.size/4):
		return noRoom(http.StatusTooManyRequests, "there is no room left to remember it for this user", c.nextRoom(now))
	}
	c.used[digest] = struct{}{}
	c.users[user]++
	c.ends[end] = append(c.ends[end], usedProof{digest, user})
	return nil
}

// widen sees to it that a reload which raises the clock skew makes no used proof good again:
// those that are remembered stay so for longer, and those that may be forgotten are refused.
func (c *ReplayCache) widen(window time.Duration, now time.Time) {
	if window <= c.window {
		return
	}
	if c.window > 0 {
		c.forgotten = now.Add(-c.window)
	}
	further := int64((window - c.window + time.Second - 1) / time.Second)
	c.window = window
	longer := make(map[int64][]usedProof, len(c.ends))
	for end, proofs := range c.ends {
		longer[end+further] = proofs
	}
	c.ends = longer
}

// sweep forgets what has ended. There are no more seconds in ends than a proof is
// accepted for.
func (c *ReplayCache) sweep(now int64) {
	if now <= c.swept {
		return
	}
	c.swept = now
	for end, proofs := range c.ends {
		if end > now {
			continue
		}
		for _, p := range proofs {
			delete(c.used, p.digest)
			if c.users[p.user]--; c.users[p.user] == 0 {
				delete(c.users, p.user)
			}
		}
		delete(c.ends, end)
	}
}

// nextRoom is how long it takes until the next proof is forgotten, at least a second.
func (c *ReplayCache) nextRoom(now time.Time) time.Duration {
	var first int64
	for end := range c.ends {
		first = min(end, cmp.Or(first, end))
	}
	return max(time.Unix(first, 0).Sub(now), time.Second)
}

// noRoom is a proof that cannot be remembered, so it cannot be taken either.
func noRoom(status int, reason string, wait time.Duration) *Error {
	return &Error{
		Status:      status,
		Code:        CodeTemporarilyUnavailable,
		Description: "Too many requests with DPoP proofs have come in the last minutes",
		RetryAfter:  wait,
		Reason:      "DPoP proof: " + reason,
	}
}
