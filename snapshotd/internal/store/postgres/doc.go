// Package postgres keeps snapshots in PostgreSQL, or in a server that speaks its
// protocol and SQL.
//
// [Database] is a store.Provider of all users, whose rows are in the same tables, and
// [Store] is one user's part. The package uses the SQL that PostgreSQL, CockroachDB and
// YugabyteDB have in common: no advisory locks, no extensions, no triggers, no order of
// texts. It is tested on PostgreSQL alone; CockroachDB's parser, of version 25.2, takes
// every statement.
//
// # Writes
//
// A transaction that writes first locks the row of its user. So the writes of one user
// take turns, whichever process makes them: ids have no gaps by accident, totals and
// quotas are exact at any isolation level, and two writes of one user do not deadlock.
// Writes of different users touch no common row. What the server wants repeated
// (serialization failures, deadlocks) is repeated within [patience], as is what fails
// before the commit because a connection broke. If it breaks during the commit, the
// row of the user tells whether the write took place; see [Store.settle].
//
// # Users are kept apart twice
//
// Each statement says WHERE owner = $1. Beside that, every table has row-level security,
// forced for its owner too, with a policy that compares the owner with a setting that
// each transaction makes for itself. A statement that forgot its WHERE would see its
// user's rows all the same, and none outside of such a transaction: the setting is then
// empty, which is no owner's name. Superusers and roles with BYPASSRLS pass by the
// policies, so [Open] warns of them. A server that has no row-level security is used
// without, with a warning, because the statements alone keep users apart, and the
// policies are made once it has learnt it.
//
// # Search
//
// The words of each snapshot are rows of a table of their own, written in the
// transaction of the snapshot. The full-text types of PostgreSQL know no Chinese,
// Japanese or Thai words, stem by language, and are missing or different elsewhere; a
// GIN index serves neither prefixes nor the newest first, and none but PostgreSQL can
// have a user in it. Rows in an ordinary index have both, on all three servers, and
// mean the same everywhere, because words are made and ranked here: see [tokens] and
// [ranking]. The price is room, some fifteen times that of the text with all indexes, and
// time to write: two to four milliseconds for each hundred different words.
package postgres
