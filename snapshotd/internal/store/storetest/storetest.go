// Package storetest is what every [store.Store] and [store.Provider] must do, as
// tests. An implementation calls [Run] and [RunProvider] from a test of its own.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// Open makes an empty store with the settings, and closes it when the test ends.
type Open func(t *testing.T, settings store.Settings) store.Store

// Run holds stores to the contract of [store.Store].
func Run(t *testing.T, open Open) {
	for _, group := range []struct {
		name  string
		tests []contract
	}{
		{"Snapshots", snapshotTests},
		{"Pages", pageTests},
		{"Search", searchTests},
		{"Limits", limitTests},
		{"Transfer", transferTests},
		{"Use", useTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.tests {
				t.Run(c.name, func(t *testing.T) { c.test(t, open) })
			}
		})
	}
}

// contract is one behaviour.
type contract struct {
	name string
	test func(t *testing.T, open Open)
}

// noon is the time of the tests.
var noon = time.Date(2025, 10, 26, 12, 0, 0, 0, time.UTC)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: noon} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func save(t *testing.T, s store.Store, draft store.Draft) store.Saved {
	t.Helper()
	saved, err := s.Save(context.Background(), draft)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return saved
}

// fill saves n snapshots named by their number, a second apart, and returns their ids.
func fill(t *testing.T, s store.Store, c *clock, n int) []int64 {
	t.Helper()
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = save(t, s, store.Draft{Summary: fmt.Sprint("summary ", i), Context: "context"}).ID
		c.advance(time.Second)
	}
	return ids
}

// ids are those of the store's list, newest first.
func listed(t *testing.T, s store.Store) []int64 {
	t.Helper()
	entries, err := s.List(context.Background(), -1)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return idsOf(entries)
}

func idsOf(entries []store.Entry) []int64 {
	var ids []int64
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func usage(t *testing.T, s store.Store) store.Usage {
	t.Helper()
	u, err := s.Usage(context.Background())
	if err != nil {
		t.Fatalf("usage: %v", err)
	}
	return u
}

// healthy fails the test if a check of the store finds anything.
func healthy(t *testing.T, s store.Store) {
	t.Helper()
	problems, err := s.Check(context.Background())
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	for _, p := range problems {
		t.Errorf("check: %s", p.What)
	}
}
