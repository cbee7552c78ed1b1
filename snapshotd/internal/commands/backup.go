package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func backupCommand() command {
	return command{
		name:    "backup",
		summary: "copy a database to a file, while it is in use",
		usage:   "<file|folder> [flags]",
		help: `The copy is of one moment, complete, and on disk when the command ends. It is a
database like the one it was made from, of the same schema and owner. Nothing is
overwritten. In a folder that is there, the copy is named after the time.
With --all, each user's copy is <folder>/<user>/snapshots.db.

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.toggle("all")
		},
		run: backup,
	}
}

// backedUp is one copy.
type backedUp struct {
	User  string `json:"user,omitempty"`
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func backup(ctx context.Context, c *call) error {
	arguments, err := c.arguments("the file or folder to copy to")
	if err != nil {
		return err
	}
	homes, err := c.homes(ctx)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	done := []backedUp{}
	failures, err := c.each(ctx, homes, func(h home) error {
		if _, err := h.rightful(ctx); err != nil {
			return err
		}
		to, err := c.backupPlace(arguments[0], h)
		if err != nil {
			return err
		}
		doing := fmt.Sprintf("copied (%d of %d)", len(done)+1, len(homes))
		if err := store.Copy(ctx, h.path, to, shown.bytes(doing)); err != nil {
			return err
		}
		info, err := os.Stat(to)
		if err == nil {
			done = append(done, backedUp{User: h.key, File: to, Bytes: info.Size()})
		}
		return err
	})
	if err != nil {
		return err
	}
	shown.end()
	result := struct {
		Backups []backedUp `json:"backups"`
		Failed  []failure  `json:"failed,omitempty"`
	}{done, failures}
	if c.is("all") {
		return c.answer(result, "Backed up %s to %s", count(len(done), "user"), arguments[0])
	}
	return c.answer(result, "Backed up %s to %s (%d bytes)", homes[0], done[0].File, done[0].Bytes)
}

// backupPlace is the file that a home is copied to.
func (c *call) backupPlace(to string, h home) (string, error) {
	if c.is("all") {
		file := store.UserFile(to, store.Owner{User: h.key})
		return file, os.MkdirAll(filepath.Dir(file), 0o700)
	}
	info, err := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return to, nil
	case err == nil && info.IsDir():
		return filepath.Join(to, "snapshots-"+c.Now().UTC().Format("20060102T150405Z")+".db"), nil
	}
	return to, err
}
