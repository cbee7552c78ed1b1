// Command bench measures what the gateway costs, in one run and one table:
//
//	go run ./integration/bench
//
// Each row is a number of sessions that call a trivial echo server as fast as they get
// answers, and every answer is checked against its call.
//
//   - raw stdio: the server alone, one process for each session, nothing in between
//   - bare HTTP: a net/http handler that answers itself
//   - limit: what the two cost together, 1/(1/bare + 1/raw): no gateway can do better
//   - gateway: Caddy with this module, verified tokens and audit records, clients of
//     2025-11-25 (legacy) and of 2026-07-28 (modern), plain HTTP and TLS
//
// Read the ratios, not the rates: those are the machine's.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	if os.Getenv(childVar) != "" {
		child(os.Stdin, os.Stdout)
		return
	}
	opts := options{}
	sessions := flag.String("sessions", "1,8,32", "numbers of sessions, separated by commas")
	flag.IntVar(&opts.payload, "payload", 64, "bytes of text in each call, 1 to 1048576")
	flag.DurationVar(&opts.time, "time", 3*time.Second, "time of each measurement")
	flag.Parse()
	if err := opts.read(*sessions, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if err := run(opts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	sessions []int
	payload  int
	time     time.Duration
}

func (o *options) read(sessions string, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	for part := range strings.SplitSeq(sessions, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 1000 {
			return fmt.Errorf("-sessions: %q is not a number from 1 to 1000", part)
		}
		o.sessions = append(o.sessions, n)
	}
	if o.payload < 1 || o.payload > 1<<20 {
		return fmt.Errorf("-payload: %d is not from 1 to 1048576", o.payload)
	}
	if o.time <= 0 {
		return fmt.Errorf("-time: %v is not above zero", o.time)
	}
	return nil
}

// way is one way to reach the echo server. open begins a session; the call it returns
// sends a text and returns what came back.
type way struct {
	name string
	open func() (call func(id int, text string) (string, error), end func(), err error)
}

func run(opts options, out io.Writer) error {
	slog.SetLogLoggerLevel(slog.LevelWarn) // the authorization server's library logs its routes
	bare := startBare()
	defer bare.stop()
	gateway, err := startGateway()
	if err != nil {
		return err
	}
	defer gateway.stop()
	ways := []way{rawStdio(), bare.way(), gateway.legacy("http"), gateway.modern("http"), gateway.legacy("https"), gateway.modern("https")}

	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tsessions\tcalls/s\tp50\tp99\tof the limit\tset-up p50\t")
	for _, n := range opts.sessions {
		rates := map[string]float64{}
		for i, w := range ways {
			r, err := measure(w, n, opts)
			if err != nil {
				return fmt.Errorf("%s, %d sessions: %w", w.name, n, err)
			}
			rates[w.name] = r.rate
			share := ""
			if limit := 1 / (1/rates[ways[0].name] + 1/rates[ways[1].name]); i >= 2 {
				share = fmt.Sprintf("%.0f %%", 100*r.rate/limit)
			}
			fmt.Fprintf(table, "%s\t%d\t%.0f\t%v\t%v\t%s\t%v\t\n", w.name, n, r.rate, r.p50, r.p99, share, r.setup)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nGateway: %s resident, %d processes at the end. Every answer was its own call's.\n", gateway.resident(), gateway.processes())
	return nil
}

// child is the trivial server.
func child(in io.Reader, out io.Writer) {
	reader, writer := bufio.NewReaderSize(in, 1<<20), bufio.NewWriterSize(out, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		answer(line, writer)
		if reader.Buffered() == 0 {
			if writer.Flush() != nil {
				return
			}
		}
	}
}
