package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wrapper is a way in which a server may be written into a configuration.
type wrapper struct {
	command   []string
	processes int // that one server is
}

func wrappers() map[string]wrapper {
	return map[string]wrapper{
		"plain":                 {[]string{standinBinary}, 1},
		"shell that execs":      {[]string{"sh", "-c", `exec "$0" "$@"`, standinBinary}, 1},
		"shell that stays":      {[]string{"sh", "-c", `"$0" "$@"; true`, standinBinary}, 2},
		"background grandchild": {[]string{"sh", "-c", `"$0" -sleep & exec "$0" "$@"`, standinBinary}, 2},
		"stubborn":              {[]string{standinBinary, "-stubborn"}, 1},
	}
}

// counted is what the end of a server must leave nothing of.
func counted(t *testing.T, g *gateway) {
	t.Helper()
	await(t, "the end of all processes, zombies among them", func() bool {
		return len(g.processes(t)) == 0 && len(g.zombies(t)) == 0
	})
}

// running opens a session and a modern call, and starts a process under each server that
// no end of input would end.
func running(t *testing.T, g *gateway) (legacy, modern *peer) {
	t.Helper()
	legacy, modern = g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))
	for _, p := range []*peer{legacy, modern} {
		p.spawn(t)
	}
	return legacy, modern
}

// spawn has the server of the peer start a process that no end of input would end.
func (p *peer) spawn(t *testing.T) {
	t.Helper()
	pid, err := strconv.Atoi(p.call("spawn", "spawn", nil))
	if err != nil || !alive(pid) {
		t.Fatalf("no process was spawned: %d %v", pid, err)
	}
}

func TestNoProcessIsLeft(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	for name, wrapper := range wrappers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site{command: wrapper.command, admin: true, stdio: []string{"stop_timeout 300ms"}}
			g := start(t, s)

			legacy, _ := running(t, g)
			// A process that is just being started shows no environment yet, so that the
			// first count may miss one.
			each := wrapper.processes + 1 // and the one that it spawned
			await(t, "the processes of both servers", func() bool { return len(g.processes(t)) == 2*each })
			legacy.do(http.MethodDelete, "")
			await(t, "the end of the session's processes", func() bool { return len(g.processes(t)) == each })

			// Another command: the modern client's process goes with the old one.
			s.stdio = []string{"stop_timeout 300ms", "env GENERATION 2"}
			g.renew(t, s)
			counted(t, g)
			running(t, g)
			s.stdio = []string{"stop_timeout 300ms", "env GENERATION 3"}
			g.renew(t, s)
			counted(t, g)

			idle := s
			idle.stdio = append(slices.Clone(s.stdio), "idle_timeout 2s")
			g.renew(t, idle)
			crash(t, g)
			counted(t, g)

			g.renew(t, s)
			for attempt := 1; ; attempt++ {
				// One stop timeout for the calls, three for the ladder, and what Caddy itself takes. With
				// the timeouts that are the default, what is stubborn would take fifteen seconds each time.
				took := terminate(t, g)
				if took < 14*time.Second {
					break
				}
				if attempt == 3 { // no machine is so busy three times
					t.Fatalf("it took %v", took)
				}
				g = start(t, s)
			}
		})
	}
}

// crash is a client that is gone in the middle of a call. Its session is idle once the
// call has ended.
func crash(t *testing.T, g *gateway) {
	t.Helper()
	for _, era := range []string{legacyVersion, modernVersion} {
		p, call, waiting := inCall(t, g, era)
		p.spawn(t)
		waiting.cancel()
		call.release()
	}
}

// inCall is a peer in the middle of a call, in which nothing is idle. On a machine that is busy its
// session may be idle for too long before, and then it begins another.
func inCall(t *testing.T, g *gateway, version string) (p *peer, call held, waiting *inFlight) {
	t.Helper()
	await(t, "a call in a session", func() bool {
		p = g.modern(t, g.token(t, "alice"))
		if p.version = version; version == legacyVersion {
			p.session = g.anyone(t, p.token).post(initializeMessage(version)).header.Get("Mcp-Session-Id")
		}
		call = hold(t)
		waiting = p.begin(p.toolCall("h", "hold", call.arguments()))
		await(t, "the call to reach the child, or none", func() bool { return exists(call.file+".in") || waiting.ended() })
		return !waiting.ended() || waiting.wait(t).status != http.StatusNotFound
	})
	call.reached()
	return p, call, waiting
}

// terminate is SIGTERM with streams and calls open, which would last for ever. It returns how long it takes.
func terminate(t *testing.T, g *gateway) time.Duration {
	t.Helper()
	legacy, modern := running(t, g)
	stream := legacy.listen(http.MethodGet, "")
	for _, p := range []*peer{legacy, modern} {
		call := hold(t)
		p.begin(p.toolCall("h", "hold", call.arguments()))
		call.reached()
	}
	began := time.Now()
	g.signal(t, syscall.SIGTERM)
	stream.ended()
	select {
	case <-g.exited:
	case <-time.After(exitTime):
		t.Fatal("caddy did not end")
	}
	took := time.Since(began)
	// What was killed takes a moment to vanish. What was not would stay: nothing ends what was spawned.
	await(t, "the end of all that the gateway which was told to end has started", func() bool { return len(g.processes(t)) == 0 })
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	return took
}

// A gateway that stands still while it ends, as on a machine that is busy, does all that it has to do
// once it goes on.
func TestNothingIsLeftByAGatewayThatStandsStillWhileItEnds(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	s := standin("-stubborn")
	s.stdio = []string{"stop_timeout 300ms"}
	g := start(t, s)
	running(t, g)
	g.signal(t, syscall.SIGTERM)
	g.logs.await(t, 2, func(e entry) bool { return e["msg"] == "stopping process" && e["reason"] == "the gateway closes" })
	g.signal(t, syscall.SIGSTOP)
	time.Sleep(4 * time.Second) // more than the exit takes, whoever is slow to end
	g.signal(t, syscall.SIGCONT)
	select {
	case <-g.exited: // what is left is looked for when the test ends
	case <-time.After(exitTime):
		t.Error("it did not end")
	}
}

// A gateway that is killed can end nothing. The system ends its children, and the end of
// input those below them that heed it.
func TestNoProcessOutlivesAGatewayThatIsKilled(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	for name, wrapper := range wrappers() {
		if name == "background grandchild" {
			continue // it heeds no end of input: only an init of a container ends it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, site{command: wrapper.command})
			legacy, modern := g.legacy(t, g.token(t, "alice")), g.modern(t, g.token(t, "alice"))
			legacy.call(1, "pid", nil)
			modern.call(1, "pid", nil)
			if n := len(g.processes(t)); n < 2 {
				t.Fatalf("%d processes", n)
			}
			g.signal(t, os.Kill)
			<-g.exited
			await(t, "the end of all processes", func() bool { return len(g.processes(t)) == 0 })
		})
	}
}

func TestManySessionsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	countsProcesses(t)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	g := start(t, standin())
	tokens := []string{g.token(t, "alice"), g.token(t, "bob"), g.token(t, "carol"), g.token(t, "dave")}
	run := func(rounds int) {
		for range rounds {
			var all sync.WaitGroup
			for _, token := range tokens {
				all.Go(func() {
					if err := shortSession(t, g, token); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			counted(t, g)
		}
	}
	run(1)
	files := g.files(t)
	// The runtime keeps a thread that it once needed, and needs more of them when the machine
	// is busy. But it reaches an end of that, and a leak does not.
	for attempt := 1; ; attempt++ {
		threads := g.threads(t)
		run(rounds)
		n := g.threads(t)
		if n <= threads+rounds {
			break
		}
		if attempt == 4 {
			t.Errorf("%d threads, %d before the last %d rounds", n, threads, rounds)
			break
		}
	}
	await(t, "the files of all sessions to be closed", func() bool { return g.files(t) <= files+5 })
}

// shortSession opens a session, uses and ends it.
func shortSession(t *testing.T, g *gateway, token string) error {
	p := g.anyone(t, token)
	for range 3 {
		p.session = ""
		a, err := p.try(http.MethodPost, initializeMessage(legacyVersion))
		if err != nil {
			return err
		}
		p.session = a.header.Get("Mcp-Session-Id")
		if _, err := p.tryCall(1, "pid", nil); err != nil {
			return err
		}
		if a, err := p.try(http.MethodDelete, ""); err != nil || a.status != http.StatusNoContent {
			return fmt.Errorf("DELETE: %d %v", a.status, err)
		}
	}
	return nil
}
