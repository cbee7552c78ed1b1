package commands

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// The exit statuses.
const (
	Done    = 0
	Failed  = 1
	Usage   = 2
	Damaged = 3 // check found damage
)

// Surroundings are what commands work in.
type Surroundings struct {
	System   settings.System
	In       io.Reader
	Out, Log io.Writer
	// Terminal says that a person watches Log: then long work shows its progress.
	Terminal bool
	// Executable is the path of this program.
	Executable func() (string, error)
	Now        func() time.Time // time.Now if nil
}

// command is one of snapshotd's.
type command struct {
	name    string
	summary string // for the list of commands
	usage   string // what follows the name
	help    string
	define  func(*call)
	run     func(context.Context, *call) error
}

// list is in the order of the list that --help prints.
func list() []command {
	return []command{
		installCommand(), uninstallCommand(),
		backupCommand(), restoreCommand(), exportCommand(), importCommand(),
		checkCommand(), migrateCommand(), usersCommand(), pruneCommand(),
	}
}

// Is says whether there is a command of this name.
func Is(name string) bool {
	return slices.ContainsFunc(list(), func(c command) bool { return c.name == name })
}

// List is what --help says of the commands.
func List() string {
	var b strings.Builder
	b.WriteString("\nCommands; snapshotd <command> --help tells more:\n")
	for _, c := range list() {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.summary)
	}
	return b.String()
}

// call is one run of a command.
type call struct {
	Surroundings
	flags    settings.Flags
	json     bool
	progress bool
	values   map[string]*string // of flags that take text
	switches map[string]*bool   // of flags that do not
	clients  []string           // of --client
	status   int                // if it ends without an error
	settings store.Settings     // of the stores that it opens
	closers  []func() error     // what it has open until it ends
}

// text adds a flag that takes a value.
func (c *call) text(names ...string) {
	for _, name := range names {
		c.values[name] = c.flags.String(name, "", "")
	}
}

// toggle adds a flag that takes none.
func (c *call) toggle(names ...string) {
	for _, name := range names {
		c.switches[name] = c.flags.Bool(name, false, "")
	}
}

func (c *call) value(name string) string { return *c.values[name] }
func (c *call) is(name string) bool      { return *c.switches[name] }

// usageError is a fault of the command line.
type usageError struct{ error }

func wrong(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run runs a command, whose name is the first argument, and returns the exit status.
func Run(ctx context.Context, args []string, in Surroundings) int {
	if in.Now == nil {
		in.Now = time.Now
	}
	all := list()
	found := all[slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })]
	c := &call{
		Surroundings: in,
		flags:        settings.NewFlags(found.name, in.System),
		values:       make(map[string]*string),
		switches:     make(map[string]*bool),
	}
	c.flags.BoolVar(&c.json, "json", false, "")
	c.flags.BoolVar(&c.progress, "progress", in.Terminal, "")
	found.define(c)
	err := c.parse(args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(in.Out, "snapshotd %s: %s.\n\nUsage:\n  snapshotd %s %s\n\n%s%s", found.name, found.summary, found.name, found.usage, found.help, statuses(found))
		return Done
	}
	if err == nil {
		err = found.run(ctx, c)
	}
	for _, closer := range c.closers {
		err = errors.Join(err, closer())
	}
	var usage usageError
	switch {
	case err == nil:
		return c.status
	case errors.As(err, &usage):
		fmt.Fprintf(in.Log, "snapshotd %s: %v\nRun snapshotd %s --help for its flags.\n", found.name, err, found.name)
		return Usage
	default:
		fmt.Fprintf(in.Log, "snapshotd %s: %v\n", found.name, err)
		return Failed
	}
}

func statuses(c command) string {
	text := `
--json prints one JSON object instead of text; --progress shows the progress of long
work on standard error also where that is no terminal, --progress=false never.

Exit status: 0 done, 1 failed (standard error says why), 2 wrong flags`
	if c.name == "check" {
		text += ", 3 damage found"
	}
	return text + ".\n"
}
