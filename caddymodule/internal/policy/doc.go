// Package policy says what scopes a JSON-RPC method, a tool, a prompt or a resource
// needs, and so whether a principal may use it.
//
// A [Policy] is made from base scopes, which every request needs, and rules on
// names. Of the rules on tools, and likewise of those on prompts and methods, one
// decides about a name:
//
//   - a rule whose pattern is the very name, and failing that
//   - the first rule, in the order written, whose pattern matches.
//
// Whether that rule allows with scopes or denies makes no difference to which it
// is: "deny tool *" after "tool save_snapshot snapshot:write" leaves save_snapshot
// open to those who have the scope, and "deny tool drop_*" before "tool *" closes
// what it matches. In a pattern only * is special; it stands for any characters,
// slashes included, or for none. A name that no rule matches needs the base
// scopes alone.
//
// Names compare byte for byte as they are after JSON decoding. A server may be
// laxer, so a name that would be under another rule once case or Unicode
// compatibility forms are folded is refused as a look-alike: Save_Snapshot must
// not do what save_snapshot may not.
//
// A resource is named by its URI, of which servers make many things: they decode it,
// resolve dots in it, or drop its query. So a URI is under the rule on each of its
// readings, needs what all of these need, and is denied if one of them is.
//
// Scopes may imply others. What a token grants is expanded once, by [Policy.Expand];
// all other functions take expanded scopes.
//
// Initialize, server/discover, ping, notifications and the client's responses
// need the base scopes alone, whatever the rules are: without them no client
// could come so far as to be told what it lacks.
package policy
