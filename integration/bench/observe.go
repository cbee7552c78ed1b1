package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// state is what can be seen of the gateway's process, in bytes and numbers. Where the
// system has no /proc, what comes from there is 0.
type state struct {
	resident           int // of the gateway itself, not of its children
	heap, stacks       int // in use, after a collection
	mallocs, allocated int // since it began
	goroutines         int
	descriptors        int
	processes          int // its children
}

// observe makes the gateway collect its garbage, too.
func (g *gateway) observe() (state, error) {
	heap, err := g.profile("heap?debug=1&gc=1")
	if err != nil {
		return state{}, err
	}
	goroutines, err := g.profile("goroutine?debug=1")
	if err != nil {
		return state{}, err
	}
	// Those are runtime.MemStats, at the end of the profile.
	return state{
		resident: g.resident(),
		heap:     number(heap, "# HeapInuse = "), stacks: number(heap, "# Stack = "),
		mallocs: number(heap, "# Mallocs = "), allocated: number(heap, "# TotalAlloc = "),
		goroutines:  number(goroutines, "goroutine profile: total "),
		descriptors: entries(fmt.Sprintf("/proc/%d/fd/*", g.cmd.Process.Pid)),
		processes:   g.processes(),
	}, nil
}

func (g *gateway) profile(name string) ([]byte, error) {
	// A Unix socket has no host; Caddy takes this one.
	resp, err := g.admin.Get("http://127.0.0.1/debug/pprof/" + name)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("profile %s: %s", name, resp.Status)
	}
	return text, err
}

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
		if err := g.profileOne(w, n, payload, filepath.Join(r.options.profiles, name)); err != nil {
			return fmt.Errorf("profile of %s: %w", w.name, err)
		}
	}
	return nil
}

// profileOne writes where time goes, and what is allocated, while w is in use.
func (g *gateway) profileOne(w way, n, payload int, file string) error {
	done := make(chan error, 1)
	go func() {
		_, err := measure(w, n, payload, 5*time.Second)
		done <- err
	}()
	time.Sleep(time.Second) // for the sessions to begin
	var errs []error
	for kind, query := range map[string]string{"cpu": "profile?seconds=2", "allocs": "allocs?seconds=1"} {
		text, err := g.profile(query)
		if err == nil {
			err = os.WriteFile(file+"."+kind+".pprof", text, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, <-done)...)
}

// number is what follows label at the beginning of a line, or 0.
func number(text []byte, label string) int {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), label); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

func (g *gateway) resident() int { return residentOf(g.cmd.Process.Pid) }

func residentOf(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return number(status, "VmRSS:") << 10
}

func (g *gateway) processes() int {
	return len(descendants(g.cmd.Process.Pid))
}

func entries(pattern string) int {
	found, _ := filepath.Glob(pattern) // a good pattern
	return len(found)
}
