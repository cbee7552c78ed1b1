package main

import (
	"errors"
	"time"
)

const (
	idleSessions = 1000
	children     = 32
	countedCalls = 5000
)

// growth opens sessions beside a first one, and says what the gateway had before and
// what it has with them.
func (g *gateway) growth(w way, n int) (before, after state, err error) {
	first, _, err := openAll(w, 1)
	if err == nil {
		err = useAll(first)
	}
	defer func() { err = errors.Join(err, endAll(first)) }()
	if err != nil {
		return before, after, err
	}
	if before, err = g.observe(); err != nil {
		return before, after, err
	}
	more, _, err := openAll(w, n)
	defer func() { err = errors.Join(err, endAll(more)) }()
	if err == nil {
		err = useAll(more)
	}
	if err != nil {
		return before, after, err
	}
	time.Sleep(time.Second) // for what a call leaves behind to be gone
	after, err = g.observe()
	return before, after, err
}

// useAll makes a call in each session.
func useAll(sessions []*session) error {
	for i, s := range sessions {
		if err := s.call(1, newText(i, 64).next()); err != nil {
			return err
		}
	}
	return nil
}

// idle measures sessions that were used once and are kept with their connections.
func (r *report) idle() error {
	return r.with(echoes(), func(g *gateway) error {
		before, after, err := g.growth(g.legacy("http", "shared"), idleSessions)
		if err != nil {
			return err
		}
		live := after.heap + after.stacks - before.heap - before.stacks
		r.idleBytes = max(after.resident-before.resident, live) / idleSessions
		r.printf("\nMemory\n%d idle sessions per shared, each with its open connection: resident %s, before %s; for each %s more, heap and stacks in use %s more\n",
			idleSessions, kib(after.resident), kib(before.resident),
			kib((after.resident-before.resident)/idleSessions), kib(live/idleSessions))
		return nil
	})
}

// perProcess measures what the gateway itself needs for a process.
func (r *report) perProcess() error {
	return r.with(echoes(), func(g *gateway) error {
		before, after, err := g.growth(g.legacy("http", "session"), children)
		if err != nil {
			return err
		}
		live := after.heap + after.stacks - before.heap - before.stacks
		r.printf("%d sessions per session: for each process the gateway itself has resident %s more, heap and stacks in use %s, %d goroutines, %d descriptors\n",
			children, kib((after.resident-before.resident)/children), kib(live/children),
			(after.goroutines-before.goroutines)/children, (after.descriptors-before.descriptors)/children)
		return nil
	})
}

// allocations counts those of calls that come one after another.
func (r *report) allocations() error {
	r.printf("\nAllocations of the gateway for one call\n")
	return r.with(echoes(), func(g *gateway) error {
		for _, w := range []way{g.legacy("http", "session"), g.legacy("http", "shared"), g.modern("http", "user")} {
			if err := r.allocationsOf(g, w); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *report) allocationsOf(g *gateway, w way) (err error) {
	sessions, _, err := openAll(w, 1)
	defer func() { err = errors.Join(err, endAll(sessions)) }()
	if err != nil {
		return err
	}
	text := newText(0, 64)
	var seen [3]state
	for i := range seen { // to look has a cost, which the first two tell
		if i == 2 {
			for id := range countedCalls {
				if err := sessions[0].call(id, text.next()); err != nil {
					return err
				}
			}
		}
		if seen[i], err = g.observe(); err != nil {
			return err
		}
	}
	per := func(of func(state) int) int {
		return (of(seen[2]) - of(seen[1]) - (of(seen[1]) - of(seen[0]))) / countedCalls
	}
	r.printf("%-27s %d, %d bytes\n", w.name, per(func(s state) int { return s.mallocs }), per(func(s state) int { return s.allocated }))
	return nil
}
