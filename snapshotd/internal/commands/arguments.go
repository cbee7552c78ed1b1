package commands

import (
	"errors"
	"flag"
	"fmt"
)

// parse reads the flags of a call, which may stand before and after its arguments.
func (c *call) parse(args []string) error {
	var arguments []string
	for {
		if err := c.flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return usageError{err}
		}
		if c.flags.NArg() == 0 {
			break
		}
		if ended(args, c.flags.Args()) {
			arguments = append(arguments, c.flags.Args()...)
			break
		}
		arguments = append(arguments, c.flags.Arg(0))
		args = c.flags.Args()[1:]
	}
	// The arguments alone, for call.arguments.
	return c.flags.Parse(append([]string{"--"}, arguments...))
}

// ended says whether the flags were ended by "--".
func ended(args, rest []string) bool {
	return len(args) > len(rest) && args[len(args)-len(rest)-1] == "--"
}

// arguments returns the arguments that are no flags, which must be as many as the
// names that are given for them.
func (c *call) arguments(names ...string) ([]string, error) {
	got := c.flags.Args()
	switch {
	case len(got) < len(names):
		return nil, wrong("missing argument: %s", names[len(got)])
	case len(got) > len(names):
		return nil, wrong("unexpected argument %q", got[len(names)])
	}
	for i, name := range names {
		if got[i] == "" {
			return nil, wrong("%s is empty", name)
		}
	}
	return got, nil
}

// count is a number of things in words: 1 snapshot, 2 snapshots.
func count[N int | int64](n N, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
