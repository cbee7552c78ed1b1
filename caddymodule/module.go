// Package caddymodule puts Snapgate into Caddy: OAuth in front of any MCP server.
//
// It registers HTTP handlers and their Caddyfile directives:
//
//   - http.handlers.mcp_oauth ([OAuth]) answers who sends a request and whether it may
//     be made. It serves the protected resource metadata, verifies the token, reads
//     the message once and checks scopes.
//   - http.handlers.mcp_stdio ([Stdio]) carries it: sessions, processes, identity.
//   - http.handlers.mcp_addresses refuses two of them at one address. They add it themselves.
//   - mcp is the directive; see [parseMCP] for its syntax. mcp_oauth is the one for servers
//     that speak HTTP themselves, behind a reverse_proxy; see [parseMCPOAuth].
//
// The package only adapts. What it adapts stands in internal/ and knows nothing of
// Caddy.
package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(OAuth))
	caddy.RegisterModule(new(Stdio))
	caddy.RegisterModule(new(addresses))
	// After encode, so that what must deny stands in a route before it.
	httpcaddyfile.RegisterDirective("mcp", parseMCP)
	httpcaddyfile.RegisterDirectiveOrder("mcp", httpcaddyfile.After, "encode")
	httpcaddyfile.RegisterDirective("mcp_oauth", parseMCPOAuth)
	httpcaddyfile.RegisterDirectiveOrder("mcp_oauth", httpcaddyfile.After, "encode")
}
