package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Do carries a plan out and returns the copy of the file as it was before, "" if there is
// none.
func (p Plan) Do(records *Records) (backup string, err error) {
	switch p.Status {
	case Unchanged:
		return "", nil
	case Restored, Removed, Absent:
		return p.undo(records)
	}
	var old *record
	if found := records.of(p.File, p.Name); found != nil {
		old = new(*found)
	}
	goesOn := old != nil && p.Exists && old.After == sum(p.Before)
	made := record{
		File: p.File, Name: p.Name, Replaced: p.replaced, Created: !p.Exists, Lone: p.lone,
		Before: sum(p.Before), After: sum(p.After),
	}
	if old != nil && p.Status == Updated {
		made.Replaced, made.Lone = old.Replaced, old.Lone
	}
	switch {
	case goesOn: // what was there before is still what was before the first time
		made.Created, made.Backup, made.Before = old.Created, old.Backup, old.Before
		backup = old.Backup
	case p.Exists:
		if backup, err = p.backUp(); err != nil {
			return "", err
		}
		if made.Backup = backup; p.Status == Updated {
			made.Backup = "" // it has an entry of ours, too: not to be put back whole
		}
	}
	// Remembered first: what is not done after all is forgotten again, but what was done and
	// not remembered could not be undone byte for byte.
	err = records.add(made)
	if err == nil {
		if err = p.write(); err == nil {
			return backup, nil
		}
		err = errors.Join(err, records.putBack(made, old))
	}
	if !goesOn && backup != "" {
		err = errors.Join(err, os.Remove(backup))
	}
	return "", err
}

// backUp copies the file to a free name beside it.
func (p Plan) backUp() (string, error) {
	path, err := p.path()
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		name := path + ".before-snapshotd"
		if n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = file.Write(p.Before)
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return "", errors.Join(err, os.Remove(name))
		}
		return name, nil
	}
}

// write puts the new content into the place of the old, if that is what is still there.
func (p Plan) write() error {
	path, err := p.path()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if p.Exists {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
	} else if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if p.Remains {
		return writeWhole(path, p.After, mode, p.unchanged)
	}
	if err := p.unchanged(path); err != nil {
		return err
	}
	return os.Remove(path)
}

// unchanged says that the file is not any more what was planned for, if it is not.
func (p Plan) unchanged(path string) error {
	now, err := os.ReadFile(path)
	if err != nil && (p.Exists || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	if p.Exists != (err == nil) || !bytes.Equal(now, p.Before) {
		return fmt.Errorf("%s has just been changed by another program: nothing was written, try again", p.File)
	}
	return nil
}

// writeWhole replaces a file in one step, if ready has nothing against it in the moment
// before.
func writeWhole(path string, data []byte, mode fs.FileMode, ready func(path string) error) error {
	partial, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name()) //nolint:errcheck // gone when all went well
	_, err = partial.Write(data)
	err = errors.Join(err, partial.Sync(), partial.Close())
	if err != nil {
		return err
	}
	if err := os.Chmod(partial.Name(), mode); err != nil {
		return err
	}
	if err := ready(path); err != nil {
		return err
	}
	return os.Rename(partial.Name(), path)
}
