package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// way is one way to reach the echo server.
type way struct {
	name    string
	open    func(dialer) (*session, error)
	library bool // its clients are those of net/http
	foreign bool // not ours: a failure is a result
	gateway bool // ours
	pid     int  // of the process that speaks HTTP, or 0
}

// session is one that was opened. call sends a text and checks that it came back.
type session struct {
	call func(id int, text []byte) error
	end  func() error
}

// result is one row.
type result struct {
	rate            float64 // calls a second, of all sessions
	p50, p99, setup time.Duration
	cpu             cost // of one call
}

// warm is how many calls of each session are not counted.
const warm = 20

// openAll opens n sessions, one after another, and says how long each took. What was
// opened is returned with an error, too.
func openAll(w way, n int) (sessions []*session, took []time.Duration, _ error) {
	dial := connect
	if w.library {
		dial = useLibrary
	}
	for range n {
		began := time.Now()
		s, err := w.open(dial)
		if err != nil {
			return sessions, took, err
		}
		took = append(took, time.Since(began))
		sessions = append(sessions, s)
	}
	return sessions, took, nil
}

func endAll(sessions []*session) error {
	var errs []error
	for _, s := range sessions {
		errs = append(errs, s.end())
	}
	return errors.Join(errs...)
}

// measure lets n sessions call until the time is over.
func measure(w way, n, payload int, lasting time.Duration) (_ result, err error) {
	sessions, setups, err := openAll(w, n)
	defer func() { err = errors.Join(err, endAll(sessions)) }()
	if err != nil {
		return result{}, err
	}
	var (
		group, warming sync.WaitGroup
		begin          = make(chan struct{})
		took           = make([][]time.Duration, n)
		failures       = make([]error, n)
		deadline       time.Time
	)
	warming.Add(n)
	for i, s := range sessions {
		group.Go(func() {
			text := newText(i, payload)
			for id := 0; id < warm && failures[i] == nil; id++ {
				failures[i] = s.call(id, text.next())
			}
			warming.Done()
			if <-begin; failures[i] != nil {
				return
			}
			took[i], failures[i] = callUntil(deadline, s, text)
		})
	}
	warming.Wait()
	before := spent(w.pid)
	began := time.Now()
	deadline = began.Add(lasting)
	close(begin)
	group.Wait()
	elapsed, after := time.Since(began), spent(w.pid)
	for _, err := range failures { // if there are several, they are alike
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(took...)
	return result{
		rate: float64(len(all)) / elapsed.Seconds(),
		p50:  percentile(all, 50), p99: percentile(all, 99), setup: percentile(setups, 50),
		cpu: after.since(before, len(all)),
	}, nil
}

// callUntil says how long each call took.
func callUntil(deadline time.Time, s *session, text text) (took []time.Duration, err error) {
	began := time.Now()
	for id := warm; began.Before(deadline); id++ {
		if err := s.call(id, text.next()); err != nil {
			return nil, err
		}
		ended := time.Now()
		took = append(took, ended.Sub(began))
		began = ended
	}
	return took, nil
}

// text is of one size and begins with what no other call has: its session, and a number
// drawn anew for each.
type text []byte

// leastText is what that takes, in bytes.
const leastText = 16

func newText(session, size int) text {
	return text(fmt.Sprintf("%07d-%s", session, strings.Repeat("x", size))[:size])
}

func (t text) next() []byte {
	const digits = "0123456789abcdef"
	for i, n := 8, rand.Uint32(); i < leastText; i, n = i+1, n>>4 {
		t[i] = digits[n&15]
	}
	return t
}

// percentile is the value that p of a hundred do not exceed, in microseconds.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, len(values)*p/100)].Round(time.Microsecond)
}
