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
  --data <folder>    the folder with one for each user; without both it is where
                     the server would look, by its variables or by default
`

// userHelp are the flags of defineUser.
const userHelp = `  --user <key>       with --data, the user: the name of their folder, or
  --issuer <issuer> --subject <subject>
                     the user by the claims of their tokens
`

const allHelp = `  --all              with --data, all users
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
	return place, inFiles(place)
}

// inFiles refuses a server: the commands work on files, and what they would do there is done
// by PostgreSQL's own programs.
func inFiles(place settings.Place) error {
	if place.Server == "" {
		return nil
	}
	return usageError{fmt.Errorf("commands work on files: %w", postgres.ErrDump)}
}

// home is where one user's snapshots are.
type home struct {
	path  string
	key   string       // "" for a file that is named itself
	owner *store.Owner // nil if only the key is known
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

// home finds the one home that the flags name.
func (c *call) home() (home, error) {
	place, err := c.place()
	if err != nil {
		return home{}, err
	}
	owner, err := c.owner()
	if err != nil {
		return home{}, err
	}
	key := c.value("user")
	if place.File != "" {
		if key != "" || owner != nil {
			return home{}, wrong("--user, --issuer and --subject are for --data: %s is one file for all", place.File)
		}
		return home{path: place.File, private: place.Default}, nil
	}
	switch {
	case owner != nil && key != "" && key != owner.User:
		return home{}, wrong("--user is %s, and the key of this issuer and subject %s: give one of the two", key, owner.User)
	case owner != nil:
		key = owner.User
	case key == "":
		return home{}, wrong("%s has a file for each user: say whose by --user, or by --issuer and --subject", place.Base)
	}
	if !store.IsUserKey(key) {
		return home{}, wrong("--user is %q, which is no user's key: snapshotd users lists them", key)
	}
	return userHome(place.Base, key, owner), nil
}

func userHome(base, key string, owner *store.Owner) home {
	return home{path: store.UserFile(base, store.Owner{User: key}), key: key, owner: owner, private: true}
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
		h, err := c.home()
		return []home{h}, err
	}
	place, err := c.place()
	if err != nil {
		return nil, err
	}
	if place.Base == "" {
		return nil, wrong("--all is for --data: %s is one file", place.File)
	}
	if c.value("user") != "" || c.value("issuer") != "" || c.value("subject") != "" {
		return nil, wrong("--all and a user exclude each other")
	}
	if _, err := os.Stat(place.Base); err != nil {
		return nil, err
	}
	var all []home
	err = eachUser(ctx, store.Folder{Base: place.Base}, func(u store.User) error {
		all = append(all, userHome(place.Base, u.User, nil))
		return nil
	})
	return all, err
}

// eachUser calls a function with each user of a source.
func eachUser(ctx context.Context, source store.Source, do func(store.User) error) error {
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

// rightful checks that a user's file is there and belongs to who its folder is named
// after, and returns the owner: nil if the file names none.
func (h home) rightful(ctx context.Context) (*store.Owner, error) {
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
func (h home) open(ctx context.Context, s store.Settings) (store.Store, error) {
	if _, err := h.rightful(ctx); err != nil {
		return nil, err
	}
	return h.openOrMake(ctx, nil, s)
}

// openOrMake opens the snapshots of a home, or makes it for the owner.
func (h home) openOrMake(ctx context.Context, owner *store.Owner, s store.Settings) (store.Store, error) {
	opened, err := store.Open(ctx, h.path, store.Options{Private: h.private, Owner: owner, Adopt: true, Settings: s})
	if err != nil {
		return nil, err
	}
	return opened, nil
}
