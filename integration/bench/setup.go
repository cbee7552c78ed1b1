package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/snapgate/snapgate/integration/internal/npm"
)

const (
	setups = 20
	// rest is between two set-ups, for the processes of the one before to end, and for
	// those of the next one to be ready.
	rest = time.Second
)

const (
	cold      = "cold"
	prewarmed = "prewarmed"
)

// beginnings are the ways in which a session comes to its process.
var beginnings = []struct {
	name  string
	lines []string // of the stdio block
}{
	{cold, nil},
	{prewarmed, []string{"prewarm 2"}},
}

// setups lets sessions begin one after another, with a server that is built with the SDK
// for Node.js, whose start is most of what that takes.
func (r *report) setups() error {
	r.printf("\nSet-up of a session with server-everything on Node.js, %d of them\n", setups)
	if !r.options.npm {
		r.printf("left out: -npm=false\n")
		return nil
	}
	folder, err := npm.Folder(npm.Servers)
	if err != nil {
		r.printf("left out: %v\n", err)
		return nil
	}
	command := fmt.Sprintf("%q stdio", filepath.Join(folder, "node_modules", ".bin", "mcp-server-everything"))
	for _, b := range beginnings {
		err := r.with([]endpoint{{"node", command, b.lines}}, func(g *gateway) error {
			took, err := g.setUp()
			if err != nil {
				return fmt.Errorf("set-up, %s: %w", b.name, err)
			}
			r.begun[b.name] = percentile(took, 50)
			r.printf("%-10s p50 %v, max %v\n", b.name, percentile(took, 50), slices.Max(took).Round(time.Microsecond))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setUp begins sessions and ends each before the next one.
func (g *gateway) setUp() (took []time.Duration, _ error) {
	for range setups {
		time.Sleep(rest)
		s, one, err := openAll(g.legacy("http", "node"), 1)
		if err != nil {
			return nil, err
		}
		took = append(took, one...)
		if err := endAll(s); err != nil {
			return nil, err
		}
	}
	return took, nil
}
