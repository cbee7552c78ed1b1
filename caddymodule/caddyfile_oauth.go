package caddymodule

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// parseMCPOAuth reads the mcp_oauth directive, for a server that speaks HTTP itself and
// stands behind a reverse_proxy:
//
//	mcp_oauth [<path>] {
//		oauth <issuer>... {
//			...
//		}
//		scopes {
//			...
//		}
//		origins <origin>...
//		limits {
//			body <size>
//		}
//		bind_sessions on|off
//		audit [off]
//	}
//
// What stands in the block is as in the mcp directive: see [parseMCP]. The directive
// becomes one route, for the path and for the well-known paths of its metadata, with the
// handler mcp_oauth in it, which lets pass to the routes behind it what has a token.
func parseMCPOAuth(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	d := &directive{helper: h, oauth: &OAuth{}, stdio: &Stdio{}} // the latter is left out
	if err := d.parsePath(h.Dispenser); err != nil {
		return nil, err
	}
	err := parseBlock(h.Dispenser, "mcp_oauth", nil, []subdirective{
		{"oauth", d.parseOAuth},
		{"scopes", d.parseScopes},
		{"origins", d.parseOrigins},
		{"limits", d.parseBodyLimit},
		{"bind_sessions", d.parseBindSessions},
		{"audit", d.parseAudit},
	})
	switch {
	case err != nil:
		return nil, err
	case !d.withOAuth:
		return nil, h.Err("mcp_oauth: nobody is let in: write \"oauth <issuer>\"")
	}
	if err := d.checkValues(); err != nil {
		return nil, err
	}
	if d.path != strings.ToLower(d.path) {
		d.oauth.Path = d.path
	}
	return d.routed(h, []json.RawMessage{caddyconfig.JSONModuleObject(d.oauth, "handler", "mcp_oauth", nil)}), nil
}

// parseBodyLimit reads the limits that hold for a server behind a proxy: what a user may
// use at once is known to that server only.
func (m *directive) parseBodyLimit(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("limits: unexpected %q: limits takes a block", d.Val())
	}
	return parseBlock(d, "limits", nil, []subdirective{m.bodyLimit()})
}

// parseBindSessions reads whether the server's sessions are bound to their users.
func (m *directive) parseBindSessions(d *caddyfile.Dispenser) error {
	var bind string
	err := oneOf(d, "bind_sessions", &bind, "on", "off")
	m.oauth.BindSessionsOff = bind == "off"
	return err
}
