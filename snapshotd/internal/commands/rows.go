package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres"
)

// In a database each user's rows are reached as the server reaches them: in transactions
// that have named this user, which is all that row-level security lets through. So a
// command for all users needs no role of its own: it lists the users, which the policies
// let everyone do, and works on one after the other.

// connect opens a database, which is closed when the command ends.
func (c *call) connect(ctx context.Context, address string) (*postgres.Database, error) {
	logger := slog.New(slog.NewTextHandler(c.Log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	database, err := postgres.Open(ctx, address, postgres.Options{Settings: c.settings, Logger: logger})
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, database.Close)
	return database, nil
}

// withLocal lists the local user of a database, too, as "".
type withLocal struct{ *postgres.Database }

func (w withLocal) Users(ctx context.Context, after string, limit int) ([]store.User, error) {
	users, err := w.Database.Users(ctx, after, limit)
	if err != nil || after != "" {
		return users, err
	}
	local, err := w.FindLocal(ctx)
	if errors.Is(err, store.ErrNoUser) {
		return users, nil
	}
	if err != nil {
		return nil, err
	}
	usage, err := local.Usage(ctx)
	if err != nil || usage.LastWrite == "" { // a server has been started, and not used
		return users, err
	}
	all := append([]store.User{{Snapshots: usage.Snapshots, Bytes: usage.Bytes, LastWrite: usage.LastWrite}}, users...)
	return all[:min(len(all), limit)], nil
}

// rightfulRows is rightful in a database.
func (h home) rightfulRows(ctx context.Context) (*store.Owner, error) {
	if h.key == "" {
		_, err := h.database.FindLocal(ctx)
		if errors.Is(err, store.ErrNoUser) {
			err = fmt.Errorf("%w: %s has no snapshots of a local user: say whose by --user, or by --issuer and --subject", err, h.path)
		}
		return nil, err
	}
	owner, err := h.database.Owner(ctx, h.key)
	switch {
	case errors.Is(err, store.ErrNoUser):
		return nil, fmt.Errorf("%w: %s has no rows of user %s", err, h.path, h.key)
	case err != nil:
		return nil, err
	case identity.UserKey(owner.Issuer, owner.Subject) != h.key:
		return nil, fmt.Errorf("%w: user %s is said to be %s of %s, whose key is another", store.ErrOwner, h.key, owner.Subject, owner.Issuer)
	}
	return &owner, nil
}

// openRows is open in a database.
func (h home) openRows(ctx context.Context) (store.Store, error) {
	if h.key == "" {
		return h.database.FindLocal(ctx)
	}
	s, _, err := h.database.AcquireUser(ctx, h.key) // a store of rows holds nothing to release
	return s, err
}

// makeRows is openOrMake in a database. Closing the store of the local user would close
// the database, which is the command's.
func (h home) makeRows(ctx context.Context, owner *store.Owner) (store.Store, error) {
	switch {
	case h.key == "":
		if _, err := h.database.Local(ctx); err != nil {
			return nil, err
		}
		return h.database.FindLocal(ctx)
	case owner == nil:
		return h.openRows(ctx)
	}
	s, _, err := h.database.Acquire(ctx, *owner)
	return s, err
}
