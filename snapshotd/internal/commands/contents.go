package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/snapgate/snapgate/snapshotd/internal/portable"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// contents are all snapshots of one user, on the way from one place into another.
type contents struct {
	from  string       // in messages
	key   string       // whose they are; "" if they are nobody's, or a local user's
	owner *store.Owner // nil if they name none
	file  string       // the SQLite file that they are, if they are one
	// read calls a function with them, as they are at one moment.
	read func(ctx context.Context, do func(iter.Seq2[store.Snapshot, error]) error) error
}

// contents are what a home holds.
func (h home) contents(ctx context.Context) (contents, error) {
	owner, err := h.rightful(ctx)
	if err != nil {
		return contents{}, err
	}
	all := contents{from: h.where(), key: h.key, owner: owner}
	if h.database == nil {
		return all.inFile(h.path), nil
	}
	s, err := h.openRows(ctx)
	if err != nil {
		return contents{}, err
	}
	whole, ok := s.(store.Whole)
	if !ok {
		return contents{}, fmt.Errorf("%s cannot be read as a whole", h)
	}
	all.read = whole.All
	return all, nil
}

// inFile are the contents of a SQLite file. It is copied before it is read, so that
// nothing in it is changed, not even an earlier schema.
func (all contents) inFile(path string) contents {
	all.file = path
	all.read = func(ctx context.Context, do func(iter.Seq2[store.Snapshot, error]) error) (err error) {
		folder, err := os.MkdirTemp("", "snapshotd")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		copied := filepath.Join(folder, "snapshots.db")
		if err := store.Copy(ctx, path, copied, nil); err != nil {
			return err
		}
		s, err := store.Open(ctx, copied, store.Options{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		problems, err := s.Check(ctx)
		if err != nil {
			return err
		}
		for _, p := range problems {
			if !p.Repairable { // what is, is made anew elsewhere
				return fmt.Errorf("%s: %w: %s", path, store.ErrCorrupt, p.What)
			}
		}
		return do(store.Each(ctx, s, 0))
	}
	return all
}

// archived are the contents of a user in an archive.
func archived(path string, archive *portable.Archive, user portable.ArchivedUser) contents {
	all := contents{from: path, key: user.User}
	if user.Issuer != "" || user.Subject != "" {
		all.owner = &user.Owner
	}
	all.read = func(_ context.Context, do func(iter.Seq2[store.Snapshot, error]) error) error {
		return do(archive.Snapshots(user))
	}
	return all
}

// putting says how contents are put into a home.
type putting struct {
	owner  *store.Owner // whose they are to be: nil for whose they are, zero for nobody's
	vacant bool         // whether a home that has snapshots is refused
	aside  string       // begins the name of the file for what a database held before
	doing  string       // in the progress
	shown  *progress
}

// put puts contents in the place of all that a home holds.
func (c *call) put(ctx context.Context, all contents, to home, how putting) (restored, error) {
	if to.database != nil {
		return to.putRows(ctx, all, how)
	}
	file := all.file
	if file == "" {
		staged, remove, err := all.stage(ctx, filepath.Dir(to.path), how)
		if err != nil {
			return restored{}, err
		}
		defer remove()
		file = staged
	}
	got, err := store.Restore(ctx, file, to.path, store.Restoration{
		Owner: how.owner, Private: to.private, Vacant: how.vacant, Progress: how.shown.bytes(how.doing),
	})
	if err != nil {
		return restored{}, err
	}
	return restored{User: to.key, File: to.path, From: all.from, Snapshots: got.Snapshots, Aside: got.Aside}, nil
}

// stage makes a SQLite file of contents, in a folder of its own beside where they go.
func (all contents) stage(ctx context.Context, beside string, how putting) (file string, remove func(), err error) {
	if err := os.MkdirAll(beside, 0o700); err != nil {
		return "", nil, err
	}
	folder, err := os.MkdirTemp(beside, ".snapshotd-*")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) } // a copy that is of no more use
	file = filepath.Join(folder, "snapshots.db")
	if err := all.fill(ctx, file, how); err != nil {
		remove()
		return "", nil, err
	}
	return file, remove, nil
}

func (all contents) fill(ctx context.Context, file string, how putting) error {
	s, err := store.Open(ctx, file, store.Options{Owner: all.owner})
	if err != nil {
		return err
	}
	err = all.read(ctx, func(snapshots iter.Seq2[store.Snapshot, error]) error {
		_, err := importAll(ctx, s, snapshots, store.Skip, func(n store.Imported) {
			how.shown.show("%s: %s", how.doing, count(n.Added, "snapshot"))
		})
		return err
	})
	return errors.Join(err, s.Close())
}

// putRows is put into a database.
func (h home) putRows(ctx context.Context, all contents, how putting) (restored, error) {
	owner := h.owner
	if how.owner != nil {
		owner = how.owner
	} else if owner == nil {
		owner = all.owner
	}
	s, err := h.makeRows(ctx, owner)
	if errors.Is(err, store.ErrNoUser) {
		return restored{}, fmt.Errorf("%w: %s does not say who %s is: do so by --issuer and --subject", err, all.from, h)
	}
	if err != nil {
		return restored{}, err
	}
	whole, ok := s.(store.Whole)
	if !ok {
		return restored{}, fmt.Errorf("%s cannot be replaced as a whole", h)
	}
	result := restored{User: h.key, File: h.path, From: all.from}
	replacement := store.Replacement{
		Vacant:  how.vacant,
		Written: func(n int64) { how.shown.show("%s: %s", how.doing, count(n, "snapshot")) },
		Aside: func(before iter.Seq2[store.Snapshot, error]) error {
			aside, err := putAside(how.aside, h.owned(owner), before)
			result.Aside = aside
			return err
		},
	}
	err = all.read(ctx, func(snapshots iter.Seq2[store.Snapshot, error]) error {
		n, err := whole.Replace(ctx, snapshots, replacement)
		result.Snapshots = n
		return err
	})
	return result, err
}

// owned is an owner as an archive names them: for the local user without an identity.
func (h home) owned(owner *store.Owner) store.Owner {
	if owner == nil || h.key == "" {
		return store.Owner{User: h.key}
	}
	return *owner
}

// putAside writes an archive of one user to the first free name.
func putAside(start string, owner store.Owner, snapshots iter.Seq2[store.Snapshot, error]) (string, error) {
	for n := 1; ; n++ {
		name := start + ".replaced.jsonl"
		if n > 1 {
			name = fmt.Sprintf("%s.replaced.%d.jsonl", start, n)
		}
		err := writeArchive(name, func(w *portable.ArchiveWriter) error {
			_, err := w.User(owner, snapshots)
			return err
		})
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
}

// writeArchive writes a new archive, mode 0600, which is on disk with its name when this
// returns nil: what was put aside is deleted from the database next. What is not whole does
// not stay.
func writeArchive(path string, write func(*portable.ArchiveWriter) error) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	archive, err := portable.NewArchiveWriter(file)
	if err != nil {
		return err
	}
	if err := write(archive); err != nil {
		return err
	}
	if err := archive.End(); err != nil {
		return err
	}
	return store.SyncFolder(filepath.Dir(path))
}
