// Package commands has snapshotd's commands: what an operator does with the files of
// snapshots beside serving them. All of them may run while a server has the files open.
package commands
