package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// copyAside writes a copy of the file, as of now and with what is still in its
// write-ahead log, to <file>.v<version>.bak. A copy that exists is left alone and the
// next free name taken, unless it is the same: another process is about to make the
// same change, or one that was killed has begun it.
func copyAside(ctx context.Context, db *sql.DB, file string, version int) error {
	partial, err := vacuumInto(ctx, db, file, nil)
	if err != nil {
		return err
	}
	defer os.Remove(partial) //nolint:errcheck // gone when all went well
	if copied, err := userVersion(partial); err != nil || copied > version {
		return err // another process has made the change, and a copy before it
	}
	name := fmt.Sprintf("%s.v%d.bak", file, version)
	for n := 2; ; n++ {
		err := publish(partial, name)
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		if same, err := sameContent(partial, name); err != nil || same {
			return err
		}
		name = fmt.Sprintf("%s.v%d.%d.bak", file, version, n)
	}
}

// userVersion reads PRAGMA user_version from a file's header, where it is 4 bytes at
// offset 60 (https://www.sqlite.org/fileformat2.html section 1.3).
func userVersion(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var field [4]byte
	if _, err := file.ReadAt(field[:], 60); err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint32(field[:])), nil
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

// syncFolder makes the names in a folder durable, where the system can.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
