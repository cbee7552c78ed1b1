package settings

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Place is where snapshots are: in File, in a file for each user under Base, or on Server.
type Place struct {
	// File is the one database file; "" if there is one for each user.
	File string
	// Base is the folder of the users' files; "" if there is one file.
	Base string
	// Server is the address of a PostgreSQL server, which may hold a password; "" if
	// the data is in files.
	Server string
	// Default says that File or Base is the platform's default place, which is
	// snapshotd's own.
	Default bool
}

// DefinePlace adds --db and --data.
func (f Flags) DefinePlace() { f.define("db", "data") }

// Place reads them for a command, which works on what is there whoever may call the
// server: so --data needs no --auth. With neither, and no variable, it is where the
// server would look.
func (f Flags) Place() (Place, error) {
	file, base, err := f.places()
	if err != nil {
		return Place{}, err
	}
	switch {
	case base.source != "":
		return Place{Base: base.text}, nil
	case file.source != "":
		return filePlace(file.text), nil
	}
	return defaultPlace(Mode(f.System.Getenv(EnvAuth)), f.System)
}

// place finds what a flag or its variable says of a place, and refuses what would become a
// file or folder that nobody meant.
func (f Flags) place(name, variable string) (value, error) {
	v, err := f.find(name, variable)
	if err != nil {
		return v, err
	}
	if strings.HasPrefix(v.text, "~/") {
		return v, fmt.Errorf("%s begins with ~/, which stands for your home folder in a shell only, and there not behind an equals sign: write the full path", v.source)
	}
	// The rest may hold a password.
	if scheme, _, found := strings.Cut(v.text, "://"); found && (name == "data" || !IsServer(v.text)) {
		return v, fmt.Errorf("%s begins with %s://: a database server is named by --db, as postgres://…; all else is a path", v.source, scheme)
	}
	return v, nil
}

// filePlace is the place that a value of --db names.
func filePlace(text string) Place {
	if server := serverAddress(text); server != "" {
		return Place{Server: server}
	}
	return Place{File: text}
}

// places finds which of --db and --data is set. A flag beats the other's variable.
func (f Flags) places() (file, base value, err error) {
	if file, err = f.place("db", EnvFile); err != nil {
		return file, base, err
	}
	if base, err = f.place("data", EnvBase); err != nil {
		return file, base, err
	}
	if file.source == "" || base.source == "" {
		return file, base, nil
	}
	if file.flag == base.flag {
		return file, base, fmt.Errorf("%s and %s exclude each other: one is a single database, the other a folder with one for each user", file.source, base.source)
	}
	if file.flag {
		return file, value{}, nil
	}
	return value{}, base, nil
}

// servedPlace reads them for the server.
func (f Flags) servedPlace(auth Mode) (Place, error) {
	file, base, err := f.places()
	if err != nil {
		return Place{}, err
	}
	if place := filePlace(file.text); place.Server != "" {
		return place, nil
	}
	for _, v := range []value{file, base} {
		if auth == TrustedMeta && v.text != "" && !filepath.IsAbs(v.text) {
			return Place{}, fmt.Errorf("%s is %q, a relative path: with %s write an absolute one, because the gateway runs the server in a temporary folder that goes with the process", v.source, v.text, TrustedMeta)
		}
	}
	switch {
	case base.source != "" && auth != TrustedMeta:
		return Place{}, fmt.Errorf("%s keeps a database for each user and needs --auth %s (or %s=%s); for a single database use --db",
			base.source, TrustedMeta, EnvAuth, TrustedMeta)
	case base.source != "":
		return Place{Base: base.text}, nil
	case file.source != "":
		return Place{File: file.text}, nil
	}
	return defaultPlace(auth, f.System)
}

// BothPlaces reads --db and --data for a command that copies from one to the other.
func (f Flags) BothPlaces() (file, base Place, err error) {
	oneFile, err := f.place("db", EnvFile)
	if err != nil {
		return file, base, err
	}
	users, err := f.place("data", EnvBase)
	if err != nil {
		return file, base, err
	}
	if file = filePlace(oneFile.text); oneFile.text == "" {
		if file, err = defaultPlace(Disabled, f.System); err != nil {
			return file, base, err
		}
	}
	if base = (Place{Base: users.text}); users.text == "" {
		base, err = defaultPlace(TrustedMeta, f.System)
	}
	return file, base, err
}

// ServerAddress is the address of a database server that a flag names, or else [EnvFile].
func (f Flags) ServerAddress(flag string) (string, error) {
	text := flag
	if text == "" {
		text = f.System.Getenv(EnvFile)
	}
	address := serverAddress(text)
	if address == "" {
		return "", fmt.Errorf("--server must be the address of a PostgreSQL database, postgres://…, or else %s", EnvFile)
	}
	return address, nil
}

// FilePlaces reads --db and --data for a command that copies between a server and one of
// them, which is set. Without both it is the file where the server would look. [EnvFile]
// is passed over where it is the server's address.
func (f Flags) FilePlaces() (file, base Place, err error) {
	oneFile, err := f.place("db", EnvFile)
	if err != nil {
		return file, base, err
	}
	users, err := f.place("data", EnvBase)
	switch {
	case err != nil:
		return file, base, err
	case oneFile.flag && users.flag:
		return file, base, errors.New("--db and --data exclude each other: one is a single file, the other a folder with one for each user")
	case users.flag, users.source != "" && !oneFile.flag:
		return file, Place{Base: users.text}, nil
	case oneFile.flag, oneFile.source != "" && !IsServer(oneFile.text):
		return filePlace(oneFile.text), base, nil
	}
	file, err = defaultPlace(Disabled, f.System)
	return file, base, err
}
