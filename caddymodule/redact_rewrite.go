package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// redactedRewrite is a rewrite that logs requests without their secrets. handle_path, uri,
// try_files and method are rewrites, too. It stands only where the level DEBUG is logged.
type redactedRewrite struct {
	*rewrite.Rewrite
	redactor *redactor
	logger   *zap.Logger
}

// ServeHTTP lets Caddy rewrite the request itself, so that the true headers fill in its
// placeholders, and writes the entry in its place: Caddy would log the request that it rewrites.
func (h *redactedRewrite) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok || !covered(r) {
		return h.Rewrite.ServeHTTP(w, r, next)
	}
	if h.Rewrite.Rewrite(r, repl) {
		if entry := h.logger.Check(zapcore.DebugLevel, "rewrote request"); entry != nil {
			shown := r.WithContext(r.Context())
			h.redactor.conceal(shown)
			entry.Write(
				zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: shown}),
				zap.String("method", shown.Method),
				zap.String("uri", shown.RequestURI),
			)
		}
	}
	return next.ServeHTTP(w, r)
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = (*redactedRewrite)(nil)
