package caddymodule

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/caddymodule/internal/audit"
)

// auditLogger names the logger that audit records go to. An operator sends them to a
// file of their own by including the name in a log of the global options.
type auditLogger struct{}

// CaddyModule returns the name in the form that loggers are made from. It is no module
// that could be configured.
func (auditLogger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mcp_stdio.audit", New: func() caddy.Module { return auditLogger{} }}
}

// newAuditLog writes to Caddy's log. Refusals of mcp_oauth and calls of mcp_stdio are
// records of the same kind, and go to the same logger.
func newAuditLog(ctx caddy.Context) *audit.Log {
	return audit.New(ctx.Logger(auditLogger{}))
}
