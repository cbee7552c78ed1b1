// Package policy decides whether a caller may use a tool.
//
// The shape is the original snapshot server's authorization hook: a policy with one
// method, given the tool, the headers and the arguments, that says yes with a user
// and scopes, or no with an OAuth error, a description and the scope that was
// missing. Three policies stand behind it: [NoAuth] for local use, [TrustedMeta]
// behind the Snapgate gateway, and [Dummy] for tests.
package policy
