package oauth

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A digest of a token is of no use outside the cache that made it.
func TestCacheKeysAreKeyed(t *testing.T) {
	a, b := newTokenDigester(), newTokenDigester()
	first, again := a.of("token"), a.of("token")
	if first != again || first == a.of("other") {
		t.Error("the digest does not stand for the token")
	}
	if first == b.of("token") || first == tokenDigest(sha256.Sum256([]byte("token"))) {
		t.Error("the digest is not keyed")
	}
}

func TestCacheKeepsTheMostRecentlyUsed(t *testing.T) {
	c, d, source, now := newTokenCache(3), newTokenDigester(), &keySource{}, time.Now()
	put := func(name string) {
		c.put(&cacheEntry{digest: d.of(name), verdict: verdict{principal: &Principal{Subject: name}}, until: now.Add(time.Minute), source: source})
	}
	has := func(name string) bool { p := c.get(d.of(name), now).principal; return p != nil && p.Subject == name }
	put("a")
	put("b")
	put("c")
	put("a") // again: no second entry
	if c.len() != 3 || !has("b") {
		t.Fatalf("%d entries", c.len())
	}
	put("d")
	for name, want := range map[string]bool{"a": true, "b": true, "c": false, "d": true} {
		if has(name) != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
	if !c.get(d.of("a"), now.Add(time.Minute)).none() || c.len() != 2 {
		t.Error("an entry outlives its time")
	}
	source.epoch.Add(1)
	if has("b") || c.len() != 1 {
		t.Error("an entry outlives its keys")
	}
}

func TestCacheStaysWithinItsBound(t *testing.T) {
	const size = 1000
	c, d, source := newTokenCache(size), newTokenDigester(), &keySource{}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 25_000 {
				digest := d.of(fmt.Sprint(worker, i))
				c.put(&cacheEntry{digest: digest, verdict: verdict{principal: &Principal{}}, until: time.Now().Add(time.Hour), source: source})
				c.get(digest, time.Now())
			}
		})
	}
	wg.Wait()
	if n := c.len(); n != size {
		t.Errorf("%d entries after 100,000 tokens, want %d", n, size)
	}
}

func TestCacheCanBeTurnedOffAndLimited(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	token := mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(nil), nil)

	cfg := iss.config()
	cfg.CacheSize = -1
	v := newVerifier(t, cfg)
	if first := accepted(t, v, token); accepted(t, v, token) == first {
		t.Error("cached although turned off")
	}

	cfg = iss.config()
	cfg.CacheTTL = time.Minute
	v = newVerifier(t, cfg)
	first := accepted(t, v, token)
	iss.clock.advance(time.Minute - 1)
	if accepted(t, v, token) != first {
		t.Error("not cached for its TTL")
	}
	iss.clock.advance(1)
	if accepted(t, v, token) == first {
		t.Error("cached beyond its TTL")
	}
}

// A refused token must not be remembered as good, nor a good one as refused.
func TestRefusalsAreNotCached(t *testing.T) {
	iss := newIssuer(t, jwk("ed", edKey(), nil))
	v := newVerifier(t, iss.config())
	early := mint(jwt.SigningMethodEdDSA, edKey(), "ed", iss.claims(map[string]any{"nbf": iss.clock.now().Add(time.Minute).Unix()}), nil)
	refusalOf(t, v, early, 401, "nbf")
	if v.cache.len() != 0 {
		t.Error("a refusal is in the cache")
	}
	iss.clock.advance(time.Minute)
	accepted(t, v, early)
}

func (c *tokenCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
