package timeout

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimeoutsExpireInOrderEachAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Second)
		began := time.Now()
		var got []time.Duration
		var all [4]Timeout
		for i := range all {
			q.Begin(&all[i], func() { got = append(got, time.Since(began)) })
			time.Sleep(300 * time.Millisecond)
		}
		if !all[2].End() {
			t.Error("the third is said to have expired before its time")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []time.Duration{1000 * time.Millisecond, 1300 * time.Millisecond, 1900 * time.Millisecond}; !slices.Equal(got, want) {
			t.Errorf("they expired at %v, want %v", got, want)
		}
		for i := range all {
			if in, want := all[i].End(), i == 2; in != want {
				t.Errorf("timeout %d: in time %v, want %v", i, in, want)
			}
		}
	})
}

func TestAQueueThatWasEmptyGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Second)
		var one Timeout
		if !one.End() {
			t.Error("a timeout that has not begun is not in time")
		}
		for range 3 {
			var expired atomic.Bool
			q.Begin(&one, func() { expired.Store(true) })
			for range 2 {
				if !one.End() {
					t.Error("it ended and is not in time")
				}
			}
			time.Sleep(400 * time.Millisecond) // the timer of the one before is still to come
			q.Begin(&one, func() { expired.Store(true) })
			time.Sleep(999 * time.Millisecond)
			if expired.Load() {
				t.Fatal("it expired before its time")
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if !expired.Load() || one.End() {
				t.Fatalf("at its time: expired %v", expired.Load())
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// What has ended in time is never called, whoever is first.
func TestEndAndExpiryMeet(t *testing.T) {
	q := NewQueue(time.Millisecond)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				var one Timeout
				called := false // not atomic: End tells whether it is over
				q.Begin(&one, func() { called = true })
				time.Sleep(time.Millisecond)
				if in := one.End(); in == called {
					t.Errorf("in time %v, called %v", in, called)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkTimeout(b *testing.B) {
	q := NewQueue(5 * time.Second)
	nothing := func() {}
	b.ReportAllocs()
	for b.Loop() {
		var one Timeout
		q.Begin(&one, nothing)
		one.End()
	}
}
