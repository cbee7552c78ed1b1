package settings

import (
	"errors"
	"flag"
	"fmt"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
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

// Settings are how to serve.
type Settings struct {
	Auth Mode
	Place
	// Limits are the quotas of each user.
	Limits store.Limits
	// Retention is applied by each save.
	Retention store.Retention
	// OpenFiles is how many users' files may be open at once.
	OpenFiles int
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

// Read reads the arguments of the server, without the program's name, and the
// environment. The error is for the user to read.
func Read(args []string, system System) (Settings, error) {
	var s Settings
	flags := NewFlags("snapshotd", system)
	flags.DefinePlace()
	flags.DefineLimits()
	flags.DefineRetention()
	flags.define("auth", "max-open-files")
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
		return s, fmt.Errorf("unexpected argument %q: the server takes flags only, and there is no such command", flags.Arg(0))
	}
	auth, err := flags.find("auth", EnvAuth)
	if err != nil {
		return s, err
	}
	if s.Auth, err = mode(auth); err != nil {
		return s, err
	}
	if s.Place, err = flags.servedPlace(s.Auth); err != nil {
		return s, err
	}
	if s.Limits, err = flags.Limits(); err != nil {
		return s, err
	}
	if s.Retention, err = flags.Retention(); err != nil {
		return s, err
	}
	s.OpenFiles, err = flags.openFiles(s.Base == "")
	return s, err
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
