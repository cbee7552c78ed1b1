package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	return getProfile(g.admin, "http://127.0.0.1/debug/pprof/"+name)
}

func getProfile(client *http.Client, url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return text, err
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
