// Command bench measures what the gateway costs, in one run:
//
//	go run ./integration/bench
//
// Each row of its table is a number of sessions that call a trivial echo server as fast as
// they get answers, and every answer is checked against its call. It is the median of three
// measurements.
//
//   - raw stdio: the server alone, one process for each session, nothing in between
//   - bare HTTP: a net/http handler that answers itself, in a process of its own
//   - limit: what the two cost together, 1/(1/bare + 1/raw)
//   - handler in Caddy: the same handler in a site of Caddy, without this module and without
//     the way in which caddymodule/cmd/caddy collects garbage
//   - least gateway and least in Caddy: a handler that passes a body on to a process of its
//     connection, and a line of that back, and does nothing else: no gateway with a process
//     for each session costs less
//   - legacy and modern: Caddy with this module, verified tokens and audit records, clients
//     of 2025-11-25 and of 2026-07-28, a process per session, user or all; plain HTTP and TLS
//   - supergateway and mcp-proxy, where npm can install them: no TLS, no login, no records
//
// Modern rows of "per session" are left out, being those of "per user". All sessions are one
// user's. A session has one connection. What calls is a client written for this, which sends
// a request with one write, from buffers that it reuses, and compares an answer byte for byte
// before it decodes it; it is the same for all that speaks HTTP, and shares the machine with
// what it measures. Its own cost stands in raw stdio and in bare HTTP, as the server's does,
// so that both are in the limit twice. What bars are about is measured once more with clients
// of net/http.
//
// The last columns are the processor time of a call, which says more than rates do on a
// machine that others use: that of the client, of the process that speaks HTTP, and of the
// servers.
//
// After the table come a division of the processor time of the gateway, and of the least in
// Caddy, by what it goes to, the time that a session takes to begin with a server on Node.js,
// the start of snapshotd beside that of a server on the SDK of the original one, the memory and
// the allocations of the gateway, what is left of many sessions, and what of this falls short
// of the bars.
//
// Read the ratios, not the rates: those are the machine's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/snapgate/snapgate/integration/bench/echo"
)

func main() {
	if os.Getenv(childVar) != "" {
		echo.Serve(os.Stdin, os.Stdout)
		return
	}
	if address := os.Getenv(bareVar); address != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(address))
		os.Exit(1)
	}
	signal.Ignore(syscall.SIGPIPE) // an error instead, so that what runs is ended
	opts, err := readOptions()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if err := run(opts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	sessions, payloads []int
	time               time.Duration
	many               int
	npm                bool
	profiles           string         // folder, "" for none
	rows               *regexp.Regexp // these alone, and what they are held against; nil for all
}

func readOptions() (options, error) {
	var o options
	sessions := flag.String("sessions", "1,8,32,128", "numbers of sessions, separated by commas")
	payloads := flag.String("payload", "64,65536", "bytes of text in each call, separated by commas")
	flag.DurationVar(&o.time, "time", 700*time.Millisecond, "time of each measurement; a row is the median of three")
	flag.IntVar(&o.many, "many", 10000, "sessions to open, use once and close")
	flag.BoolVar(&o.npm, "npm", true, "whether to measure what comes from npm, too")
	flag.StringVar(&o.profiles, "profiles", "", "a `folder` for profiles of the gateway, of CPU and allocations, in each of its rows")
	rows := flag.String("rows", "", "measure the gateway's rows alone whose names match this `pattern`, and nothing after the table")
	quick := flag.Bool("quick", false, "a look: -sessions 1,32 -payload 64 -time 300ms -many 1000 -npm=false")
	flag.Parse()
	if *quick {
		*sessions, *payloads, o.time, o.many, o.npm = "1,32", "64", 300*time.Millisecond, 1000, false
	}
	if flag.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	var err, err2 error
	o.sessions, err = numbers("-sessions", *sessions, 1, 1000)
	o.payloads, err2 = numbers("-payload", *payloads, leastText, 1<<20)
	if err := errors.Join(err, err2); err != nil {
		return o, err
	}
	if *rows != "" {
		if o.rows, err = regexp.Compile(*rows); err != nil {
			return o, fmt.Errorf("-rows: %w", err)
		}
	}
	if o.time <= 0 || o.many < 1 || o.many > 50000 {
		return o, errors.New("-time must be above zero, -many from 1 to 50000")
	}
	return o, nil
}

func numbers(name, list string, least, most int) (all []int, _ error) {
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("%s: %q is not a number from %d to %d", name, part, least, most)
		}
		all = append(all, n)
	}
	return all, nil
}

func run(opts options, out io.Writer) error {
	slog.SetLogLoggerLevel(slog.LevelWarn) // the authorization server's library logs its routes
	folder, err := os.MkdirTemp("", "snapgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	binary, inCaddy := filepath.Join(folder, "gateway"), filepath.Join(folder, "caddy")
	for to, of := range map[string]string{binary: "caddymodule/cmd/caddy", inCaddy: "integration/bench/caddy"} {
		if text, err := exec.Command("go", "build", "-o", to, "github.com/snapgate/snapgate/"+of).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", of, err, text)
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Fprintf(out, "Load of the machine before: %s\n", load)
	}
	r := &report{out: out, options: opts, binary: binary, inCaddy: inCaddy, rows: map[row]result{}, begun: map[string]time.Duration{}}
	sections := []func() error{r.table}
	if opts.rows == nil {
		sections = append(sections, r.spending, r.setups, r.starting, r.idle, r.perProcess, r.allocations, r.many, r.bars)
	}
	for _, section := range sections {
		if err := errors.Join(section(), r.unread); err != nil {
			return err
		}
	}
	return nil
}
