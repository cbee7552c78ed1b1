package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// connections are how many the many sessions use.
const connections = 8

// crowd are sessions that share a connection.
type crowd struct {
	client *client
	lines  []string // of each session's requests
	call   func(int, []byte) error
}

// many opens sessions that share a process, uses each once, closes them, and looks for
// what is left.
func (r *report) many() error {
	return r.with(echoes(), func(g *gateway) error {
		crowds, err := g.crowds(r.options.many)
		if err != nil {
			return err
		}
		defer func() {
			for _, c := range crowds {
				_ = c.client.close() // all is measured by then
			}
		}()
		before, err := g.observe()
		if err != nil {
			return err
		}
		r.printf("\n%d sessions per shared, at once\n", r.options.many)
		for _, step := range []struct {
			name string
			do   func(*crowd, int) error
		}{{"opened", (*crowd).open}, {"used", (*crowd).use}, {"closed", (*crowd).close}, {"unknown", (*crowd).unknown}} {
			began := time.Now()
			if err := together(crowds, step.do); err != nil {
				return fmt.Errorf("many sessions, %s: %w", step.name, err)
			}
			r.printf("%-8s in %v\n", step.name, time.Since(began).Round(time.Millisecond))
		}
		return r.leftOver(g, before)
	})
}

// crowds divides n sessions, and has one begin and end on each connection: connections,
// and the process, are not what is to go.
func (g *gateway) crowds(n int) (all []*crowd, _ error) {
	for i := range connections {
		client, err := connect(g.urls[site{"http", "shared"}], nil, g.bearer())
		if err != nil {
			return all, err
		}
		size := n / connections
		if i < n%connections {
			size++
		}
		all = append(all, &crowd{client, make([]string, size), client.echo("")})
		if err := errors.Join(client.begin(), client.end()); err != nil {
			return all, err
		}
	}
	return all, nil
}

// together lets all crowds do one thing for each of their sessions.
func together(crowds []*crowd, do func(*crowd, int) error) error {
	var group sync.WaitGroup
	failures := make([]error, len(crowds))
	for n, c := range crowds {
		group.Go(func() {
			for i := range c.lines {
				if failures[n] = do(c, i); failures[n] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func (c *crowd) open(i int) error {
	err := c.client.begin()
	c.lines[i] = c.client.session
	return err
}

func (c *crowd) use(i int) error {
	c.client.session = c.lines[i]
	return c.call(i, newText(i, 64).next())
}

func (c *crowd) close(i int) error {
	c.client.session = c.lines[i]
	return c.client.end()
}

func (c *crowd) unknown(i int) error {
	c.client.session = c.lines[i]
	if r, err := c.client.do(http.MethodPost, []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)); r.status != http.StatusNotFound {
		return fmt.Errorf("a closed session is answered with status %d: %w", r.status, err)
	}
	return nil
}

// leftOver waits until as much is left as was there before.
func (r *report) leftOver(g *gateway, before state) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		after, err := g.observe()
		if err != nil {
			return err
		}
		more := []int{after.goroutines - before.goroutines, after.descriptors - before.descriptors, after.processes - before.processes}
		if gone := max(more[0], more[1], more[2]) <= 0; gone || time.Now().After(deadline) {
			r.left = fmt.Sprintf("%d goroutines, %d descriptors, %d processes", more[0], more[1], more[2])
			r.nothingLeft = gone
			r.printf("left    %s more than before; %s of heap in use, before %s\n", r.left, kib(after.heap), kib(before.heap))
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}
