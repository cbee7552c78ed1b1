// Command identitytest runs an MCP server on stdio as the Snapgate gateway would, and
// reports whether it trusts only the identity that the gateway stamps.
//
//	identitytest -write '{"name":"add_note","arguments":{"text":"{marker}"}}' \
//		-read '{"name":"list_notes","arguments":{}}' -- node server.mjs
//
// See docs/server-authors.md, or -help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/snapgate/snapgate/identity/identitytest"
)

// The exit statuses, as -help lists them.
const (
	exitClean   = 0
	exitFinding = 1
	exitUsage   = 2
)

func main() {
	// The server leads a process group of its own, which no Ctrl-C reaches.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options are what the arguments say.
type options struct {
	config identitytest.Config
	json   bool
	listed bool
}

func run(ctx context.Context, args []string, out, log io.Writer) int {
	o, err := parse(args, log)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitClean
	case err != nil:
		fmt.Fprintf(log, "identitytest: %v\nRun identitytest -help for its settings.\n", err)
		return exitUsage
	case o.listed:
		for _, c := range identitytest.Checks() {
			fmt.Fprintf(out, "%-23s %s\n", c.Name, c.About)
		}
		return exitClean
	}
	report, err := identitytest.Check(ctx, o.config)
	if err != nil {
		fmt.Fprintln(log, err)
		return exitUsage
	}
	if err := writeReport(report, o.json, out); err != nil {
		fmt.Fprintln(log, "identitytest: write the report:", err)
		return exitUsage
	}
	if len(report.Findings()) > 0 {
		return exitFinding
	}
	return exitClean
}

func writeReport(report *identitytest.Report, asJSON bool, out io.Writer) error {
	if !asJSON {
		_, err := report.WriteTo(out)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

const usage = `usage: identitytest -write <params> -read <params> [settings] -- <command> [<args>...]

Runs an MCP server on stdio as the Snapgate gateway would for many users, and reports
whether it trusts only the identity that the gateway stamps. The params are those of
two tools/call requests, as JSON: a write that keeps the text {marker} for the user who
calls, and a read that shows it. {name} in both is a name that differs each time.

`

func parse(args []string, log io.Writer) (o options, err error) {
	c := &o.config
	flags := flag.NewFlagSet("identitytest", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Write.Params, "write", "", "`params` of the call that keeps {marker} for the user who calls")
	flags.StringVar(&c.Write.Method, "write-method", "tools/call", "`method` of that call")
	flags.StringVar(&c.Read.Params, "read", "", "`params` of the call that shows what the user wrote")
	flags.StringVar(&c.Read.Method, "read-method", "tools/call", "`method` of that call")
	flags.Func("scope", "a `scope` of the users; may be repeated", into(&c.Scopes))
	flags.Func("argument", "`name` of an argument that may name a user, beside the usual ones; may be repeated", into(&c.Arguments))
	flags.Func("skip", "`name` of a check not to make; may be repeated", into(&c.Skip))
	flags.Func("era", "`era` to try, legacy or modern (default both)", func(era string) error {
		c.Eras = append(c.Eras, identitytest.Era(era))
		return nil
	})
	flags.Func("env", "`NAME=value` for the server; may be repeated", into(&c.Env))
	flags.StringVar(&c.Dir, "dir", "", "working `folder` of the server (default an empty temporary one)")
	flags.IntVar(&c.Calls, "calls", identitytest.DefaultCalls, "how many calls two users make at once")
	flags.DurationVar(&c.Timeout, "timeout", identitytest.DefaultTimeout, "for one answer")
	flags.DurationVar(&c.StopTimeout, "stop-timeout", identitytest.DefaultStopTimeout, "for each step of ending the server")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	flags.BoolVar(&o.listed, "checks", false, "list the checks, and do no more")
	stderr := flags.Bool("stderr", false, "show what the server writes to standard error")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(log, usage)
			flags.SetOutput(log)
			flags.PrintDefaults()
			fmt.Fprint(log, "\nThe exit status is 0 without findings, 1 with some, and 2 if nothing could be tried.\n")
		}
		return o, err
	}
	if *stderr {
		c.Stderr = log
	}
	if command := flags.Args(); len(command) > 0 {
		c.Command, c.Args = command[0], command[1:]
	}
	return o, o.complete()
}

// complete says what is missing.
func (o *options) complete() error {
	var missing []string
	if o.config.Write.Params == "" {
		missing = append(missing, "-write")
	}
	if o.config.Read.Params == "" {
		missing = append(missing, "-read")
	}
	switch {
	case o.listed:
		return nil
	case o.config.Command == "":
		return errors.New("no server given: write its command behind --")
	case len(missing) > 0:
		return fmt.Errorf("%s is missing: it needs the params of a call, as JSON", strings.Join(missing, " and "))
	}
	return nil
}

func into(list *[]string) func(string) error {
	return func(value string) error {
		*list = append(*list, value)
		return nil
	}
}
