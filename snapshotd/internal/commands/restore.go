package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/portable"
	"github.com/snapgate/snapgate/snapshotd/internal/settings"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func restoreCommand() command {
	return command{
		name:    "restore",
		summary: "put a backup in the place of a database, while it is in use",
		usage:   "<file|folder> [flags]",
		help: `The backup is checked first, and brought up to date if it is of an earlier
schema. Then it replaces all that the user has, in one transaction: a server that has
it open goes on with what was restored. What was there is copied before, to
<database>.replaced.bak (or .replaced.2.bak and so on), or, from PostgreSQL, to the
archive <backup>.<user>.replaced.jsonl.
A backup of one user is not put into the place of another.
Files and archives can be restored into files and PostgreSQL alike. With --all, what is
given is an archive, or a folder that "backup --all" made.

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.toggle("all")
		},
		run: restore,
	}
}

// restored is one user's snapshots that were restored.
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
	archive, err := c.openArchive(from)
	if err != nil {
		return err
	}
	homes, err := c.restoredHomes(ctx, from, archive)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	done, failures, err := each(ctx, c, homes, func(h home, far string) (restored, error) {
		all, err := c.backupOf(ctx, h, from, archive)
		if err != nil {
			return restored{}, err
		}
		return c.put(ctx, all, h, putting{owner: h.owner, aside: asideOf(from, h), shown: shown, doing: "restored (" + far + ")"})
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
	return c.answer(result, "Restored %s from %s to %s%s", count(done[0].Snapshots, "snapshot"), from, homes[0].where(), asideText(done[0].Aside))
}

func asideText(aside string) string {
	if aside == "" {
		return ""
	}
	return "\nWhat was there before is in " + aside
}

// asideOf begins the name of the file for what a database held.
func asideOf(from string, h home) string {
	if h.key == "" {
		return from + ".local"
	}
	return from + "." + h.key
}

// openArchive opens what is restored from if it is an archive, else it is nil.
func (c *call) openArchive(path string) (*portable.Archive, error) {
	if is, err := portable.IsArchive(path); err != nil || !is {
		return nil, err
	}
	archive, err := portable.OpenArchive(path)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, archive.Close)
	return archive, nil
}

// restoredHomes finds where to restore to: with --all, a home for each user in the backup.
func (c *call) restoredHomes(ctx context.Context, from string, archive *portable.Archive) ([]home, error) {
	if !c.is("all") {
		h, err := c.home(ctx)
		return []home{h}, err
	}
	place, err := c.place()
	if err != nil {
		return nil, err
	}
	if place.File != "" || c.named() {
		return nil, wrong("--all is for --data or a server, and for no single user")
	}
	keys, err := backedUpKeys(ctx, from, archive)
	if err != nil {
		return nil, err
	}
	return c.homesOf(ctx, place, keys)
}

// homesOf are those of users in a folder or a database, who may have nothing there yet.
func (c *call) homesOf(ctx context.Context, place settings.Place, keys []string) (all []home, err error) {
	if place.Server == "" {
		for _, key := range keys {
			all = append(all, c.userHome(place.Base, key, nil))
		}
		return all, nil
	}
	database, err := c.connect(ctx, place.Server)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		all = append(all, c.rows(database, place.Server, key, nil))
	}
	return all, nil
}

// backedUpKeys are those of the users in a backup of all.
func backedUpKeys(ctx context.Context, from string, archive *portable.Archive) (keys []string, err error) {
	if archive != nil {
		for _, user := range archive.Users {
			keys = append(keys, user.User)
		}
		if len(keys) == 0 {
			return nil, fmt.Errorf("%s has no users", from)
		}
		return keys, nil
	}
	err = eachUser(ctx, store.Folder{Base: from}, func(u store.User) error {
		keys = append(keys, u.User)
		return nil
	})
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s has no <user>/snapshots.db: it must be an archive, or a folder that backup --all made", from)
	}
	return keys, err
}

// backupOf finds in a backup what belongs into a home. Nobody's snapshots may go anywhere,
// and one user's to no other.
func (c *call) backupOf(ctx context.Context, h home, from string, archive *portable.Archive) (contents, error) {
	var all contents
	if archive != nil {
		at := slices.IndexFunc(archive.Users, func(u portable.ArchivedUser) bool { return u.User == h.key })
		switch {
		case at < 0 && len(archive.Users) == 1:
			at = 0
		case at < 0 && h.key == "":
			return all, fmt.Errorf("%s has %d users: say whose by --user, or by --issuer and --subject", from, len(archive.Users))
		case at < 0:
			return all, fmt.Errorf("%w: %s has nothing of %s", store.ErrNoUser, from, h)
		}
		all = archived(from, archive, archive.Users[at])
	} else {
		path := from
		if c.is("all") {
			path = store.UserFile(from, store.Owner{User: h.key})
		}
		owner, err := fits(ctx, path, h.key)
		if err != nil {
			return all, err
		}
		all = contents{from: path, owner: owner}.inFile(path)
	}
	switch {
	case h.key == "" && h.database != nil && all.owner != nil:
		return all, fmt.Errorf("%w: %s is of %s: say so by --user", store.ErrOwner, from, all.owner.Subject)
	case h.key != "" && all.key != "" && all.key != h.key:
		return all, fmt.Errorf("%w: %s is of user %s", store.ErrOwner, from, all.key)
	case h.key != "" && all.owner != nil && identity.UserKey(all.owner.Issuer, all.owner.Subject) != h.key:
		return all, fmt.Errorf("%w: %s says that %s is %s of %s, whose key is another", store.ErrOwner, from, h.key, all.owner.Subject, all.owner.Issuer)
	case h.key == "" && h.database == nil && c.is("all"):
		return all, fmt.Errorf("%w: the snapshots of the local user in %s need a file of their own: restore them by --db", store.ErrNoUser, from)
	}
	return all, nil
}

// fits checks that a backup is of the user whose home it is to be in, or of nobody, and
// returns the owner that it names.
func fits(ctx context.Context, path, key string) (*store.Owner, error) {
	if key != "" {
		owner, err := home{path: path, key: key}.rightful(ctx)
		if errors.Is(err, store.ErrNoUser) {
			err = fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		return owner, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	owner, err := store.File{Path: path}.Owner(ctx, "")
	if errors.Is(err, store.ErrNoUser) {
		return nil, nil
	}
	return &owner, err
}
