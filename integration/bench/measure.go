package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is one row.
type result struct {
	rate            float64 // calls a second, of all sessions
	p50, p99, setup time.Duration
}

// warm is how many calls of each session are not counted.
const warm = 20

// session is one that was opened.
type session struct {
	call func(int, string) (string, error)
	end  func()
}

// openAll opens n sessions, one after another, and says how long each took. What was
// opened is returned with an error, too.
func openAll(w way, n int) (sessions []session, setups []time.Duration, _ error) {
	for range n {
		began := time.Now()
		call, end, err := w.open()
		if err != nil {
			return sessions, setups, err
		}
		setups = append(setups, time.Since(began))
		sessions = append(sessions, session{call, end})
	}
	return sessions, setups, nil
}

// measure lets n sessions call until the time is over.
func measure(w way, n int, opts options) (result, error) {
	sessions, setups, err := openAll(w, n)
	defer func() {
		for _, s := range sessions {
			s.end()
		}
	}()
	if err != nil {
		return result{}, err
	}
	var (
		group    sync.WaitGroup
		begin    = make(chan struct{})
		took     = make([][]time.Duration, n)
		failures = make([]error, n)
		deadline time.Time
	)
	for i, s := range sessions {
		group.Go(func() {
			text := fmt.Sprintf("%d-%s", i, strings.Repeat("x", opts.payload))[:opts.payload]
			for id := range warm {
				if _, failures[i] = s.call(id, text); failures[i] != nil {
					return
				}
			}
			<-begin
			for id := warm; ; id++ {
				began := time.Now()
				if began.After(deadline) {
					return
				}
				said := fmt.Sprintf("%s %d", text, rand.Uint32())
				got, err := s.call(id, said)
				if err == nil && got != said {
					err = fmt.Errorf("call %d got the answer to another", id)
				}
				if failures[i] = err; err != nil {
					return
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	deadline = time.Now().Add(opts.time)
	close(begin)
	began := time.Now()
	group.Wait()
	elapsed := time.Since(began)
	for _, err := range failures {
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(took...)
	return result{
		rate: float64(len(all)) / elapsed.Seconds(),
		p50:  percentile(all, 50), p99: percentile(all, 99), setup: percentile(setups, 50),
	}, nil
}

// percentile is the value that p of a hundred do not exceed, in microseconds.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, len(values)*p/100)].Round(time.Microsecond)
}
