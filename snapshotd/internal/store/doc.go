// Package store keeps snapshots.
//
// [Store] is what the tools need of one user's snapshots and [Provider] is where
// they get it from. SQLite stands behind both: one file for a single local user
// ([Single]), or one file a user, opened on demand and closed when idle ([Pool]).
// A server database can stand behind the same two interfaces, which is why neither
// says anything of files.
//
// The file is the original snapshot server's. Its schema is opened as it is and
// stays readable by it: the table gains nothing that the original does not know.
// Which migrations a file has had is kept in PRAGMA user_version, because that is
// part of the file's header, changes in the transaction of the migration, and adds
// no table to what the original sees. The original leaves it 0, so a file with 0
// is known by the shape of its table.
package store
