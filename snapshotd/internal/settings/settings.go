package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Mode is how callers are authorized.
type Mode string

// The modes of --auth.
const (
	Disabled    Mode = "disabled"
	TrustedMeta Mode = "trusted-meta"
)

// The environment variables, under the names of the original server.
const (
	EnvFile = "SNAPSHOT_DB_PATH"
	EnvBase = "SNAPSHOT_DB_BASE_PATH"
	EnvAuth = "MCP_AUTH_MODE"
)

// Settings are how to run.
type Settings struct {
	Auth Mode
	// File is the one database file; "" if there is one for each user.
	File string
	// Server is the address of a PostgreSQL server, which may hold a password; "" if
	// the data is in files.
	Server string
	// Base is the folder of the users' files; "" if there is one file.
	Base string
	// Default says that File or Base is the platform's default place, which is
	// snapshotd's own.
	Default bool
	// Help and Version ask for a text instead of a run.
	Help, Version bool
}

// System is what settings are read from beside the arguments.
type System struct {
	Getenv func(string) string
	Home   func() (string, error)
	// OS is a GOOS value.
	OS string
}

// value is a setting and where it came from.
type value struct {
	text   string
	source string // as in messages: "--db" or "SNAPSHOT_DB_PATH"; "" if not set
	flag   bool
}

// Read reads the arguments, without the program's name, and the environment. The
// error is for the user to read.
func Read(args []string, system System) (Settings, error) {
	var s Settings
	flags := flag.NewFlagSet("snapshotd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.String("db", "", "")
	flags.String("data", "", "")
	flags.String("auth", "", "")
	flags.BoolVar(&s.Version, "version", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return Settings{Help: true}, nil
	} else if err != nil {
		return s, err
	}
	if s.Version {
		return s, nil
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: snapshotd takes flags only", flags.Arg(0))
	}
	auth := find(flags, "auth", EnvAuth, system)
	file := find(flags, "db", EnvFile, system)
	base := find(flags, "data", EnvBase, system)
	for _, v := range []value{auth, file, base} {
		if v.flag && v.text == "" {
			return s, fmt.Errorf("%s needs a value", v.source)
		}
		if strings.ContainsRune(v.text, 0) {
			return s, fmt.Errorf("%s has a NUL character", v.source)
		}
	}
	var err error
	if s.Auth, err = mode(auth); err != nil {
		return s, err
	}
	return s, s.place(file, base, system)
}

// find takes the flag if it was given, else the variable.
func find(flags *flag.FlagSet, name, variable string, system System) value {
	v := value{}
	if text := system.Getenv(variable); text != "" {
		v = value{text: text, source: variable}
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == name {
			v = value{text: f.Value.String(), source: "--" + name, flag: true}
		}
	})
	return v
}

func mode(v value) (Mode, error) {
	switch m := Mode(v.text); m {
	case "":
		return Disabled, nil
	case Disabled, TrustedMeta:
		return m, nil
	case "oauth", "jwt":
		return "", fmt.Errorf("%s is %q: snapshotd verifies no tokens itself; run it behind the Snapgate gateway with %q", v.source, m, TrustedMeta)
	default:
		return "", fmt.Errorf("%s is %q: it must be %q or %q", v.source, m, Disabled, TrustedMeta)
	}
}

// place decides where the data is.
func (s *Settings) place(file, base value, system System) error {
	if file.source != "" && base.source != "" {
		if file.flag == base.flag {
			return fmt.Errorf("%s and %s exclude each other: one is a single database, the other a folder with one for each user", file.source, base.source)
		}
		if file.flag {
			base = value{}
		} else {
			file = value{}
		}
	}
	if s.Server = serverAddress(file.text); s.Server != "" {
		return nil
	}
	for _, v := range []value{file, base} {
		if s.Auth == TrustedMeta && v.text != "" && !filepath.IsAbs(v.text) {
			return fmt.Errorf("%s is %q, a relative path: with %s write an absolute one, because the gateway runs the server in a temporary folder that goes with the process", v.source, v.text, TrustedMeta)
		}
	}
	switch {
	case base.source != "" && s.Auth != TrustedMeta:
		return fmt.Errorf("%s keeps a database for each user and needs --auth %s (or %s=%s); for a single database use --db",
			base.source, TrustedMeta, EnvAuth, TrustedMeta)
	case base.source != "":
		s.Base = base.text
		return nil
	case file.source != "":
		s.File = file.text
		return nil
	}
	return s.defaultPlace(system)
}
