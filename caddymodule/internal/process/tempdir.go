package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// removeTemp removes a process's temporary folder with all that is in it. "" is
// no folder.
func removeTemp(dir string) error {
	if dir == "" {
		return nil
	}
	if os.RemoveAll(dir) == nil {
		return nil
	}
	// Some tools make their folders read-only (Go's module cache).
	makeWritable(dir)
	return os.RemoveAll(dir)
}

// makeWritable does what it can; RemoveAll then reports what it could not. It
// works through a root, so that a symbolic link laid by the process leads no
// chmod out of the folder for temporary files.
func makeWritable(dir string) {
	root, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return
	}
	defer root.Close()
	_ = fs.WalkDir(root.FS(), filepath.Base(dir), func(name string, entry fs.DirEntry, err error) error {
		if entry == nil || !entry.IsDir() {
			return nil
		}
		if err != nil {
			// The second visit to a folder that could not be read.
			return fs.SkipDir
		}
		return ignoreMissing(root.Chmod(name, 0o700))
	})
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
