package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/push"
)

// redactedPush is a push that logs requests without the tokens in their addresses. It stands
// only where the level DEBUG is logged.
type redactedPush struct {
	*push.Handler
}

// ServeHTTP shows the address without tokens to push alone, which logs it and does nothing else
// with it.
func (h *redactedPush) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	uri, found := withoutTokens(r.RequestURI)
	if !found || !covered(r) {
		return h.Handler.ServeHTTP(w, r, next)
	}
	shown := r.WithContext(r.Context())
	shown.RequestURI = uri
	return h.Handler.ServeHTTP(w, shown, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		return next.ServeHTTP(w, r)
	}))
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = (*redactedPush)(nil)
