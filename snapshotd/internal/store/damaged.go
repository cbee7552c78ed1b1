package store

import (
	"errors"
	"io"
	"os"
	"slices"
)

// logSuffixes are the files that SQLite keeps beside a database in use.
var logSuffixes = []string{"-wal", "-shm", "-journal"}

// hasLog says whether a log stands beside a name, of a file that is there or of one that
// was removed without it. SQLite plays such a log into whatever file has the name.
func hasLog(path string) bool {
	return slices.ContainsFunc(logSuffixes, func(suffix string) bool { return exists(path + suffix) })
}

// putInPlace gives a staged file its name, which is free, or that of what is no
// database. The latter is moved aside, and its log with it, even if that is all there is:
// SQLite would take it for the new file's.
func putInPlace(staged, to string, target target) (aside string, err error) {
	if target.damaged {
		if aside, err = moveAside(to); err != nil {
			return "", err
		}
	}
	return aside, publish(staged, to)
}

// moveAside returns the new name of the file, or of its log if that is all there is.
func moveAside(path string) (moved string, err error) {
	aside := freeAside(path)
	for _, suffix := range append([]string{""}, logSuffixes...) {
		err := os.Rename(path+suffix, aside+suffix)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return "", err
		case moved == "":
			moved = aside + suffix
		}
	}
	return moved, nil
}

// copyDamaged copies a database and its log byte by byte.
func copyDamaged(path string) (string, error) {
	aside := freeAside(path)
	for _, suffix := range []string{"", "-wal"} {
		err := copyBytes(path+suffix, aside+suffix)
		if err != nil && !(suffix != "" && errors.Is(err, os.ErrNotExist)) {
			return "", err
		}
	}
	return aside, nil
}

func copyBytes(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func freeAside(path string) string {
	for n := 1; ; n++ {
		if name := asideName(path, n); !exists(name) && !hasLog(name) {
			return name
		}
	}
}
