package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/settings"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres"
)

// placeHelp are the flags of definePlace.
const placeHelp = `  --db <file>        the one database file, or
  --db <address>     the PostgreSQL database, postgres://…, or
  --data <folder>    the folder with a file for each user; without all of these it is
                     where the server would look, by its variables or by default
`

// userHelp are the flags of defineUser.
const userHelp = `  --user <key>       with --data or PostgreSQL, the user: see "snapshotd users"; or
  --issuer <issuer> --subject <subject>
                     the user by the claims of their tokens. Without a user it is
                     in PostgreSQL the one of a server without --auth trusted-meta
`

const allHelp = `  --all              with --data or PostgreSQL, all users
`

// definePlace adds the flags that say where the snapshots are.
func (c *call) definePlace() { c.flags.DefinePlace() }

// defineUser adds those that say whose they are.
func (c *call) defineUser() { c.text("user", "issuer", "subject") }

func (c *call) place() (settings.Place, error) {
	place, err := c.flags.Place()
	if err != nil {
		return place, usageError{err}
	}
	return place, nil
}

// home is where one user's snapshots are: in a file of their own, or among those of
// others in a database.
type home struct {
	path     string             // the file, or how messages name the database
	database *postgres.Database // nil for a file
	key      string             // "" for a file that is named itself, and for a database's local user
	owner    *store.Owner       // nil if only the key is known
	settings store.Settings
	// private says that the file is in a place of snapshotd's own.
	private bool
}

// String names the home in messages.
func (h home) String() string {
	if h.key != "" {
		return "user " + h.key
	}
	return h.path
}

// where is String and the place.
func (h home) where() string {
	if h.database != nil && h.key != "" {
		return h.String() + " of " + h.path
	}
	return h.path
}

// home finds the one home that the flags name.
func (c *call) home(ctx context.Context) (home, error) {
	place, err := c.place()
	if err != nil {
		return home{}, err
	}
	owner, key, err := c.user()
	if err != nil {
		return home{}, err
	}
	switch {
	case place.File != "" && key != "":
		return home{}, wrong("--user, --issuer and --subject are for --data or a server: %s is one file for all", place.File)
	case place.File != "":
		return home{path: place.File, private: place.Default, settings: c.settings}, nil
	case place.Base != "" && key == "":
		return home{}, wrong("%s has a file for each user: say whose by --user, or by --issuer and --subject", place.Base)
	case place.Base != "":
		return c.userHome(place.Base, key, owner), nil
	}
	database, err := c.connect(ctx, place.Server)
	if err != nil {
		return home{}, err
	}
	return c.rows(database, place.Server, key, owner), nil
}

// userHome is that of a user in a folder.
func (c *call) userHome(base, key string, owner *store.Owner) home {
	return home{path: store.UserFile(base, store.Owner{User: key}), key: key, owner: owner, private: true, settings: c.settings}
}

// rows is the home of a user in a database.
func (c *call) rows(database *postgres.Database, address, key string, owner *store.Owner) home {
	return home{path: postgres.Place(address), database: database, key: key, owner: owner, settings: c.settings}
}

// user reads whose the flags say: the key, and who that is if they say it. Without such
// flags it is nobody.
func (c *call) user() (*store.Owner, string, error) {
	owner, err := c.owner()
	if err != nil {
		return nil, "", err
	}
	key := c.value("user")
	switch {
	case owner != nil && key != "" && key != owner.User:
		return nil, "", wrong("--user is %s, and the key of this issuer and subject %s: give one of the two", key, owner.User)
	case owner != nil:
		return owner, owner.User, nil
	case key != "" && !store.IsUserKey(key):
		return nil, "", wrong("--user is %q, which is no user's key: snapshotd users lists them", key)
	}
	return nil, key, nil
}

// named says whether a flag says whose.
func (c *call) named() bool {
	return c.value("user") != "" || c.value("issuer") != "" || c.value("subject") != ""
}

// owner reads --issuer and --subject; nil without them.
func (c *call) owner() (*store.Owner, error) {
	issuer, subject := c.value("issuer"), c.value("subject")
	switch {
	case issuer == "" && subject == "":
		return nil, nil
	case issuer == "" || subject == "":
		return nil, wrong("--issuer and --subject go together")
	}
	return &store.Owner{User: identity.UserKey(issuer, subject), Issuer: issuer, Subject: subject}, nil
}

// homes finds all homes that the flags name: one, or with --all each user's.
func (c *call) homes(ctx context.Context) ([]home, error) {
	if !c.is("all") {
		h, err := c.home(ctx)
		return []home{h}, err
	}
	place, err := c.place()
	if err != nil {
		return nil, err
	}
	if place.File != "" {
		return nil, wrong("--all is for --data or a server: %s is one file", place.File)
	}
	if c.named() {
		return nil, wrong("--all and a user exclude each other")
	}
	return c.allHomes(ctx, place)
}

// allHomes are those of all users in a folder or a database.
func (c *call) allHomes(ctx context.Context, place settings.Place) ([]home, error) {
	source, database, err := c.source(ctx, place)
	if err != nil {
		return nil, err
	}
	var all []home
	err = eachUser(ctx, source, func(u store.User) error {
		if database != nil {
			all = append(all, c.rows(database, place.Server, u.User, nil))
		} else {
			all = append(all, c.userHome(place.Base, u.User, nil))
		}
		return nil
	})
	return all, err
}

// lister is what users are listed from.
type lister interface {
	Users(ctx context.Context, after string, limit int) ([]store.User, error)
}

// source is that of a place, which must be there.
func (c *call) source(ctx context.Context, place settings.Place) (lister, *postgres.Database, error) {
	if place.Server != "" {
		database, err := c.connect(ctx, place.Server)
		return withLocal{database}, database, err
	}
	// Without this, a folder that is not there would be one without users.
	if _, err := os.Stat(place.File + place.Base); err != nil {
		return nil, nil, err
	}
	if place.Base != "" {
		return store.Folder{Base: place.Base}, nil, nil
	}
	return store.File{Path: place.File}, nil, nil
}

// eachUser calls a function with each user of a source.
func eachUser(ctx context.Context, source lister, do func(store.User) error) error {
	for after := ""; ; {
		page, err := source.Users(ctx, after, store.MaxPage)
		if err != nil {
			return err
		}
		for _, user := range page {
			if err := do(user); err != nil {
				return err
			}
		}
		if len(page) < store.MaxPage {
			return nil
		}
		after = page[len(page)-1].User
	}
}

// rightful checks that a home is there and belongs to who its key stands for, and
// returns the owner: nil if it names none.
func (h home) rightful(ctx context.Context) (*store.Owner, error) {
	if h.database != nil {
		return h.rightfulRows(ctx)
	}
	if _, err := os.Stat(h.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) && h.key != "" {
			return nil, fmt.Errorf("%w: there is no %s", store.ErrNoUser, h.path)
		}
		return nil, err
	}
	if h.key == "" {
		return nil, nil
	}
	owner, err := store.File{Path: h.path}.Owner(ctx, h.key)
	switch {
	case errors.Is(err, store.ErrNoUser):
		return h.owner, nil
	case err != nil:
		return nil, err
	case identity.UserKey(owner.Issuer, owner.Subject) != h.key:
		return nil, fmt.Errorf("%w: %s is not in the folder of its owner, which is %s", store.ErrOwner, h.path, identity.UserKey(owner.Issuer, owner.Subject))
	}
	return &owner, nil
}

// open opens the snapshots of a home that is there.
func (h home) open(ctx context.Context) (store.Store, error) {
	if _, err := h.rightful(ctx); err != nil {
		return nil, err
	}
	if h.database != nil {
		return h.openRows(ctx)
	}
	return h.openOrMake(ctx, nil)
}

// openOrMake opens the snapshots of a home, or makes it for the owner.
func (h home) openOrMake(ctx context.Context, owner *store.Owner) (store.Store, error) {
	if h.database != nil {
		return h.makeRows(ctx, owner)
	}
	opened, err := store.Open(ctx, h.path, store.Options{Private: h.private, Owner: owner, Adopt: true, Settings: h.settings})
	if err != nil {
		return nil, err
	}
	return opened, nil
}
