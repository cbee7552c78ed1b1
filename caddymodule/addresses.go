package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// addresses refuses two handlers of this package at one address when a configuration is
// loaded, and so for "caddy validate", which starts no app.
//
// No handler can do that in its own Provision: those behind it are not there yet. But Caddy
// provisions the named routes of a server after all of its other routes. So the first handler on a
// server adds one with this module in it, which nobody invokes and which takes itself away.
// Handlers that only named routes lead to may come later still, in a walk over the map that may
// pass a new one by: they are looked at when the app starts.
type addresses struct{}

// CaddyModule returns the Caddy module information.
func (*addresses) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mcp_addresses", New: func() caddy.Module { return new(addresses) }}
}

// addressesRoute is the name of that route. Where an operator has one of this name, the check is
// left to the start.
const addressesRoute = "mcp_addresses"

// checkAddresses has the server that is being provisioned checked after its routes, once. Outside
// of Caddy's own HTTP app there is none.
func (a *App) checkAddresses(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || a.checked[server] {
		return
	}
	if a.checked == nil {
		a.checked = map[*caddyhttp.Server]bool{}
	}
	a.checked[server] = true
	if server.NamedRoutes[addressesRoute] != nil {
		return
	}
	if server.NamedRoutes == nil {
		server.NamedRoutes = map[string]*caddyhttp.Route{}
	}
	check := caddyconfig.JSONModuleObject(new(addresses), "handler", "mcp_addresses", nil)
	server.NamedRoutes[addressesRoute] = &caddyhttp.Route{HandlersRaw: []json.RawMessage{check}}
}

// Provision checks the server, all of whose routes are provisioned but named ones.
func (*addresses) Provision(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("mcp_addresses is for the use of mcp and mcp_oauth, which add it: leave it out")
	}
	delete(server.NamedRoutes, addressesRoute)
	a, err := appOf(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	only := &caddyhttp.App{Servers: map[string]*caddyhttp.Server{"": server}}
	return checkTwice(place(only, a.handlers))
}

// ServeHTTP has nothing to do with requests.
func (*addresses) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*addresses)(nil)
	_ caddyhttp.MiddlewareHandler = (*addresses)(nil)
)
