// Package timeout keeps many timeouts of one length, nearly all of which end early.
//
// A timer of its own for each call costs more than it seems: when it is the next one to be
// due, the runtime wakes the thread that waits for the network, to make it wait for less.
// With calls that take microseconds and timeouts of seconds that is once a call. A [Queue]
// has one timer for all, which it does not touch when a timeout ends early.
package timeout

import (
	"sync"
	"time"
)

// Past is a deadline that is over, for ending a read or write that is under way. The zero
// time would be no deadline at all.
var Past = time.Unix(1, 0)

// Queue is for timeouts of one length. Its methods may be called from any goroutine.
type Queue struct {
	length time.Duration

	mu    sync.Mutex
	head  Timeout // of the ring: next is the oldest, the first that is due
	timer *time.Timer
	armed bool
}

// Timeout is one that has begun. The zero Timeout has not, and can be used again once it has
// ended.
type Timeout struct {
	queue      *Queue
	due        time.Time
	expired    func()
	next, prev *Timeout
}

// NewQueue makes a queue. length is above 0.
func NewQueue(length time.Duration) *Queue {
	q := &Queue{length: length}
	q.head.next, q.head.prev = &q.head, &q.head
	return q
}

// Begin has expired called once the length has passed, unless the timeout ends before. It is
// called with the queue locked: it must not block, nor begin or end a timeout.
func (q *Queue) Begin(t *Timeout, expired func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.queue, t.due, t.expired = q, time.Now().Add(q.length), expired
	t.prev, t.next = q.head.prev, &q.head
	t.prev.next, q.head.prev = t, t
	if !q.armed {
		q.arm(q.length)
	}
}

// End ends a timeout. It reports whether it was in time: if so, expired is not called, and
// if not, it has returned. A timeout that has not begun, or has ended, is in time.
func (t *Timeout) End() bool {
	q := t.queue
	if q == nil {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	t.queue = nil
	if t.next == nil {
		return false
	}
	t.leave()
	return true
}

func (t *Timeout) leave() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev, t.expired = nil, nil, nil
}

// arm is called with q.mu held.
func (q *Queue) arm(in time.Duration) {
	q.armed = true
	if q.timer == nil {
		q.timer = time.AfterFunc(in, q.expire)
		return
	}
	q.timer.Reset(in)
}

// expire calls those that are due, and waits for the next one.
func (q *Queue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armed = false
	now := time.Now()
	for t := q.head.next; t != &q.head; t = q.head.next {
		if left := t.due.Sub(now); left > 0 {
			q.arm(left)
			return
		}
		expired := t.expired
		t.leave()
		expired()
	}
}
