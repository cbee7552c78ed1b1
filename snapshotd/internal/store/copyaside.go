package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// copyAside writes a copy of the file, as of now and with what is still in its
// write-ahead log, to <file>.v<version>.bak and returns that name. A copy that
// exists is left alone and the next free name taken.
func copyAside(ctx context.Context, db *sql.DB, file string, version int) (string, error) {
	// CreateTemp makes mode 0600. VACUUM INTO accepts an empty file.
	partial, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.partial")
	if err != nil {
		return "", err
	}
	defer os.Remove(partial.Name()) //nolint:errcheck // gone when all went well
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", partial.Name())
	err = errors.Join(err, partial.Sync(), partial.Close())
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s.v%d.bak", file, version)
	for n := 2; ; n++ {
		// Link, unlike Rename, never replaces a copy that another process has made.
		err := os.Link(partial.Name(), name)
		switch {
		case err == nil:
			return name, nil
		case !errors.Is(err, os.ErrExist):
			// A file system without links: the name was free a moment ago.
			return name, os.Rename(partial.Name(), name)
		}
		name = fmt.Sprintf("%s.v%d.%d.bak", file, version, n)
	}
}
