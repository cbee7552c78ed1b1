// Package limit counts what each user has in use and refuses more than a bound.
package limit

import "sync"

// Gauge counts things in use by key. The zero Gauge is ready. It keeps no key whose
// count is zero, so it is no larger than what is in use.
type Gauge struct {
	mu    sync.Mutex
	inUse map[string]int
}

// Acquire takes one for the key unless limit are taken. A limit of 0 or less means
// none may be taken.
func (g *Gauge) Acquire(key string, limit int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inUse[key] >= limit {
		return false
	}
	if g.inUse == nil {
		g.inUse = map[string]int{}
	}
	g.inUse[key]++
	return true
}

// Release gives back one that Acquire took.
func (g *Gauge) Release(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inUse[key] <= 1 {
		delete(g.inUse, key)
		return
	}
	g.inUse[key]--
}

// InUse returns the count of a key.
func (g *Gauge) InUse(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inUse[key]
}
