// Package identitytest runs an MCP server on stdio, in whatever language, as the
// Snapgate gateway would run it for many users, and reports whether it trusts only
// the identity that the gateway stamps ([identity.MetaKey]).
//
// It needs two calls of the server: one that keeps a text for the user who calls, and
// one that shows it.
//
//	func TestIdentity(t *testing.T) {
//		identitytest.Run(t, identitytest.Config{
//			Command: "node", Args: []string{"server.mjs"}, Dir: ".",
//			Write: identitytest.Call{Params: `{"name":"add_note","arguments":{"text":"{marker}"}}`},
//			Read:  identitytest.Call{Params: `{"name":"list_notes","arguments":{}}`},
//		})
//	}
//
// The kit then plays the users: with no identity, with another's in the middle of a
// session, with a forged one in each place that a client can write to, with a broken
// one, and many at once. [Checks] lists what it looks at. Servers of both eras of the
// protocol are tried in both.
//
// The users are made up anew for each check, so that a server may keep its data
// between processes. It keeps them wherever its settings say: point it to a folder
// for tests.
//
// The command github.com/snapgate/snapgate/identity/cmd/identitytest does the same
// without Go code.
package identitytest
