package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// copyAside writes a copy of the file, as of now and with what is still in its
// write-ahead log, to <file>.v<version>.bak. The caller holds the file's write lock. A
// copy that exists is left alone and the next free name taken, unless it is the same:
// then a process that was killed had begun the change.
func copyAside(ctx context.Context, file string, version int) error {
	// One name for all, so that what a killed process has left is replaced.
	name := file + ".bak.partial"
	if err := removePartial(name); err != nil {
		return err
	}
	partial, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dataSource(file)) // the other connection is in its transaction
	if err != nil {
		return errors.Join(err, partial.Close(), os.Remove(name))
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := vacuumTo(ctx, db, partial, nil); err != nil {
		return err
	}
	defer os.Remove(name) //nolint:errcheck // gone when all went well
	free := fmt.Sprintf("%s.v%d.bak", file, version)
	for n := 2; ; n++ {
		err := publish(name, free)
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		same, err := sameContent(name, free)
		if same || err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		free = fmt.Sprintf("%s.v%d.%d.bak", file, version, n)
	}
}

// sameContent says whether two files hold the same bytes. Two copies that VACUUM
// INTO makes of one content do.
func sameContent(one, other string) (bool, error) {
	var files [2]*os.File
	var sizes [2]int64
	for i, name := range []string{one, other} {
		file, err := os.Open(name)
		if err != nil {
			return false, err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return false, err
		}
		files[i], sizes[i] = file, info.Size()
	}
	if sizes[0] != sizes[1] {
		return false, nil
	}
	var parts [2][64 << 10]byte
	for {
		n, errOne := io.ReadFull(files[0], parts[0][:])
		m, errOther := io.ReadFull(files[1], parts[1][:])
		if !bytes.Equal(parts[0][:n], parts[1][:m]) {
			return false, nil
		}
		if errOne != nil || errOther != nil {
			return true, endOfBoth(errOne, errOther)
		}
	}
}

func endOfBoth(errs ...error) error {
	for _, err := range errs {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
	return nil
}

// SyncFolder makes the names of files in a folder durable, where the system can.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
