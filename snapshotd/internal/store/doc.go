// Package store keeps snapshots.
//
// [Store] is what tools and commands need of one user's snapshots and [Provider] is
// where they get it from. SQLite stands behind both: one file for a single local user
// ([Single]), or one file a user, opened on demand and closed when idle ([Pool] of a
// [Folder]). A server database can stand behind the same two interfaces, which is why
// neither says anything of files; package storetest holds any of them to the same
// tests. What only a file can do stands apart: [Copy] and [Restore];
// [Whole] is in their place for a database of many users.
//
// # The file
//
// The file is the original snapshot server's. It can be opened, read and written by
// that server at any time afterwards: its table has the columns that the original
// gives it, and what this package adds stands beside it, in tables, views, indexes and
// triggers whose names begin with snapshotd_. The triggers keep the search index and
// the totals right whoever inserts and deletes; they use nothing that the SQLite in
// better-sqlite3 does not have, FTS5 included. An INSERT OR REPLACE over an existing id
// passes by the triggers, as SQLite does it; the original has none. [Store.Check] finds
// what another program has put wrong and [Store.Repair] mends it.
//
// Which migrations a file has had is kept in PRAGMA user_version, because that is
// part of the file's header, changes in the transaction of the migrations, and adds
// no table to what the original sees. The original leaves it 0, so a file with 0
// is known by the shape of its table. A file is copied aside before it is changed, all
// missing migrations are one transaction, and one that is broken off is made when the
// file is opened next.
//
// # Durability
//
// Each write is one transaction with synchronous=FULL, so it is on disk when the call
// returns, and begins with the write lock, so that processes with one file take turns.
// Retention, limits and the write they belong to are one transaction.
//
// # Pages
//
// A cursor names the last snapshot of a page and not a number of snapshots to pass
// over, so pages stay right while others save. A ranking has no such order: there the
// cursor is a number, and holds which snapshots were there at the first page.
package store
