package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func restoreCommand() command {
	return command{
		name:    "restore",
		summary: "put a backup in the place of a database, while it is in use",
		usage:   "<file|folder> [flags]",
		help: `The backup is checked first, and brought up to date if it is of an earlier
schema. Then it replaces all that the database holds, in one transaction: a server
that has it open goes on with what was restored. What was there is copied to
<database>.replaced.bak (or .replaced.2.bak and so on) before.
A backup of one user is not put into the place of another.
With --all, the folder is one that "backup --all" made.

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.toggle("all")
		},
		run: restore,
	}
}

// restored is one database that was restored.
type restored struct {
	User      string `json:"user,omitempty"`
	File      string `json:"file"`
	From      string `json:"from"`
	Snapshots int64  `json:"snapshots"`
	Aside     string `json:"aside,omitempty"`
}

func restore(ctx context.Context, c *call) error {
	arguments, err := c.arguments("the file or folder to restore from")
	if err != nil {
		return err
	}
	from := arguments[0]
	homes, err := c.restoredHomes(ctx, from)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	done := []restored{}
	failures, err := c.each(ctx, homes, func(h home) error {
		source := from
		if c.is("all") {
			source = store.UserFile(from, store.Owner{User: h.key})
		}
		one, err := h.restore(ctx, source, shown.bytes(fmt.Sprintf("restored (%d of %d)", len(done)+1, len(homes))))
		if err == nil {
			done = append(done, one)
		}
		return err
	})
	if err != nil {
		return err
	}
	shown.end()
	result := struct {
		Restored []restored `json:"restored"`
		Failed   []failure  `json:"failed,omitempty"`
	}{done, failures}
	if c.is("all") {
		return c.answer(result, "Restored %s from %s", count(len(done), "user"), from)
	}
	return c.answer(result, "Restored %s from %s to %s%s", count(done[0].Snapshots, "snapshot"), from, homes[0], asideText(done[0].Aside))
}

func asideText(aside string) string {
	if aside == "" {
		return ""
	}
	return "\nWhat was there before is in " + aside
}

// restoredHomes finds where to restore to: with --all, a home for each user in the backup.
func (c *call) restoredHomes(ctx context.Context, from string) ([]home, error) {
	if !c.is("all") {
		h, err := c.home()
		return []home{h}, err
	}
	place, err := c.place()
	if err != nil {
		return nil, err
	}
	if place.Base == "" || c.value("user") != "" || c.value("issuer") != "" || c.value("subject") != "" {
		return nil, wrong("--all is for --data, and for no single user")
	}
	if _, err := os.Stat(from); err != nil {
		return nil, err
	}
	var all []home
	err = eachUser(ctx, store.Folder{Base: from}, func(u store.User) error {
		all = append(all, userHome(place.Base, u.User, nil))
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s has no <user>/snapshots.db: it must be a folder that backup --all made", from)
	}
	return all, err
}

// restore restores a home, which may be empty.
func (h home) restore(ctx context.Context, from string, shown func(done, total int64)) (restored, error) {
	if h.key != "" {
		if err := h.fits(ctx, from); err != nil {
			return restored{}, err
		}
	}
	got, err := store.Restore(ctx, from, h.path, store.Restoration{Owner: h.owner, Private: h.private, Progress: shown})
	if err != nil {
		return restored{}, err
	}
	return restored{User: h.key, File: h.path, From: from, Snapshots: got.Snapshots, Aside: got.Aside}, nil
}

// fits checks that a backup is of the user whose folder it is to be in, or of nobody.
func (h home) fits(ctx context.Context, from string) error {
	_, err := home{path: from, key: h.key}.rightful(ctx)
	if errors.Is(err, store.ErrNoUser) {
		return fmt.Errorf("%s: %w", from, fs.ErrNotExist)
	}
	return err
}
