package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// fileName is the name of a snapshot file in its folder.
const fileName = "snapshots.db"

// UserFile is the place of a user's file under the base folder.
func UserFile(base string, owner Owner) string {
	return filepath.Join(base, owner.User, fileName)
}

// prepareFile makes the folder (0700) and an empty file (0600) if they are not
// there. SQLite gives its -wal and -shm files the mode of the main file.
func prepareFile(path string, private bool) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case err == nil:
		if err := file.Close(); err != nil {
			return err
		}
	case !errors.Is(err, os.ErrExist):
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder, not a database file", path)
	}
	if !private {
		return nil
	}
	if err := tighten(folder, 0o700); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := tighten(path+suffix, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// tighten takes away the permission bits that mode does not have.
func tighten(path string, mode os.FileMode) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if allowed := info.Mode().Perm() & mode; allowed != info.Mode().Perm() {
		return os.Chmod(path, allowed)
	}
	return nil
}
