// Package policy says what scopes a JSON-RPC method or a tool needs, and so
// whether a principal may call it.
//
// A [Policy] is made from base scopes, which every request needs, and rules on
// names. Of the rules on tools, and likewise of those on methods, one decides
// about a name:
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
// Initialize, server/discover, ping, notifications and the client's responses
// need the base scopes alone, whatever the rules are: without them no client
// could come so far as to be told what it lacks.
package policy
