// Package commands has snapshotd's commands: what an operator does with snapshots, in
// files or in PostgreSQL, beside serving them. All of them may run while a server has
// them open.
package commands
