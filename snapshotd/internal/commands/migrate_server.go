package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres"
)

// migrated is one user's snapshots that were copied between files and a database.
type migrated struct {
	User      string `json:"user"`
	From      string `json:"from"`
	To        string `json:"to"`
	Snapshots int64  `json:"snapshots"`
	Aside     string `json:"aside,omitempty"`
}

// migrateServer copies between files and a database.
func (c *call) migrateServer(ctx context.Context, toServer bool) error {
	files, homes, err := c.migratedHomes(ctx, toServer)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	var total int64
	done, failures, err := each(ctx, c, homes, func(inDatabase home, far string) (migrated, error) {
		inFile := files(inDatabase)
		from, to := inDatabase, inFile
		if toServer {
			from, to = inFile, inDatabase
		}
		one, err := c.migrateOne(ctx, from, to, putting{shown: shown, doing: "copied (" + far + ")"})
		if err == nil {
			total += one.Snapshots
		}
		return one, err
	})
	if err != nil {
		return err
	}
	shown.end()
	verb := "Copied"
	if c.is("dry-run") {
		verb = "Would copy"
	}
	result := struct {
		Migrated []migrated `json:"migrated"`
		DryRun   bool       `json:"dry_run"`
		Failed   []failure  `json:"failed,omitempty"`
	}{done, c.is("dry-run"), failures}
	if c.is("all") {
		return c.answer(result, "%s %s of %s", verb, count(total, "snapshot"), count(len(done), "user"))
	}
	return c.answer(result, "%s %s from %s to %s%s", verb, count(total, "snapshot"), done[0].From, done[0].To, asideText(done[0].Aside))
}

// migrateOne copies one user's snapshots, unless it is only to tell what it would do.
func (c *call) migrateOne(ctx context.Context, from, to home, how putting) (migrated, error) {
	all, err := from.contents(ctx)
	if err != nil {
		return migrated{}, err
	}
	if how.owner, err = c.ownerOfMigrated(ctx, all, from, to); err != nil {
		return migrated{}, err
	}
	there, err := to.has(ctx)
	if err != nil {
		return migrated{}, err
	}
	if there > 0 && !c.is("replace") {
		return migrated{}, fmt.Errorf("%s has %s already: --replace replaces them, export and import add to them", to.where(), count(there, "snapshot"))
	}
	result := migrated{User: from.key, From: from.where(), To: to.where()}
	if to.key != "" {
		result.User = to.key
	}
	if c.is("dry-run") {
		result.Snapshots, err = from.has(ctx)
		return result, err
	}
	how.vacant, how.aside = !c.is("replace"), asideOf(from.file(), to)
	got, err := c.put(ctx, all, to, how)
	result.Snapshots, result.Aside = got.Snapshots, got.Aside
	return result, err
}

// ownerOfMigrated decides whose the copy is to be: nil is for whose it is.
func (c *call) ownerOfMigrated(ctx context.Context, all contents, from, to home) (*store.Owner, error) {
	if to.database == nil && to.key == "" {
		return &store.Owner{}, nil // a local file is nobody's
	}
	if from.database != nil || from.key != "" {
		return all.owner, nil
	}
	// From a local file, which is nobody's, to a user's rows, or to the local user's.
	named, err := store.File{Path: from.path}.Owner(ctx, "")
	if err == nil {
		return nil, fmt.Errorf("%w: %s is of %s of %s, and only a file of nobody's is moved", store.ErrOwner, from.path, named.Subject, named.Issuer)
	}
	if !errors.Is(err, store.ErrNoUser) {
		return nil, err
	}
	return to.owner, nil
}

// file is the name beside which what was replaced in a database is put.
func (h home) file() string {
	if h.database != nil {
		return "snapshots"
	}
	return h.path
}

// has counts the snapshots of a home, which may not be there.
func (h home) has(ctx context.Context) (int64, error) {
	if h.database == nil {
		user, err := look(ctx, h.path)
		return user.Snapshots, err
	}
	s, err := h.openRows(ctx)
	if errors.Is(err, store.ErrNoUser) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	usage, err := s.Usage(ctx)
	return usage.Snapshots, err
}

// migratedHomes finds the homes in the database, and for each the one in files.
func (c *call) migratedHomes(ctx context.Context, toServer bool) (files func(home) home, homes []home, err error) {
	address, file, base, err := c.serverAndFiles()
	if err != nil {
		return nil, nil, err
	}
	owner, key, err := c.user()
	if err != nil {
		return nil, nil, err
	}
	database, err := c.connect(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	one := []home{c.rows(database, address, key, owner)}
	switch {
	case file != nil && c.is("all"):
		return nil, nil, wrong("--all is for --data: %s is one file", file.File)
	case file != nil:
		return func(home) home { return home{path: file.File, private: file.Default} }, one, nil
	case c.is("all") && key != "":
		return nil, nil, wrong("--all and a user exclude each other")
	case !c.is("all") && key == "":
		return nil, nil, wrong("%s has a file for each user: say whose by --user, by --issuer and --subject, or --all", base.Base)
	}
	files = func(h home) home { return c.userHome(base.Base, h.key, h.owner) }
	if !c.is("all") {
		return files, one, nil
	}
	var source lister = store.Folder{Base: base.Base}
	if !toServer {
		source = database
	} else if _, _, err := c.source(ctx, *base); err != nil { // a folder that is not there
		return nil, nil, err
	}
	err = eachUser(ctx, source, func(u store.User) error {
		homes = append(homes, c.rows(database, address, u.User, nil))
		return nil
	})
	return files, homes, err
}

// serverAndFiles reads --server, and which of --db and --data is meant: the other is nil.
func (c *call) serverAndFiles() (address string, file, base *settings.Place, err error) {
	address, err = c.flags.ServerAddress(c.value("server"))
	if err != nil {
		return "", nil, nil, usageError{err}
	}
	one, users, err := c.flags.FilePlaces()
	switch {
	case err != nil:
		return "", nil, nil, usageError{err}
	case one.Server != "":
		return "", nil, nil, wrong("--db must be a file here: the database is --server, %s", postgres.Place(one.Server))
	case users.Base != "":
		return address, nil, &users, nil
	}
	return address, &one, nil, nil
}
