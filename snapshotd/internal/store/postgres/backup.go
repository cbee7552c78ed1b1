package postgres

import (
	"context"
	"errors"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// ErrDump is why a database of many users on a server is not backed up or restored by
// snapshotd.
var ErrDump = errors.New("the snapshots are in PostgreSQL, which has programs of its own for this: pg_dump --format=custom to back up, pg_restore to restore, with a role that row-level security does not stop")

// Backup implements [store.Backuper] by saying what does it instead: a copy in a file
// of ours would not hold the other users, nor be what the server's tools restore.
func (s *Store) Backup(context.Context, string, func(done, total int64)) error { return ErrDump }

var _ store.Backuper = (*Store)(nil)
