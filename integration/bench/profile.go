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
			text, err := g.profileOf(w, n, payload, query)
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

// profileOf is one of the gateway's profiles while w is in use.
func (g *gateway) profileOf(w way, n, payload int, query string) ([]byte, error) {
	done := make(chan error, 1)
	go func() {
		_, err := measure(w, n, payload, 6*time.Second)
		done <- err
	}()
	time.Sleep(time.Second) // for the sessions to begin
	text, err := g.profile(query)
	return text, errors.Join(err, <-done)
}

// part is one of those that the gateway's time is divided into: what is done in functions
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
	{"system calls, pipes", []string{"process.(*attempt).step", "os.(*File).Read"}},
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

// divide says which share of a profile of CPU each part has.
func divide(text []byte) (map[string]float64, error) {
	parsed, err := profile.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	shares, sum := map[string]float64{}, 0.0
	for _, sample := range parsed.Sample {
		var functions []string
		for _, location := range sample.Location {
			for _, line := range location.Line {
				functions = append(functions, line.Function.Name)
			}
		}
		spent := float64(sample.Value[len(sample.Value)-1]) // nanoseconds
		shares[partOf(functions)] += spent
		sum += spent
	}
	for name := range shares {
		shares[name] /= sum
	}
	return shares, nil
}

// spending prints where the gateway's time goes in the rows that the bars are about.
func (r *report) spending() error {
	return r.with(echoes(), func(g *gateway) error {
		var columns []map[string]float64
		r.printf("\nThe gateway's processor time, by where it goes\n%-30s", "")
		for _, w := range []way{g.legacy("http", "session"), g.modern("http", "user")} {
			for _, n := range []int{1, 32} {
				text, err := g.profileOf(w, n, 64, "profile?seconds=4")
				if err != nil {
					return fmt.Errorf("profile of %s: %w", w.name, err)
				}
				shares, err := divide(text)
				if err != nil {
					return err
				}
				columns = append(columns, shares)
				r.printf("%24s", fmt.Sprintf("%s, %d", strings.TrimSuffix(w.name, ", http"), n))
			}
		}
		for _, p := range append(append(inside[:len(inside):len(inside)], within...), part{name: otherwise}) {
			r.printf("\n%-30s", p.name)
			for _, shares := range columns {
				r.printf("%22.0f %%", 100*shares[p.name])
			}
		}
		r.printf("\n")
		return nil
	})
}
