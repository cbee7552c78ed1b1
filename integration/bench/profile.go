package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// profileAll writes profiles of the gateway in each of its rows, which are measured once more
// for that: to be profiled has a cost.
func (r *report) profileAll(g *gateway, ways []way, n, payload int) error {
	if r.options.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(r.options.profiles, 0o755); err != nil {
		return err
	}
	for _, w := range ways {
		if !w.gateway {
			continue
		}
		name := fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(w.name, ", ", "-"), n, payload)
		for kind, query := range map[string]string{"cpu": "profile?seconds=4", "allocs": "allocs?seconds=1"} {
			text, _, err := profileOf(w, n, payload, func() ([]byte, error) { return g.profile(query) })
			if err == nil {
				err = os.WriteFile(filepath.Join(r.options.profiles, name+"."+kind+".pprof"), text, 0o644)
			}
			if err != nil {
				return fmt.Errorf("profile of %s: %w", w.name, err)
			}
		}
	}
	return nil
}

// profileOf is what profiles the process that speaks HTTP while w is in use, and how many
// calls that process answers in a second meanwhile.
func profileOf(w way, n, payload int, profile func() ([]byte, error)) (text []byte, rate float64, err error) {
	var measured result
	done := make(chan error, 1)
	go func() {
		var err error
		measured, err = measure(w, n, payload, 6*time.Second)
		done <- err
	}()
	time.Sleep(time.Second) // for the sessions to begin
	text, err = profile()
	err = errors.Join(err, <-done)
	return text, measured.rate, err
}

// part is one of those that a process's time is divided into: what is done in functions
// whose names contain one of these.
type part struct {
	name  string
	marks []string
}

// inside are parts that everything below such a function belongs to, the first that fits.
var inside = []part{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
	{"making objects", []string{"runtime.mallocgc", "runtime.growslice"}},
	{"waking and parking threads", []string{"runtime.wakep", "runtime.schedule", "runtime.sysmon", "runtime.ready"}},
	{"system calls, pipes", []string{"process.(*attempt).step", "os.(*File).Read", "echo.(*Child).Call"}},
	{"system calls, log", []string{"os.(*File).Write"}},
	{"system calls, connections", []string{"net.(*netFD).", "internal/poll.(*FD)."}},
}

// within are parts by the innermost function that is of one of them.
var within = []part{
	{"this module", []string{"github.com/snapgate/snapgate/", "github.com/go-json-experiment/"}},
	{"log, but its system calls", []string{"go.uber.org/zap", "timberjack"}},
	{"Caddy", []string{"github.com/caddyserver/"}},
	{"net/http", []string{"net/http", "net/textproto"}},
}

const otherwise = "the rest, mostly the runtime"

// partOf divides by function names, the innermost first.
func partOf(functions []string) string {
	for _, p := range inside {
		for _, f := range functions {
			if p.has(f) {
				return p.name
			}
		}
	}
	for _, f := range functions {
		for _, p := range within {
			if p.has(f) {
				return p.name
			}
		}
	}
	return otherwise
}

func (p part) has(function string) bool {
	for _, mark := range p.marks {
		if strings.Contains(function, mark) {
			return true
		}
	}
	return false
}

// divide says how long the process was busy with each part in a second of a profile of CPU.
func divide(text []byte) (map[string]time.Duration, error) {
	parsed, err := profile.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	busy := map[string]time.Duration{}
	for _, sample := range parsed.Sample {
		var functions []string
		for _, location := range sample.Location {
			for _, line := range location.Line {
				functions = append(functions, line.Function.Name)
			}
		}
		busy[partOf(functions)] += time.Duration(sample.Value[len(sample.Value)-1])
	}
	for name := range busy {
		busy[name] = time.Duration(float64(busy[name]) / time.Duration(parsed.DurationNanos).Seconds())
	}
	return busy, nil
}

// spending prints where the time goes in the rows that the bars are about, and in that of the
// least that passes on.
func (r *report) spending() error {
	inCaddy, err := r.startInCaddy()
	if err != nil {
		return err
	}
	defer inCaddy.stop()
	return r.with(echoes(), func(g *gateway) error {
		const query = "?seconds=4"
		ofGateway := func() ([]byte, error) { return g.profile("profile" + query) }
		var columns []map[string]time.Duration
		r.printf("\nµs of the HTTP process for a call, by what they go to\n%-30s", "")
		for _, one := range []struct {
			way
			profile func() ([]byte, error)
		}{
			{inCaddy.passing(leastInCaddy), func() ([]byte, error) { return inCaddy.profile(query) }},
			{g.legacy("http", "session"), ofGateway},
			{g.modern("http", "user"), ofGateway},
		} {
			for _, n := range []int{1, barSessions} {
				text, rate, err := profileOf(one.way, n, barPayload, one.profile)
				if err != nil {
					return fmt.Errorf("profile of %s: %w", one.name, err)
				}
				busy, err := divide(text)
				if err != nil {
					return err
				}
				for part := range busy {
					busy[part] = time.Duration(float64(busy[part]) / rate)
				}
				columns = append(columns, busy)
				r.printf("%24s", fmt.Sprintf("%s, %d", strings.TrimSuffix(one.name, ", http"), n))
			}
		}
		r.printDivision(columns)
		return nil
	})
}

func (r *report) printDivision(columns []map[string]time.Duration) {
	for _, p := range append(append(inside[:len(inside):len(inside)], within...), part{name: otherwise}) {
		r.printf("\n%-30s", p.name)
		for _, busy := range columns {
			r.printf("%24.1f", microseconds(busy[p.name]))
		}
	}
	r.printf("\n%-30s", "all")
	for _, busy := range columns {
		var sum time.Duration
		for _, of := range busy {
			sum += of
		}
		r.printf("%24.1f", microseconds(sum))
	}
	r.printf("\n")
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
