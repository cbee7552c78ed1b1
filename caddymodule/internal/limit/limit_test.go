package limit

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestGaugeRefusesMoreThanTheLimit(t *testing.T) {
	var g Gauge
	for range 2 {
		if !g.Acquire("alice", 2) {
			t.Fatal("one of two was refused")
		}
	}
	if g.Acquire("alice", 2) {
		t.Error("a third of two was given")
	}
	if !g.Acquire("bob", 2) {
		t.Error("one user's use counted against another")
	}
	g.Release("alice")
	if !g.Acquire("alice", 2) {
		t.Error("what was released was not given again")
	}
}

func TestGaugeForgetsUnusedKeys(t *testing.T) {
	var g Gauge
	g.Acquire("alice", 1)
	g.Release("alice")
	if len(g.inUse) != 0 {
		t.Errorf("%d keys are kept", len(g.inUse))
	}
}

func TestGaugeUnderContention(t *testing.T) {
	var g Gauge
	var wg sync.WaitGroup
	var inUse, most atomic.Int64
	for range 16 {
		wg.Go(func() {
			for range 500 {
				if !g.Acquire("k", 3) {
					continue
				}
				n := inUse.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				inUse.Add(-1)
				g.Release("k")
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Errorf("%d were in use at once", most.Load())
	}
	if g.InUse("k") != 0 {
		t.Errorf("%d are still in use", g.InUse("k"))
	}
}
