package caddymodule

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/push"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"go.uber.org/zap/zapcore"
)

// rerouting makes routes that do what others do, but keep secrets out of what their handlers
// log by themselves: reverse_proxy, rewrite and push write entries with the request as they see
// it.
//
// The routes that Caddy has provisioned stay as they are. A handler that may be in use already,
// as a reverse_proxy by its own health checks, cannot be changed without a data race.
type rerouting struct {
	redactor *redactor
	ctx      caddy.Context
	server   *caddyhttp.Server
	metrics  *caddyhttp.Metrics // of the server's routes, nil if they are not counted
	logger   *slog.Logger

	mu    sync.Mutex                  // the first requests may fail while others come
	named map[string]*caddyhttp.Route // what was made of named routes, which may call one another
}

// newRerouting is for the server that is being provisioned in ctx.
func newRerouting(ctx caddy.Context, d *redactor, server *caddyhttp.Server) *rerouting {
	r := &rerouting{redactor: d, ctx: ctx, server: server, logger: ctx.Slogger(), named: map[string]*caddyhttp.Route{}}
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok {
			r.metrics = app.Metrics
		}
	}
	return r
}

// compile makes a chain of the routes that take the place of those given. All of the server
// must have been provisioned.
func (r *rerouting) compile(routes caddyhttp.RouteList, metrics *caddyhttp.Metrics, next caddyhttp.Handler) caddyhttp.Handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	others, _ := r.of(routes, metrics)
	return others.Compile(next)
}

// of returns the routes that take the place of those given, and whether they differ.
func (r *rerouting) of(routes caddyhttp.RouteList, metrics *caddyhttp.Metrics) (caddyhttp.RouteList, bool) {
	changed := false
	others := slices.Clone(routes)
	for i := range others {
		var other bool
		others[i], other = r.route(others[i], metrics)
		changed = changed || other
	}
	return others, changed
}

func (r *rerouting) route(route caddyhttp.Route, metrics *caddyhttp.Metrics) (caddyhttp.Route, bool) {
	changed := false
	handlers := slices.Clone(route.Handlers)
	for i, h := range handlers {
		if other := r.handler(h); other != nil {
			handlers[i], changed = other, true
		}
	}
	if !changed {
		return route, false
	}
	other := caddyhttp.Route{Group: route.Group, MatcherSets: route.MatcherSets, Terminal: route.Terminal, Handlers: handlers}
	if err := other.ProvisionHandlers(r.ctx, metrics); err != nil { // which has no module to load
		r.logger.Error("what handlers log by themselves may have secrets in it", "error", err)
		return route, false
	}
	return other, true
}

// handler returns what is to stand in a handler's place; nil if it may stay.
func (r *rerouting) handler(h caddyhttp.MiddlewareHandler) caddyhttp.MiddlewareHandler {
	switch h := h.(type) {
	case *caddyhttp.Subroute:
		return r.subroute(h)
	case *caddyhttp.Invoke:
		if route := r.invoked(h.Name); route != nil {
			return &namedRoute{Invoke: h, route: route}
		}
	case *intercept.Intercept:
		if responses, changed := r.responses(h.HandleResponse); changed {
			other := *h
			other.HandleResponse = responses
			return &other
		}
	case *reverseproxy.Handler:
		return r.proxy(h)
	case *rewrite.Rewrite:
		if r.debugs(h) {
			return &redactedRewrite{Rewrite: h, redactor: r.redactor, logger: r.ctx.Logger(h)}
		}
	case *push.Handler:
		if r.debugs(h) {
			return &redactedPush{Handler: h}
		}
	}
	return nil
}

func (r *rerouting) subroute(h *caddyhttp.Subroute) caddyhttp.MiddlewareHandler {
	other := *h
	routes, changed := r.of(h.Routes, nil)
	other.Routes = routes
	if h.Errors != nil {
		failures := *h.Errors
		var others bool
		failures.Routes, others = r.of(h.Errors.Routes, nil)
		other.Errors, changed = &failures, changed || others
	}
	if !changed {
		return nil
	}
	return &other
}

// responses are the routes of a handler for answers.
func (r *rerouting) responses(responses []caddyhttp.ResponseHandler) ([]caddyhttp.ResponseHandler, bool) {
	changed := false
	others := slices.Clone(responses)
	for i := range others {
		var other bool
		others[i].Routes, other = r.of(others[i].Routes, nil)
		changed = changed || other
	}
	return others, changed
}

// invoked is what takes the place of a named route; nil if there is none of that name.
func (r *rerouting) invoked(name string) *caddyhttp.Route {
	if made := r.named[name]; made != nil {
		return made
	}
	route := r.server.NamedRoutes[name]
	if route == nil {
		return nil
	}
	made := new(caddyhttp.Route)
	r.named[name] = made
	*made, _ = r.route(*route, r.metrics)
	return made
}

// debugs says whether what a module logs at the level DEBUG is written anywhere.
func (r *rerouting) debugs(module caddy.Module) bool {
	return r.ctx.Logger(module).Core().Enabled(zapcore.DebugLevel)
}

// namedRoute is invoke with the route that takes the place of the one it names.
type namedRoute struct {
	*caddyhttp.Invoke
	route *caddyhttp.Route
}

func (n *namedRoute) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return n.route.Compile(next).ServeHTTP(w, r)
}

// errorRoutes stands before a server's routes for errors.
type errorRoutes struct {
	routes    caddyhttp.RouteList // which were the server's own
	rerouting *rerouting

	compile sync.Once
	chain   caddyhttp.Handler
}

// redactErrorRoutes puts errorRoutes in front of the routes for errors of the server that is
// being provisioned. It has to come before Caddy provisions those.
func redactErrorRoutes(ctx caddy.Context, server *caddyhttp.Server, r *rerouting) error {
	if server.Errors == nil || len(server.Errors.Routes) == 0 {
		return nil
	}
	e := &errorRoutes{routes: server.Errors.Routes, rerouting: r}
	server.Errors.Routes = caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{e}}}
	return e.routes.Provision(ctx)
}

// ServeHTTP passes an error on to the server's own routes for errors.
func (e *errorRoutes) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	e.compile.Do(func() { e.chain = e.rerouting.compile(e.routes, nil, next) })
	if !covered(r) {
		return e.chain.ServeHTTP(w, r)
	}
	return serveForgetful(e.chain, w, r, func(error) error {
		first, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
		return first // which Caddy answers if the routes fail
	})
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = (*namedRoute)(nil)
	_ caddyhttp.MiddlewareHandler = (*errorRoutes)(nil)
)
