// Package install enters snapshotd into the configurations of MCP clients and takes it
// out again.
//
// The files are the clients' and their users': they are edited by splicing bytes, so
// that comments, order and formatting of all the rest stay as they are.
package install
