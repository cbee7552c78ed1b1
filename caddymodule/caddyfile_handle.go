package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// parseHandle reads directives of Caddy's own that stand between mcp_oauth and mcp_stdio:
// there the user and the message are known, as placeholders, and nothing is carried yet. So
// any matcher can make policy that rules on scopes cannot express.
func (m *directive) parseHandle(d *caddyfile.Dispenser) error {
	segment := d.NewFromNextSegment()
	handler, err := httpcaddyfile.ParseSegmentAsSubroute(m.helper.WithDispenser(segment))
	if err != nil {
		return err
	}
	m.between = caddyconfig.JSONModuleObject(handler, "handler", "subroute", nil)
	return nil
}
