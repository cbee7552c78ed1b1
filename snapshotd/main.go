// Command snapshotd is an MCP server on stdio that saves and resumes conversation
// snapshots. It runs for one local user as it is, and for many behind the Snapgate
// gateway, whose verified identity it takes from each call's _meta.
//
// See docs/snapshotd.md for its settings.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

// The exit statuses, as --help lists them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// A client that is gone must be an error of writing, not a death by signal in
	// the middle of the shutdown.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run does what the arguments ask for. Standard output carries the protocol only,
// save for --help and --version.
func run(args []string, in io.ReadCloser, out, log io.Writer) int {
	s, err := settings.Read(args, settings.System{Getenv: os.Getenv, Home: os.UserHomeDir, OS: runtime.GOOS})
	switch {
	case err != nil:
		fmt.Fprintf(log, "snapshotd: %v\nRun snapshotd --help for its settings.\n", err)
		return exitUsage
	case s.Help:
		fmt.Fprint(out, settings.HelpText)
		return exitDone
	case s.Version:
		fmt.Fprintln(out, "snapshotd", version())
		return exitDone
	}
	if err := serve(s, in, out, log); err != nil {
		fmt.Fprintf(log, "snapshotd: %v\n", err)
		return exitFailed
	}
	return exitDone
}
