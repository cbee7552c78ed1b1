package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cost is the time of processors that a way has used: of the client, of the process that
// speaks HTTP, and of the servers that it, or the client, has started. Where the system has
// no /proc it is 0.
type cost struct{ client, http, servers time.Duration }

// spent is what has been used until now by the client and by the process that speaks HTTP,
// which is 0 if there is none, and what these have started.
func spent(http int) cost {
	c := cost{client: cpu(os.Getpid()), http: cpu(http)}
	if http == 0 {
		http = os.Getpid() // whatever else it has started does nothing meanwhile
	}
	for _, pid := range descendants(http) {
		c.servers += cpu(pid)
	}
	return c
}

// since is what was used for each of so many calls.
func (c cost) since(before cost, calls int) cost {
	n := time.Duration(max(calls, 1))
	return cost{(c.client - before.client) / n, (c.http - before.http) / n, (c.servers - before.servers) / n}
}

// String gives microseconds.
func (c cost) String() string {
	parts := make([]string, 0, 3)
	for _, d := range []time.Duration{c.client, c.http, c.servers} {
		text := "-"
		if d > 0 {
			text = strconv.FormatFloat(float64(d)/float64(time.Microsecond), 'f', 0, 64)
		}
		parts = append(parts, fmt.Sprintf("%6s", text))
	}
	return strings.Join(parts, " ")
}

// cpu is the time that the threads of a process have run, to the nanosecond (proc(5),
// schedstat). Go's threads seldom end before their process.
func cpu(pid int) (sum time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // a good pattern
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		if n, err := strconv.ParseInt(first, 10, 64); err == nil {
			sum += time.Duration(n)
		}
	}
	return sum
}

// descendants are the processes that a process has started, and those that these have.
func descendants(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // a good pattern
	for _, file := range lists {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has just ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}
