package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func migrateCommand() command {
	return command{
		name:    "migrate",
		summary: "move between a file of one's own, users' files and PostgreSQL",
		usage:   "to-user|to-file|to-server|from-server [flags]",
		help: `to-user copies the file of --db into a user's file under --data, which becomes
theirs. to-file copies a user's file to --db, which then belongs to nobody, as a
local file does. to-server copies files into PostgreSQL, and from-server copies back:
with --data users' files, one or --all; with --db the local file, to or from the rows
of a user who is named, or else of the one who uses a server without --auth trusted-meta.
The source stays as it is, and both may be in use.
A target that has snapshots is refused; to add to it, use export and import.

  --db <file>        the local file; without it, where the server would look
  --data <folder>    the folder of the users' files
  --server <address> the PostgreSQL database, postgres://…; without it what
                     SNAPSHOT_DB_PATH says, so that a password need not stand here
  --user <key>       whose: see "snapshotd users"; or
  --issuer <issuer> --subject <subject>
                     whose: as their tokens name them
  --all              with --data, to or from PostgreSQL: all users
  --replace          replace what the target has, which is copied aside first
  --dry-run          only tell what it would do
`,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.text("server")
			c.toggle("all", "replace", "dry-run")
		},
		run: migrate,
	}
}

// move is a copy from one kind of place into the other.
type move struct {
	from, to home
	owner    store.Owner // of the copy; zero for nobody
}

func migrate(ctx context.Context, c *call) error {
	arguments, err := c.arguments("to-user, to-file, to-server or from-server")
	if err != nil {
		return err
	}
	if direction := arguments[0]; direction == "to-server" || direction == "from-server" {
		return c.migrateServer(ctx, direction == "to-server")
	}
	if c.is("all") || c.value("server") != "" {
		return wrong("--all and --server are for to-server and from-server")
	}
	m, err := c.move(arguments[0])
	if err != nil {
		return err
	}
	if _, err := m.from.rightful(ctx); err != nil {
		return err
	}
	source, err := look(ctx, m.from.path)
	if err != nil {
		return err
	}
	if m.from.key == "" && (source.Issuer != "" || source.Subject != "") {
		return fmt.Errorf("%w: %s has an owner already, and only a file of nobody's is moved to a user; put it in its owner's folder with restore", store.ErrOwner, m.from.path)
	}
	target, err := look(ctx, m.to.path)
	if err != nil {
		return err
	}
	if target.Snapshots > 0 && !c.is("replace") {
		return fmt.Errorf("%s has %s already: --replace replaces them, export and import add to them", m.to.path, count(target.Snapshots, "snapshot"))
	}
	if c.is("dry-run") {
		return c.migrated(m, source.Snapshots, "", "Would copy")
	}
	shown := c.newProgress()
	defer shown.end()
	got, err := store.Restore(ctx, m.from.path, m.to.path, store.Restoration{
		Owner: &m.owner, Private: m.to.private, Vacant: !c.is("replace"), Progress: shown.bytes("copied"),
	})
	if err != nil {
		return err
	}
	shown.end()
	return c.migrated(m, got.Snapshots, got.Aside, "Copied")
}

func (c *call) migrated(m move, snapshots int64, aside, verb string) error {
	return c.answer(struct {
		From      string `json:"from"`
		To        string `json:"to"`
		User      string `json:"user"`
		Snapshots int64  `json:"snapshots"`
		Aside     string `json:"aside,omitempty"`
		DryRun    bool   `json:"dry_run"`
	}{m.from.path, m.to.path, m.from.key + m.to.key, snapshots, aside, c.is("dry-run")},
		"%s %s from %s to %s%s", verb, count(snapshots, "snapshot"), m.from.path, m.to.path, asideText(aside))
}

// move reads what is to be moved. Both places are in play, so that --db and --data
// do not exclude each other here.
func (c *call) move(direction string) (move, error) {
	if direction != "to-user" && direction != "to-file" {
		return move{}, wrong("unexpected argument %q: it must be to-user, to-file, to-server or from-server", direction)
	}
	file, base, err := c.flags.BothPlaces()
	if err != nil {
		return move{}, usageError{err}
	}
	if file.Server != "" {
		return move{}, wrong("%s is between files: for PostgreSQL there are to-server and from-server", direction)
	}
	local := home{path: file.File, private: file.Default}
	owner, key, err := c.user()
	switch {
	case err != nil:
		return move{}, err
	case direction == "to-user" && owner == nil:
		return move{}, wrong("to-user needs --issuer and --subject: the file will belong to whom they name")
	case key == "":
		return move{}, wrong("to-file needs --user, or --issuer and --subject: snapshotd users lists them")
	}
	user := c.userHome(base.Base, key, owner)
	if direction == "to-user" {
		return move{from: local, to: user, owner: *owner}, nil
	}
	return move{from: user, to: local}, nil
}

// look reads what a file has, if it is there.
func look(ctx context.Context, path string) (store.User, error) {
	found, err := store.File{Path: path}.Users(ctx, "", 1)
	if errors.Is(err, fs.ErrNotExist) || len(found) == 0 {
		return store.User{}, err
	}
	return found[0], err
}
