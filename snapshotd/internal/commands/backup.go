package commands

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/snapgate/snapgate/snapshotd/internal/portable"
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

Of PostgreSQL, or with --portable, it is one archive of JSON Lines with all that was
asked for, each user's as of one moment. "restore" puts it into files or PostgreSQL.

  --portable         an archive also of files

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.toggle("all", "portable")
		},
		run: backup,
	}
}

// backedUp is one copy.
type backedUp struct {
	User  string `json:"user,omitempty"`
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	// Snapshots are counted in archives.
	Snapshots *int64 `json:"snapshots,omitempty"`
}

func backup(ctx context.Context, c *call) error {
	arguments, err := c.arguments("the file or folder to copy to")
	if err != nil {
		return err
	}
	place, err := c.place()
	if err != nil {
		return err
	}
	homes, err := c.homes(ctx)
	if err != nil {
		return err
	}
	if c.is("portable") || place.Server != "" {
		return c.archive(ctx, arguments[0], homes)
	}
	shown := c.newProgress()
	defer shown.end()
	done, failures, err := each(ctx, c, homes, func(h home, far string) (one backedUp, err error) {
		if _, err := h.rightful(ctx); err != nil {
			return one, err
		}
		to, err := c.backupPlace(arguments[0], h)
		if err != nil {
			return one, err
		}
		if err := store.Copy(ctx, h.path, to, shown.bytes("copied ("+far+")")); err != nil {
			return one, err
		}
		info, err := os.Stat(to)
		if err != nil {
			return one, err
		}
		return backedUp{User: h.key, File: to, Bytes: info.Size()}, nil
	})
	if err != nil {
		return err
	}
	shown.end()
	result := backups{done, failures}
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
	return c.backupFile(to, ".db")
}

// backupFile is the file itself, or one named after the time in a folder that is there.
func (c *call) backupFile(to, ending string) (string, error) {
	info, err := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return to, nil
	case err == nil && info.IsDir():
		return filepath.Join(to, "snapshots-"+c.Now().UTC().Format("20060102T150405Z")+ending), nil
	}
	return to, err
}

// archive backs homes up into one archive.
func (c *call) archive(ctx context.Context, to string, homes []home) error {
	to, err := c.backupFile(to, ".jsonl")
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	var done []backedUp
	var failures []failure
	var total int64
	err = writeArchive(to, func(w *portable.ArchiveWriter) (err error) {
		done, failures, err = each(ctx, c, homes, func(h home, far string) (backedUp, error) {
			one, err := h.archive(ctx, w, shown, "archived ("+far+")")
			if err == nil {
				one.File = to
				total += *one.Snapshots
			}
			return one, err
		})
		if err == nil && len(done) == 0 && len(failures) > 0 {
			err = errors.New("there is no archive, because nobody's snapshots could be read")
		}
		return err
	})
	if err != nil {
		return err
	}
	shown.end()
	result := backups{done, failures}
	if c.is("all") {
		return c.answer(result, "Backed up %s of %s to %s", count(total, "snapshot"), count(len(done), "user"), to)
	}
	return c.answer(result, "Backed up %s of %s to %s", count(total, "snapshot"), homes[0].where(), to)
}

// backups are what was backed up, and what was not.
type backups struct {
	Backups []backedUp `json:"backups"`
	Failed  []failure  `json:"failed,omitempty"`
}

// archive adds a home to an archive.
func (h home) archive(ctx context.Context, w *portable.ArchiveWriter, shown *progress, doing string) (backedUp, error) {
	all, err := h.contents(ctx)
	if err != nil {
		return backedUp{}, err
	}
	var bytes, n int64
	err = all.read(ctx, func(snapshots iter.Seq2[store.Snapshot, error]) error {
		_, err := w.User(h.owned(all.owner), func(yield func(store.Snapshot, error) bool) {
			for snapshot, err := range snapshots {
				bytes, n = bytes+snapshot.Bytes(), n+1
				shown.show("%s: %s", doing, count(n, "snapshot"))
				if !yield(snapshot, err) {
					return
				}
			}
		})
		return err
	})
	return backedUp{User: h.key, Bytes: bytes, Snapshots: &n}, err
}
