package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is a [Source] of a file for each user: <Base>/<user>/snapshots.db.
type Folder struct {
	Base    string
	Options Options // with the Owner of each call
}

// Open implements [Source].
func (f Folder) Open(ctx context.Context, owner Owner) (Store, error) {
	return File{Path: UserFile(f.Base, owner), Options: f.Options}.Open(ctx, owner)
}

// Owner implements [Source].
func (f Folder) Owner(ctx context.Context, key string) (Owner, error) {
	if !IsUserKey(key) {
		return Owner{}, ErrNoUser
	}
	return File{Path: UserFile(f.Base, Owner{User: key})}.Owner(ctx, key)
}

// IsUserKey says whether a key can be that of a user in a folder: it names a folder there,
// and not one elsewhere.
func IsUserKey(key string) bool {
	return key != "" && filepath.IsLocal(key) && !strings.ContainsAny(key, "/\\:\x00") && key != "."
}

// Users implements [Source]. Each file is opened for reading only, and no longer than
// it takes to read its totals. One that cannot be read is listed with its problem.
func (f Folder) Users(ctx context.Context, after string, limit int) ([]User, error) {
	entries, err := os.ReadDir(f.Base) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("list users", err)
	}
	var users []User
	for _, entry := range entries {
		key := entry.Name()
		if key <= after || !IsUserKey(key) {
			continue
		}
		path := UserFile(f.Base, Owner{User: key})
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue // nobody's
		}
		user, err := inspect(ctx, path, key)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			user = User{Owner: Owner{User: key}, Problem: problemOf(err)}
		}
		if users = append(users, user); len(users) == limit {
			break
		}
	}
	return users, nil
}

// problemOf is Reason, and never empty.
func problemOf(err error) string {
	if reason := Reason(err); reason != "" {
		return reason
	}
	return ErrUnavailable.Error()
}

// File is a [Source] of one file that belongs to one user, the first that comes.
type File struct {
	Path    string
	Options Options
}

// Open implements [Source].
func (f File) Open(ctx context.Context, owner Owner) (Store, error) {
	options := f.Options
	options.Owner = &owner
	s, err := Open(ctx, f.Path, options)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Owner implements [Source].
func (f File) Owner(ctx context.Context, key string) (Owner, error) {
	user, err := inspect(ctx, f.Path, key)
	switch {
	case err != nil:
		return Owner{}, err
	case user.Issuer == "" && user.Subject == "":
		return Owner{}, fmt.Errorf("%w: the file names no owner yet", ErrNoUser)
	}
	return user.Owner, nil
}

// Users implements [Source]. The file does not hold its user's key, which is a
// function of the owner that this package does not know: it lists the user as "".
func (f File) Users(ctx context.Context, after string, limit int) ([]User, error) {
	if after != "" || limit < 1 {
		return nil, nil
	}
	user, err := inspect(ctx, f.Path, "")
	if errors.Is(err, ErrNoUser) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []User{user}, nil
}
