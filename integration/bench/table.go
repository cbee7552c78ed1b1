package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"
)

// row says what was measured.
type row struct {
	name              string
	sessions, payload int
	library           bool // by clients of net/http
}

// report prints what is measured and keeps what the bars are about.
type report struct {
	out     io.Writer
	options options
	binary  string // of the gateway
	inCaddy string // of Caddy that answers itself
	rows    map[row]result

	begun       map[string]time.Duration // p50 of set-up
	idleBytes   int                      // of one session
	left        string                   // of many sessions
	nothingLeft bool
	snapshotd   snapshotdFigures

	unread error // nobody reads what is printed
}

func (r *report) printf(format string, values ...any) {
	if _, err := fmt.Fprintf(r.out, format, values...); err != nil {
		r.unread = err
	}
}

// The rows that others are held against.
const (
	limit   = "limit"
	rawName = "raw stdio"
)

// with runs one section with a gateway that nobody has used.
func (r *report) with(endpoints []endpoint, section func(*gateway) error) (err error) {
	g, err := startGateway(r.binary, endpoints)
	if err != nil {
		return err
	}
	defer func() {
		if stopped := g.stop(); err == nil {
			err = stopped
		}
	}()
	return section(g)
}

func (r *report) table() error {
	bare, err := startServer(func(address string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), bareVar+"="+address)
		return cmd
	})
	if err != nil {
		return err
	}
	defer bare.stop()
	inCaddy, err := r.startInCaddy()
	if err != nil {
		return err
	}
	defer inCaddy.stop()
	var peers []*peer
	if r.options.npm {
		if peers, err = startPeers(); err != nil {
			r.printf("supergateway and mcp-proxy are left out: %v.\n\n", err)
		}
	} else {
		r.printf("supergateway and mcp-proxy are left out: -npm=false.\n\n")
	}
	defer stopPeers(peers)
	return r.with(echoes(), func(g *gateway) error {
		ways := []way{rawStdio(), bare.answering(bareName), inCaddy.answering(caddyName), bare.passing(leastName), inCaddy.passing(leastInCaddy)}
		for _, scheme := range []string{"http", "https"} {
			ways = append(ways,
				g.legacy(scheme, "session"), g.legacy(scheme, "user"), g.legacy(scheme, "shared"),
				g.modern(scheme, "user"), g.modern(scheme, "shared"))
		}
		ways = slices.DeleteFunc(ways, func(w way) bool {
			return w.gateway && r.options.rows != nil && !r.options.rows.MatchString(w.name)
		})
		for _, p := range peers {
			ways = append(ways, p.way)
		}
		r.printf("%-27s %8s %6s %8s %9s %9s %8s %10s  %20s\n", "", "sessions", "bytes", "calls/s", "p50", "p99", "of limit", "set-up p50", "µs of CPU for a call")
		r.printf("%-27s %8s %6s %8s %9s %9s %8s %10s  %6s %6s %6s\n", "", "", "", "", "", "", "", "", "client", "HTTP", "server")
		for _, payload := range r.options.payloads {
			for _, n := range r.options.sessions {
				if err := r.block(ways, n, payload); err != nil {
					return err
				}
				if err := r.profileAll(g, ways, n, payload); err != nil {
					return err
				}
			}
		}
		if err := r.byLibrary(ways); err != nil {
			return err
		}
		r.printf("Every answer was its own call's.\n")
		return nil
	})
}

// byLibrary measures once more what bars are about, with clients of net/http.
func (r *report) byLibrary(ways []way) error {
	var again []way
	of := []string{bareName, leastName, leastInCaddy, legacySession, legacyShared, modernUser}
	for _, w := range ways {
		if w.foreign || slices.Contains(of, w.name) {
			w.library = true
			again = append(again, w)
		}
	}
	numbers := slices.DeleteFunc([]int{1, barSessions}, func(n int) bool { return !slices.Contains(r.options.sessions, n) })
	if len(numbers) == 0 || !slices.Contains(r.options.payloads, barPayload) {
		return nil
	}
	r.printf("The same, called by clients of net/http\n")
	for _, n := range numbers {
		if err := r.block(again, n, barPayload); err != nil {
			return err
		}
	}
	return nil
}

// rounds is how often each row is measured. All rows of a block are measured once before
// any is again, so that what else goes on meanwhile is not held against one of them.
const rounds = 3

// block measures all ways with one number of sessions and one size.
func (r *report) block(ways []way, n, payload int) error {
	results, refusals := make([][]result, len(ways)), make([]error, len(ways))
	for range rounds {
		for i, w := range ways {
			if r.unread != nil {
				return r.unread
			}
			if refusals[i] != nil {
				continue
			}
			one, err := measure(w, n, payload, r.options.time)
			switch {
			case errors.Is(err, errBusy), err != nil && w.foreign:
				refusals[i] = err
			case err != nil:
				return fmt.Errorf("%s, %d sessions: %w", w.name, n, err)
			}
			results[i] = append(results[i], one)
		}
	}
	for i, w := range ways {
		which := row{w.name, n, payload, w.library}
		if refusals[i] != nil {
			r.printf("%-27s %8d %6d %8s %9s %9s  %.120v\n", w.name, n, payload, "-", "-", "-", refusals[i])
			continue
		}
		r.add(which, median(results[i]))
		if w.name == bareName {
			r.add(row{limit, n, payload, w.library}, limitOf(r.rows[row{rawName, n, payload, false}], r.rows[which]))
		}
	}
	r.printf("\n")
	return nil
}

// median is the round whose rate is in the middle.
func median(results []result) result {
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(a.rate, b.rate) })
	return results[len(results)/2]
}

func limitOf(raw, bare result) result {
	return result{
		rate: 1 / (1/raw.rate + 1/bare.rate), p50: raw.p50 + bare.p50,
		cpu: cost{raw.cpu.client + bare.cpu.client, bare.cpu.http, raw.cpu.servers},
	}
}

func (r *report) add(which row, measured result) {
	r.rows[which] = measured
	share, p99, setup := "", measured.p99.String(), measured.setup.String()
	if most, ok := r.rows[row{limit, which.sessions, which.payload, which.library}]; ok {
		share = fmt.Sprintf("%.0f %%", 100*measured.rate/most.rate)
	}
	if which.name == limit {
		share, p99, setup = "", "", ""
	}
	r.printf("%-27s %8d %6d %8.0f %9v %9s %8s %10s  %v\n", which.name, which.sessions, which.payload,
		measured.rate, measured.p50, p99, share, setup, measured.cpu)
}
