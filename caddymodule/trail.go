package caddymodule

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// trail is one way through the routes of a server to a handler.
type trail struct {
	server *caddyhttp.Server
	// hosts and paths are those that the matchers on the way ask for; nil means any.
	hosts, paths []string
	// outermost are the hosts that the first matcher for hosts on the way asks for. Further in,
	// a request may have another Host than it came with.
	outermost caddyhttp.MatchHost
	// rewritten says that the request's path is changed on the way.
	rewritten bool
	// conditions are all that a request meets on the way, outermost first.
	conditions []condition
	// order tells which of two handlers of a server comes first.
	order int
	// behind are the handlers that follow in one list with the one that is led to.
	behind []caddyhttp.MiddlewareHandler
}

// trailsTo finds all ways to a handler.
func trailsTo(app *caddyhttp.App, target caddyhttp.MiddlewareHandler) []trail {
	var found []trail
	for _, server := range app.Servers {
		walk(server, func(h caddyhttp.MiddlewareHandler, t trail) {
			if h == target {
				found = append(found, t)
			}
		})
	}
	return found
}

// walk visits every handler of a server, with the way that leads there.
func walk(server *caddyhttp.Server, visit func(caddyhttp.MiddlewareHandler, trail)) {
	w := walker{visit: visit, named: server.NamedRoutes, visiting: map[string]bool{}}
	w.routes(server.Routes, trail{server: server})
}

// walker visits every handler below a list of routes.
type walker struct {
	visit    func(caddyhttp.MiddlewareHandler, trail)
	named    map[string]*caddyhttp.Route
	visiting map[string]bool // named routes that are being walked, which may call one another
	steps    int             // taken so far: each has a number of its own, the same in every walk
	rewrites int             // seen so far
	renames  int             // seen so far: what may have changed the Host header
}

func (w *walker) step() int {
	w.steps++
	return w.steps
}

// routes walks a list in order, since a rewrite in one route holds for the next.
func (w *walker) routes(routes caddyhttp.RouteList, t trail) {
	groups := map[string]int{}
	for _, route := range routes {
		sets := route.MatcherSets
		if len(sets) == 0 {
			sets = caddyhttp.MatcherSets{nil}
		}
		there := t
		if first := groups[route.Group]; first != 0 {
			there = t.meeting(condition{step: first, rest: true})
		} else if route.Group != "" {
			groups[route.Group] = w.step()
		}
		rewritten := t.rewritten
		for _, set := range sets {
			rewritten = w.handlers(route.Handlers, w.through(there, set)) || rewritten
		}
		t.rewritten = rewritten
	}
}

// handlers walks one route and says whether it rewrites the path.
func (w *walker) handlers(handlers []caddyhttp.MiddlewareHandler, t trail) bool {
	for i, h := range handlers {
		switch h := h.(type) {
		case *caddyhttp.Subroute:
			w.routes(h.Routes, t)
		case *redactor:
			w.routes(h.routes, t)
		case *caddyhttp.Invoke:
			if route := w.named[h.Name]; route != nil && !w.visiting[h.Name] {
				w.visiting[h.Name] = true
				w.routes(caddyhttp.RouteList{*route}, t)
				delete(w.visiting, h.Name)
			}
		case *rewrite.Rewrite:
			t.rewritten = true
			w.rewrites++
		default:
			if edit, ok := h.(*headers.Handler); ok && edit.Request != nil {
				w.renames++
			}
			there := t
			there.behind, there.order = handlers[i+1:], w.step()
			w.visit(h, there)
		}
	}
	return t.rewritten
}

// through narrows a trail by one set of matchers. Inner matchers are the more specific
// ones, so they take the place of the outer.
func (w *walker) through(t trail, set caddyhttp.MatcherSet) trail {
	other := false
	for _, matcher := range set {
		switch m := matcher.(type) {
		case caddyhttp.MatchHost:
			t = t.under(m, w.renames)
		case *caddyhttp.MatchHost:
			t = t.under(*m, w.renames)
		case caddyhttp.MatchPath:
			t = t.at(m, w.rewrites)
		case *caddyhttp.MatchPath:
			t = t.at(*m, w.rewrites)
		default:
			other = true
		}
	}
	if other {
		t = t.meeting(condition{step: w.step()})
	}
	return t
}

// under narrows a trail to hosts, of which the request's may be the result of renames.
func (t trail) under(hosts caddyhttp.MatchHost, renames int) trail {
	if t.outermost == nil {
		t.outermost = hosts
	}
	t.hosts = hosts
	return t.meeting(condition{hosts: hosts, changes: renames})
}

// at narrows a trail to paths, of which the request's may be the result of rewrites.
func (t trail) at(paths caddyhttp.MatchPath, rewrites int) trail {
	t.paths = paths
	return t.meeting(condition{paths: paths, changes: rewrites})
}

func (t trail) meeting(c condition) trail {
	t.conditions = append(slices.Clip(t.conditions), c)
	return t
}

// carrier is the mcp_stdio that follows, with no mcp_oauth of its own before it; nil if none does.
func (t trail) carrier() *Stdio {
	for _, h := range t.behind {
		switch h := h.(type) {
		case *Stdio:
			return h
		case *OAuth:
			return nil
		}
	}
	return nil
}

// protectedOn finds the mcp_oauth handlers that requests for a host can come to.
func protectedOn(server *caddyhttp.Server, host string) []*OAuth {
	var found []*OAuth
	walk(server, func(h caddyhttp.MiddlewareHandler, t trail) {
		o, ok := h.(*OAuth)
		if ok && (t.hosts == nil || slices.Contains(t.hosts, host)) && !slices.Contains(found, o) {
			found = append(found, o)
		}
	})
	return found
}

// loopback says whether every address the server listens on is one of this machine's
// own.
func (t trail) loopback() bool {
	for _, listen := range t.server.Listen {
		addr, err := caddy.ParseNetworkAddress(listen)
		if err != nil {
			return false
		}
		if addr.IsUnixNetwork() {
			continue
		}
		if !oauth.IsLoopback(strings.Trim(addr.Host, "[]")) {
			return false
		}
	}
	return len(t.server.Listen) > 0
}

// origin is scheme, host and port under which the outside reaches the server by that
// name. A server without TLS is taken to stand behind something that has it, except on
// this machine.
func (t trail) origin(host string) string {
	tls := len(t.server.TLSConnPolicies) > 0
	port := t.port()
	switch {
	case !tls && oauth.IsLoopback(strings.Trim(host, "[]")):
		if port != 0 && port != 80 {
			host = net.JoinHostPort(host, strconv.Itoa(port))
		}
		return "http://" + host
	case tls && port != 0 && port != 443:
		return "https://" + net.JoinHostPort(host, strconv.Itoa(port))
	}
	return "https://" + host
}

// port is the one TCP port that the server listens on; 0 if there are several.
func (t trail) port() int {
	port := 0
	for _, listen := range t.server.Listen {
		addr, err := caddy.ParseNetworkAddress(listen)
		if err != nil || addr.IsUnixNetwork() || addr.PortRangeSize() != 1 {
			return 0
		}
		if port != 0 && port != int(addr.StartPort) {
			return 0
		}
		port = int(addr.StartPort)
	}
	return port
}
