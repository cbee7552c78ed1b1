package settings

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Flags are the flags of one command line, each with the variable that says the same.
type Flags struct {
	*flag.FlagSet
	System System
}

// NewFlags makes the flags of a command. Errors and help are for the caller to print.
func NewFlags(name string, system System) Flags {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return Flags{flags, system}
}

// define adds flags that take a value.
func (f Flags) define(names ...string) {
	for _, name := range names {
		f.String(name, "", "")
	}
}

// value is a setting and where it came from.
type value struct {
	text   string
	source string // as in messages: "--db" or "SNAPSHOT_DB_PATH"; "" if not set
	flag   bool
}

// find takes the flag if it was given, else the variable.
func (f Flags) find(name, variable string) (value, error) {
	v := value{}
	if text := f.System.Getenv(variable); text != "" {
		v = value{text: text, source: variable}
	}
	f.Visit(func(given *flag.Flag) {
		if given.Name == name {
			v = value{text: given.Value.String(), source: "--" + name, flag: true}
		}
	})
	if v.flag && v.text == "" {
		return v, fmt.Errorf("%s needs a value", v.source)
	}
	if strings.ContainsRune(v.text, 0) {
		return v, fmt.Errorf("%s has a NUL character", v.source)
	}
	return v, nil
}

// Given says whether a flag was given.
func (f Flags) Given(name string) bool {
	given := false
	f.Visit(func(flag *flag.Flag) { given = given || flag.Name == name })
	return given
}
