package store

import (
	"context"
	"iter"
)

// Whole is a [Store] in a database of many users, which can be read and replaced as a
// whole all the same. For one that is a file of its own there are [Copy] and [Restore].
type Whole interface {
	Store
	// All calls do with all snapshots as of one moment, in the order of their ids, while
	// others go on working. Do is called once, and its error returned.
	All(ctx context.Context, do func(iter.Seq2[Snapshot, error]) error) error
	// Replace puts snapshots in the place of all that the store holds, in one
	// transaction, and returns how many they are: others see all of the old or all of the
	// new. Their ids ascend. They may be ranged over several times, as the transaction
	// may be begun anew. Limits and retention do not apply.
	Replace(ctx context.Context, snapshots iter.Seq2[Snapshot, error], how Replacement) (int64, error)
}

// Replacement says how to replace. The zero Replacement is fine.
type Replacement struct {
	// Vacant refuses a store that has snapshots already, with an error that wraps fs.ErrExist.
	Vacant bool
	// Aside, if not nil, is called with what the store holds, unless that is nothing, when
	// nobody can change it any more. Its error ends the transaction.
	Aside func(iter.Seq2[Snapshot, error]) error
	// Written, if not nil, is called with how many snapshots are written so far.
	Written func(int64)
}
