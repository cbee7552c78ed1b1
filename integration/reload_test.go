package integration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// reloadable is the stand-in behind an admin endpoint.
func reloadable(flags ...string) site {
	s := standin(flags...)
	s.admin = true
	return s
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	reloads := 100
	if testing.Short() {
		reloads = 10
	}
	s := reloadable()
	g := start(t, s)
	g.dialAgain()
	peers := []*peer{g.legacy(t, g.token(t, "alice")), g.legacy(t, g.token(t, "alice")), g.legacy(t, g.token(t, "bob")), g.modern(t, g.token(t, "alice")), g.modern(t, g.token(t, "bob"))}
	listener := g.legacy(t, g.token(t, "carol"))
	stream := listener.listen(http.MethodGet, "")
	call := hold(t)
	waiting := listener.begin(listener.toolCall("held", "hold", call.arguments()))
	call.reached()
	pids := make([]string, len(peers))
	for i, p := range peers {
		pids[i] = p.call("first", "pid", nil)
	}
	processes, files := len(g.processes(t)), g.files(t)

	calls, stop := load(t, peers, pids)
	for i := range reloads {
		since := calls.Load()
		s.mcp = []string{fmt.Sprintf("limits {\n concurrent %d\n}", 32+i)} // so that each is another
		g.reload(t, s)
		if n := len(g.processes(t)); n != processes && processes != 0 {
			t.Errorf("%d processes after reload %d, %d before the first", n, i, processes)
		}
		await(t, "a call between two reloads", func() bool { return calls.Load() > since || t.Failed() })
	}
	stop()
	// What was opened before the first reload still works.
	call.release()
	if text, err := resultText(waiting.wait(t)); err != nil || text != "released" {
		t.Errorf("the call in flight: %q %v", text, err)
	}
	listener.call(1, "tell", object{"method": "notifications/tools/list_changed"})
	if e := stream.take(); !strings.Contains(e.data, "list_changed") {
		t.Errorf("the stream: %+v", e)
	}
	g.client.CloseIdleConnections()
	await(t, "the file descriptors of the old configurations", func() bool { return g.files(t) <= files+10 })
}

// dialAgain makes the client try anew where a connection was reset before it was accepted.
// Caddy opens a socket of its own for each configuration (SO_REUSEPORT), and Linux resets
// what waits in the queue of the one that is closed. No request was made on it: what is
// reset once the handshake is complete still fails.
func (g *gateway) dialAgain() {
	transport := g.client.Transport.(*http.Transport)
	config := &tls.Config{RootCAs: g.roots, NextProtos: []string{"h2", "http/1.1"}}
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := tls.Dialer{Config: config}
		for {
			conn, err := dialer.DialContext(ctx, network, address)
			if !errors.Is(err, syscall.ECONNRESET) || ctx.Err() != nil {
				return conn, err
			}
		}
	}
}

// renew is reload for a test that looks at what is new: a connection of the old configuration is
// served by it until the client has heard that it is to be used no more. One with a stream on it
// stays open, and is used for nothing else.
func (g *gateway) renew(t *testing.T, s site) {
	t.Helper()
	g.reload(t, s)
	old := g.client.Transport.(*http.Transport)
	t.Cleanup(old.CloseIdleConnections)
	old.CloseIdleConnections()
	g.client.Transport = old.Clone()
}

// load lets the peers call without a pause, each served by the process with its pid, and
// returns how many calls were answered, and what ends it.
func load(t *testing.T, peers []*peer, pids []string) (calls *atomic.Int64, stop func()) {
	t.Helper()
	ending := make(chan struct{})
	calls = new(atomic.Int64)
	var all sync.WaitGroup
	for i, p := range peers {
		all.Go(func() {
			for id := 0; ; id++ {
				select {
				case <-ending:
					return
				default:
				}
				if pid, err := p.tryCall(id, "pid", nil); err != nil || pid != pids[i] {
					t.Errorf("peer %d, call %d: process %q, was %q, %v", i, id, pid, pids[i], err)
					return
				}
				calls.Add(1)
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(ending)
		all.Wait()
	})
	t.Cleanup(end)
	return calls, end
}

func TestReloadThatChangesTheCommandEndsItsSessions(t *testing.T) {
	t.Parallel()
	s := reloadable()
	g := start(t, s)
	legacy, modern := g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))
	oldLegacy, oldModern := legacy.call(1, "pid", nil), modern.call(1, "pid", nil)
	stream := legacy.listen(http.MethodGet, "")

	s.command = append(s.command, "-era", "both")
	g.renew(t, s)
	if a := legacy.post(legacy.toolCall(2, "echo", nil)); a.status != http.StatusNotFound || a.code() != -32001 {
		t.Errorf("the session: %d %s", a.status, a.body)
	}
	stream.ended()
	if pid := modern.call(2, "pid", nil); pid == oldModern {
		t.Errorf("a modern call is still served by process %s", pid)
	}
	if pid := g.legacy(t, g.token(t, "alice")).call(1, "pid", nil); pid == oldLegacy {
		t.Errorf("a new session is served by the old process %s", pid)
	}
	await(t, "the end of the old processes", func() bool {
		left := fmt.Sprint(g.processes(t))
		return !strings.Contains(left, oldLegacy) && !strings.Contains(left, oldModern) && len(g.zombies(t)) == 0
	})
}

func TestReloadOfScopesKeepsSessions(t *testing.T) {
	t.Parallel()
	s := reloadable()
	g := start(t, s)
	token := g.token(t, "alice", "tools:use")
	legacy, modern := g.legacy(t, token), g.modern(t, token)
	pids := []string{legacy.call(1, "pid", nil), modern.call(1, "pid", nil)}

	s.mcp = []string{"scopes {", "	tool echo tools:more", "	deny tool env", "}"}
	g.renew(t, s)
	for i, p := range []*peer{legacy, modern} {
		if pid := p.call(2, "pid", nil); pid != pids[i] {
			t.Errorf("process %s, was %s", pid, pids[i])
		}
		a := p.post(p.toolCall(3, "echo", nil))
		if a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `scope="tools:more"`) {
			t.Errorf("without the new scope: %d %v", a.status, a.header)
		}
		if a := p.post(p.toolCall(4, "env", nil)); a.status != http.StatusForbidden {
			t.Errorf("the tool that is denied now: %d", a.status)
		}
		if got := p.as(g.token(t, "alice", "tools:more")).call(5, "echo", object{"text": "x"}); got != "x" {
			t.Errorf("with the new scope: %q", got)
		}
	}
}

func TestBrokenConfigurationKeepsTheOldOneRunning(t *testing.T) {
	t.Parallel()
	s := reloadable()
	g := start(t, s)
	p := g.legacy(t, g.token(t, "alice"))
	pid := p.call(1, "pid", nil)
	broken := map[string]func(site) site{
		"unknown subdirective":     func(s site) site { s.mcp = []string{"nonsense"}; return s },
		"what is not built yet":    func(s site) site { s.stdio = []string{"limit files 100"}; return s },
		"placeholder of a request": func(s site) site { s.stdio = []string{"env X {mcp.session}"}; return s },
		"user picks the command":   func(s site) site { s.command = []string{"{mcp.user}"}; return s },
		"issuer that is no URL":    func(s site) site { s.issuer = "nonsense"; return s },
		"two at one path": func(s site) site {
			s.routes = []string{"mcp /mcp {", "	stdio x", "	oauth https://auth.example", "}"}
			return s
		},
		"malformed origin": func(s site) site { s.mcp = []string{"origins nonsense"}; return s },
	}
	for name, change := range broken {
		if status, text := g.load(t, change(s).caddyfile(g)); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, status, text)
		}
		if got := p.call(2, "pid", nil); got != pid {
			t.Errorf("%s: process %s, was %s", name, got, pid)
		}
	}
	g.renew(t, s)
	if got := p.call(3, "pid", nil); got != pid {
		t.Errorf("after a good one: process %s, was %s", got, pid)
	}
}
