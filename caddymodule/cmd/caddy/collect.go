package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is the size, in bytes, up to which the heap grows before anything is collected.
//
// What lives between two calls are a few MiB, and a thousand calls leave more behind. With
// nothing but a percentage of what lives the collector would run dozens of times a second,
// and take a tenth of the gateway's time. Where much lives the floor means nothing: the
// percentage is that of Go, 100.
const heapFloor = 32 << 20

// keepFloor paces the collector from now on, unless the operator does, by GOGC. A limit of
// memory (GOMEMLIMIT, which Caddy sets in a container) goes before the floor.
func keepFloor() {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := percentFor(0)
	debug.SetGCPercent(percent)
	afterEachCollection(func() {
		want := percentFor(marked())
		// To set it stops all goroutines for a moment, so what makes no difference is left.
		if off := want - percent; off < -percent/8 || off > percent/8 {
			percent = want
			debug.SetGCPercent(percent)
		}
	})
}

// percentFor is the percentage by which a heap grows to the floor from what the last
// collection has marked, and to twice that where it is more. It is at most 800, by which Go's
// least heap of 4 MiB comes to 32.
func percentFor(marked uint64) int {
	switch {
	case marked < heapFloor/9:
		return 800
	case marked > heapFloor/2:
		return 100
	}
	return int(100 * (heapFloor - marked) / marked)
}

// marked is what the last collection has found alive or had to look through, in bytes: that
// is what Go takes the percentage of (runtime/debug, GOGC in the guide to the collector).
func marked() uint64 {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	var sum uint64
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			sum += s.Value.Uint64()
		}
	}
	return sum
}

// collection is an object that the next one finds dead.
type collection struct{ _ [32]byte }

func afterEachCollection(do func()) {
	runtime.AddCleanup(new(collection), func(struct{}) {
		do()
		afterEachCollection(do)
	}, struct{}{})
}
