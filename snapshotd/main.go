// Command snapshotd is an MCP server on stdio that saves and resumes conversation
// snapshots. It runs for one local user as it is, and for many behind the Snapgate
// gateway, whose verified identity it takes from each call's _meta. Its commands look
// after the files of snapshots.
//
// See docs/snapshotd.md for its settings and commands.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/snapgate/snapgate/snapshotd/internal/commands"
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

// run does what the arguments ask for: serves, unless they begin with a command.
func run(args []string, in io.ReadCloser, out, log io.Writer) int {
	if len(args) > 0 && args[0] == "help" { // as many programs take it
		args = append(args[1:len(args):len(args)], "--help")
	}
	if len(args) > 0 && commands.Is(args[0]) {
		return runCommand(args, in, out, log)
	}
	if len(args) > 0 && args[0] == "serve" {
		args = args[1:]
	}
	return runServer(args, in, out, log)
}

// runServer serves. Standard output carries the protocol only, save for --help and
// --version.
func runServer(args []string, in io.ReadCloser, out, log io.Writer) int {
	s, err := settings.Read(args, system())
	switch {
	case err != nil:
		fmt.Fprintf(log, "snapshotd: %v\nRun snapshotd --help for its settings and commands.\n", err)
		return exitUsage
	case s.Help:
		fmt.Fprint(out, settings.HelpText+commands.List())
		return exitDone
	case s.Version:
		fmt.Fprintln(out, "snapshotd", version())
		return exitDone
	}
	if isTerminal(in) {
		fmt.Fprintln(log, "snapshotd: waiting for an MCP client on standard input; snapshotd install enters it into your clients, snapshotd --help tells more, Ctrl-C ends it")
	}
	if err := serve(s, in, out, log); err != nil {
		fmt.Fprintf(log, "snapshotd: %v\n", err)
		return exitFailed
	}
	return exitDone
}

// runCommand runs one of the commands until it is done, or a signal ends it: then it
// stops at a moment when nothing is half done.
func runCommand(args []string, in io.Reader, out, log io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return commands.Run(ctx, args, commands.Surroundings{
		System: system(), In: in, Out: out, Log: log,
		Terminal: isTerminal(log), Executable: os.Executable,
	})
}

func system() settings.System {
	return settings.System{Getenv: os.Getenv, Home: os.UserHomeDir, OS: runtime.GOOS}
}

// isTerminal says whether a person watches. What is no file but a device may be one;
// the null device is not.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && !os.SameFile(info, null)
}
