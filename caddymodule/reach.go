package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// metadataRoot is the well-known path of RFC 9728 section 3, without the part that
// belongs to one resource.
const metadataRoot = "/.well-known/oauth-protected-resource"

// deriveResource finds the default resource: the one literal host that leads to the
// handler, and the one exact path, unless it is given. The error says what to write
// instead.
func deriveResource(trails []trail, path string) (string, error) {
	var resources []string
	for _, t := range trails {
		if t.rewritten {
			return "", errors.New("the path is rewritten before it reaches this handler (handle_path, uri or rewrite): write the public address, such as \"resource https://mcp.example.com/mcp\"")
		}
		if len(t.hosts) == 0 {
			return "", errors.New("no host leads to this handler: give the site a name, or write the public address, such as \"resource https://mcp.example.com/mcp\"")
		}
		for _, host := range t.hosts {
			if strings.ContainsAny(host, "*{") {
				return "", fmt.Errorf("the host %q is not one literal name: write the public address, such as \"resource https://mcp.example.com/mcp\"", host)
			}
			if path == "" {
				var err error
				if path, err = derivePath(t.paths); err != nil {
					return "", err
				}
			}
			resource, err := oauth.CanonicalResource(t.origin(host) + path)
			if err != nil {
				return "", err
			}
			if !slices.Contains(resources, resource) {
				resources = append(resources, resource)
			}
		}
	}
	switch len(resources) {
	case 0:
		return "", errors.New("no route leads to this handler, as far as can be seen: write the public address, such as \"resource https://mcp.example.com/mcp\"")
	case 1:
		return resources[0], nil
	}
	slices.Sort(resources)
	return "", fmt.Errorf("several addresses lead to this handler (%s): write which one clients use, such as \"resource %s\"", strings.Join(resources, ", "), resources[0])
}

// derivePath is the one exact path among those that lead to a handler, apart from the
// well-known ones.
func derivePath(paths []string) (string, error) {
	var exact []string
	for _, path := range paths {
		if isWellKnown(path) {
			continue
		}
		if strings.ContainsAny(path, "*%{") {
			return "", fmt.Errorf("the path %q is not one exact path: write the public address, such as \"resource https://mcp.example.com/mcp\"", path)
		}
		exact = append(exact, path)
	}
	switch len(exact) {
	case 0:
		return "", nil
	case 1:
		return exact[0], nil
	}
	return "", fmt.Errorf("several paths lead to this handler (%s): write the public address, such as \"resource https://mcp.example.com/mcp\"", strings.Join(exact, ", "))
}

// isWellKnown says whether a path is one of those that metadata is served at.
func isWellKnown(path string) bool {
	return path == metadataRoot || strings.HasPrefix(path, metadataRoot+"/") || path == oauth.IssuerMetadataPath
}

// reaches says whether a request for the resource's metadata would come to the handler,
// and if not, what stands in its way. Only what matches and what is known to answer is
// looked at; nothing is executed but matchers and rewrites.
func reaches(trails []trail, target caddyhttp.MiddlewareHandler, address string) (bool, string) {
	u, err := url.Parse(address)
	if err != nil {
		return false, err.Error()
	}
	blocked := "no route matches it"
	seen := map[*caddyhttp.Server]bool{}
	for _, t := range trails {
		if seen[t.server] {
			continue
		}
		seen[t.server] = true
		s := simulation{target: target, server: t.server}
		r := s.request(u)
		s.routes(t.server.Routes, r)
		if s.reached {
			return true, ""
		}
		if s.answered != "" {
			blocked = s.answered
		}
	}
	return false, blocked
}

// simulation follows one request through the routes.
type simulation struct {
	target   caddyhttp.MiddlewareHandler
	server   *caddyhttp.Server
	depth    int
	reached  bool
	answered string // what would answer it instead

	passed *OAuth                      // which is taken to let the request through
	by     caddyhttp.MiddlewareHandler // what would answer it
}

func (s *simulation) over() bool { return s.reached || s.answered != "" }

func (s *simulation) request(u *url.URL) *http.Request {
	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: u.Path, RawPath: u.RawPath}, RequestURI: u.RequestURI(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Host: u.Host,
	}).WithContext(context.Background())
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nowhere{}, s.server)
}

// nowhere is the response of a request that nobody made.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}

// routes applies the rules of Caddy's route lists: groups are exclusive, and a terminal
// route is the last.
func (s *simulation) routes(routes caddyhttp.RouteList, r *http.Request) {
	done := map[string]bool{}
	for _, route := range routes {
		if s.over() || route.Group != "" && done[route.Group] {
			continue
		}
		if ok, err := route.MatcherSets.AnyMatchWithError(r); err != nil || !ok {
			continue
		}
		if route.Group != "" {
			done[route.Group] = true
		}
		s.handlers(route.Handlers, r)
		if route.Terminal {
			return
		}
	}
}

func (s *simulation) handlers(handlers []caddyhttp.MiddlewareHandler, r *http.Request) {
	const maxDepth = 32 // named routes may call one another
	if s.depth++; s.depth > maxDepth {
		return
	}
	defer func() { s.depth-- }()
	for _, h := range handlers {
		if s.over() {
			return
		}
		switch h := h.(type) {
		case *caddyhttp.Subroute:
			s.routes(h.Routes, r)
		case *redactor:
			s.routes(h.routes, r)
		case *caddyhttp.Invoke:
			if route := s.server.NamedRoutes[h.Name]; route != nil {
				s.routes(caddyhttp.RouteList{*route}, r)
			}
		case *rewrite.Rewrite:
			if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
				h.Rewrite(r, repl)
			}
		case *OAuth:
			s.visitOAuth(h, r)
		case *Stdio:
			// It is the last: what it does not carry, it refuses.
			s.answered = "an mcp_stdio"
		default:
			s.visit(h)
		}
	}
}

// visitOAuth knows that such a handler lets nothing pass but with a token, save its own
// metadata.
func (s *simulation) visitOAuth(h *OAuth, r *http.Request) {
	own := caddyhttp.MiddlewareHandler(h) == s.target && h.served.holds(r.URL.Path)
	if own || h.lends(r.URL.Path) && caddyhttp.MiddlewareHandler(h.whole) == s.target {
		s.reached = true
		return
	}
	if h == s.passed {
		return
	}
	s.answered = "an mcp_oauth for another resource"
}

// visit knows which of Caddy's handlers answer every request that comes to them.
func (s *simulation) visit(h caddyhttp.MiddlewareHandler) {
	if h == s.target {
		s.reached = true
		return
	}
	module, ok := h.(caddy.Module)
	if !ok {
		return
	}
	switch name := module.CaddyModule().ID.Name(); name {
	case "static_response", "file_server", "reverse_proxy", "error", "acme_server":
		s.answered, s.by = name, h
	}
}
