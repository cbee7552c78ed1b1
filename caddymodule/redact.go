package caddymodule

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// redacted stands in a log in place of a secret. Caddy writes the same for credentials.
const redacted = "REDACTED"

// secretHeaders are the header fields, in canonical form, by which their reader could call
// in a user's place: in their session, or with their proof. Those of token_header are added
// to them.
var secretHeaders = []string{protocol.HeaderSession, "Dpop"}

// credentialHeaders are those that Caddy keeps from its logs itself, unless log_credentials
// is written. That is not meant for access tokens, and a platform's assertion is in a cookie,
// too.
var credentialHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie"}

// redactor stands before all routes of a server on which a handler of this package is, and
// keeps secrets out of that server's logs.
//
// Caddy copies a request for its access log and its error log before any handler sees it.
// So a request with a secret in it goes through the server once more: without the secret
// until that copy is made, and with it from then on. The entries are Caddy's own, with all
// that is configured for them, and each handler sees the request once, as it came.
type redactor struct {
	routes  caddyhttp.RouteList // which were the server's own
	headers []string            // that are secret

	compile   sync.Once
	rerouting *rerouting
	chain     caddyhttp.Handler // of the routes
	inFront   atomic.Bool       // requests come here: see [redactor.unguarded]
	warn      sync.Once

	scope atomic.Pointer[hostScope] // nil, before the start, is all hosts
}

// hostScope is the hosts under which clients reach the handlers on a server.
type hostScope struct {
	all   bool
	hosts []caddyhttp.MatchHost
}

// redactLogs puts a redactor in front of the server that is being provisioned, unless one is
// there. The return value is nil where there is no server: outside of Caddy's own HTTP app.
func redactLogs(ctx caddy.Context, headers ...string) (*redactor, error) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil, nil
	}
	d := redactorOf(server)
	if d == nil {
		d = &redactor{routes: server.Routes, headers: slices.Clone(secretHeaders)}
		// Caddy is provisioning the routes in the array where they are. So they stay there, and
		// the server gets a list of one.
		front := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{d}}
		if err := front.ProvisionHandlers(ctx, nil); err != nil {
			return nil, err
		}
		server.Routes = caddyhttp.RouteList{front}
		d.rerouting = newRerouting(ctx, d, server)
		if beingProvisioned(d.routes) { // and not those for errors, or named ones
			if err := redactErrorRoutes(ctx, server, d.rerouting); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range headers {
		if name = http.CanonicalHeaderKey(name); name != "" && !slices.Contains(d.headers, name) {
			d.headers = append(d.headers, name)
		}
	}
	return d, nil
}

// beingProvisioned says whether Caddy has begun with routes and not ended: it forgets what it
// made each route's handlers of once it has them all.
func beingProvisioned(routes caddyhttp.RouteList) bool {
	return slices.ContainsFunc(routes, func(r caddyhttp.Route) bool { return len(r.HandlersRaw) > 0 })
}

// redactorOf is the redactor in front of a server, or nil.
func redactorOf(server *caddyhttp.Server) *redactor {
	if len(server.Routes) != 1 || len(server.Routes[0].Handlers) != 1 {
		return nil
	}
	d, _ := server.Routes[0].Handlers[0].(*redactor)
	return d
}

// confine tells the redactors under which hosts handlers are reached, so that nothing changes
// for other sites of their servers. No trail leads to a handler that stands in handle_errors or
// in the answer of another handler: its redactor leaves no host out.
func confine(all []placed) {
	scopes := map[*redactor]*hostScope{}
	scopeOf := func(d *redactor) *hostScope {
		if scopes[d] == nil {
			scopes[d] = &hostScope{}
		}
		return scopes[d]
	}
	for _, h := range all {
		if d := h.handler.guard(); d != nil && len(h.trails) == 0 {
			scopeOf(d).all = true
		}
		for _, t := range h.trails {
			d := redactorOf(t.server)
			switch {
			case d == nil:
			case t.outermost == nil:
				scopeOf(d).all = true
			default:
				scopeOf(d).hosts = append(scopeOf(d).hosts, t.outermost)
			}
		}
	}
	for d, scope := range scopes {
		d.scope.Store(scope)
	}
}

func (s *hostScope) holds(r *http.Request) bool {
	return s == nil || s.all || slices.ContainsFunc(s.hosts, func(hosts caddyhttp.MatchHost) bool {
		ok, err := hosts.MatchWithError(r)
		return ok || err != nil
	})
}

// redactedKey is where a request that goes through the server again has its secrets, or the
// error for which it does.
type redactedKey struct{}

// ServeHTTP passes a request on to the server's own routes.
func (d *redactor) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	d.compile.Do(func() {
		d.chain = d.rerouting.compile(d.routes, d.rerouting.metrics, next)
		d.inFront.Store(true)
	})
	switch again := r.Context().Value(redactedKey{}).(type) {
	case *secrets:
		again.restore(r)
		d.cover(r)
		return d.serve(w, r)
	case *failure:
		return again.resume(w, r)
	}
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return d.chain.ServeHTTP(w, r)
	}
	if !d.scope.Load().holds(r) {
		caddyhttp.SetVar(r.Context(), passedBy, true)
		return d.chain.ServeHTTP(w, r)
	}
	d.cover(r)
	if server.Logs == nil {
		return d.serveUnlogged(w, r, server)
	}
	s := d.take(r, server.Logs.ShouldLogCredentials)
	if s == nil {
		return d.serve(w, r)
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true) // this first time
	w.Header().Del("Alt-Svc")                                 // the server adds it again
	serveAgain(server, w, r.WithContext(context.WithValue(r.Context(), redactedKey{}, s)))
	return nil // the server has dealt with the error, if there was one
}

// serve has the server's own routes answer.
func (d *redactor) serve(w http.ResponseWriter, r *http.Request) error {
	return serveForgetful(d.chain, w, r, func(err error) error {
		if server := d.rerouting.server; server.Errors != nil && len(server.Errors.Routes) > 0 {
			return nil // these answer it: see [errorRoutes]
		}
		return err
	})
}

// serveAgain passes a request through the server once more. That applies the server's idle
// timeouts once more, too, and handlers such as timeouts change the newer ones: those of the
// first time must not end earlier.
func serveAgain(server *caddyhttp.Server, w http.ResponseWriter, r *http.Request) {
	const never = 100 * 365 * 24 * time.Hour
	reader, writer := caddyhttp.IdleTimeoutsFromContext(r.Context())
	if reader != nil {
		defer reader.Override(never, 0)()
	}
	if writer != nil {
		defer writer.Override(never, 0, math.MaxInt)()
	}
	server.ServeHTTP(w, r)
}

// secrets are what was taken from a request.
type secrets struct {
	headers    http.Header
	url        *url.URL // nil if nothing was taken from it
	requestURI string
}

// hasSecrets says whether there is something to take.
func (d *redactor) hasSecrets(r *http.Request) bool {
	if _, found := oauth.RedactQuery(r.URL.RawQuery, ""); found {
		return true
	}
	for name, values := range r.Header {
		if len(values) > 0 && (slices.Contains(d.headers, name) || withoutAnyTokens(values) != nil) {
			return true
		}
	}
	return false
}

// take puts the mark in place of the secrets in a request, and returns them; nil if it has
// none.
func (d *redactor) take(r *http.Request, credentials bool) *secrets {
	copied, _ := caddyhttp.GetVar(r.Context(), coveredVar).(covering)
	hidden, shown := d.shown(r.Header, copied, credentials)
	for name := range hidden {
		r.Header[name] = shown[name]
	}
	query, found := oauth.RedactQuery(r.URL.RawQuery, redacted)
	if !found && hidden == nil {
		return nil
	}
	s := &secrets{headers: hidden}
	if !found {
		return s
	}
	s.url, s.requestURI = r.URL, r.RequestURI
	without := *r.URL
	without.RawQuery = query
	r.URL = &without
	path, _, _ := strings.Cut(r.RequestURI, "?")
	r.RequestURI = path + "?" + query
	return s
}

// restore puts the secrets back, in the request that Caddy's placeholders read from, too.
func (s *secrets) restore(r *http.Request) {
	maps.Copy(r.Header, s.headers)
	s.restoreURL(r)
}

func (s *secrets) restoreURL(r *http.Request) {
	if s == nil || s.url == nil {
		return
	}
	r.URL, r.RequestURI = s.url, s.requestURI
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		before := *s.url
		original.URL, original.RequestURI = &before, s.requestURI
		*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
	}
}

// passedBy is the variable of a request that the redactor took for one of another site.
const passedBy = "mcp.log_passed_by"

// unguarded says whether a request came to a handler with its secrets in what Caddy is going
// to log. So it is where only a named route leads there, which Caddy provisions too late for a
// redactor, and where a handler is reached under another host than its routes show: in a named
// route that is invoked in handle_response, or behind a Host header that was changed. Such a
// request is left out of the access log.
func (d *redactor) unguarded(r *http.Request, logger *slog.Logger) bool {
	if d == nil {
		return false
	}
	if d.inFront.Load() {
		if caddyhttp.GetVar(r.Context(), passedBy) == nil {
			return false
		}
		d.scope.Store(nil) // no request to come is passed by
	} else {
		d.warn.Do(func() {
			logger.Warn("requests that come by a named route (invoke) or handle_errors alone are left out of the access log, which would show what is secret in them: write mcp or mcp_oauth where the route is invoked")
		})
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	d.cover(r) // for the handlers behind
	return true
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = (*redactor)(nil)
