package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// opener counts the stores that are open.
type opener struct {
	Source

	mu     sync.Mutex
	open   map[string]int
	most   int
	opened int
	fail   error
	delay  time.Duration
}

// fakeStore is a store that knows only how to be closed.
type fakeStore struct {
	Store
	close func() error
}

func (f fakeStore) Close() error { return f.close() }

func (o *opener) Open(_ context.Context, owner Owner) (Store, error) {
	time.Sleep(o.delay)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	if o.open == nil {
		o.open = make(map[string]int)
	}
	o.open[owner.User]++
	o.opened++
	total := 0
	for _, n := range o.open {
		total += n
	}
	o.most = max(o.most, total)
	return fakeStore{close: func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.open[owner.User]--
		return nil
	}}, nil
}

func (o *opener) isOpen(user string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open[user] > 0
}

func acquire(t *testing.T, p *Pool, user string) func() {
	t.Helper()
	_, release, err := p.Acquire(context.Background(), Owner{User: user})
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestPoolKeepsAStoreForTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opener{delay: time.Second}
		p := NewPool(o, 4, time.Minute)
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { acquire(t, p, "a")() })
		}
		group.Wait()
		if o.opened != 1 {
			t.Errorf("opened %d times", o.opened)
		}
		if err := p.Close(); err != nil || o.isOpen("a") {
			t.Errorf("after Close: open %v, %v", o.isOpen("a"), err)
		}
	})
}

func TestPoolClosesIdleStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opener{}
		p := NewPool(o, 4, time.Minute)
		acquire(t, p, "a")()
		time.Sleep(40 * time.Second)
		acquire(t, p, "b")()
		busy := acquire(t, p, "busy")
		time.Sleep(20*time.Second + time.Millisecond)
		if o.isOpen("a") || !o.isOpen("b") || !o.isOpen("busy") {
			t.Errorf("after a minute: a %v, b %v, busy %v", o.isOpen("a"), o.isOpen("b"), o.isOpen("busy"))
		}
		time.Sleep(time.Hour)
		if o.isOpen("b") || !o.isOpen("busy") {
			t.Errorf("after an hour: b %v, busy %v", o.isOpen("b"), o.isOpen("busy"))
		}
		busy()
		time.Sleep(time.Minute + time.Millisecond)
		if o.isOpen("busy") {
			t.Error("released, and open after a minute")
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPoolEvictsTheLeastRecentlyUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opener{}
		p := NewPool(o, 2, time.Hour)
		defer p.Close()
		for _, user := range []string{"a", "b", "a", "c"} {
			acquire(t, p, user)()
			time.Sleep(time.Second)
		}
		if !o.isOpen("a") || o.isOpen("b") || !o.isOpen("c") {
			t.Errorf("a %v, b %v, c %v", o.isOpen("a"), o.isOpen("b"), o.isOpen("c"))
		}
	})
}

func TestPoolNeverHasMoreOpenThanItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opener{delay: time.Millisecond}
		p := NewPool(o, 3, time.Second)
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				release := acquire(t, p, fmt.Sprint(i%17))
				time.Sleep(time.Duration(i%5) * time.Millisecond)
				release()
			})
		}
		group.Wait()
		if o.most > 3 {
			t.Errorf("%d were open at once", o.most)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPoolWaitsNoLongerThanItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &opener{}
		p := NewPool(o, 1, time.Minute)
		defer p.Close()
		release := acquire(t, p, "a")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, _, err := p.Acquire(ctx, Owner{User: "b"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		release()
		release() // a second time is nothing
		acquire(t, p, "b")()
	})
}

func TestPoolForgetsAFailedOpen(t *testing.T) {
	o := &opener{fail: ErrOwner}
	p := NewPool(o, 1, time.Minute)
	defer p.Close()
	if _, _, err := p.Acquire(context.Background(), Owner{User: "a"}); !errors.Is(err, ErrOwner) {
		t.Fatalf("got %v", err)
	}
	o.fail = nil
	acquire(t, p, "a")()
}

func TestPoolTellsOwnersOfOneNameApart(t *testing.T) {
	o := &opener{}
	p := NewPool(o, 2, time.Minute)
	defer p.Close()
	acquire(t, p, "a")()
	if _, _, err := p.Acquire(context.Background(), Owner{User: "a", Subject: "other"}); !errors.Is(err, ErrOwner) {
		t.Errorf("got %v", err)
	}
}

func TestClosedPoolRefuses(t *testing.T) {
	p := NewPool(&opener{}, 1, time.Minute)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Acquire(context.Background(), Owner{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}
