package admission

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// origin is scheme, host and port (RFC 6454 section 4), in lower case and with the
// default port left out.
type origin struct{ scheme, host string }

var anyOrigin = origin{"*", "*"}

// parseStrict reads an origin as a browser writes it. The error says what is wrong.
func parseStrict(s string) (origin, error) {
	o, err := parseOrigin(s)
	if err != nil {
		return o, err
	}
	if u, _ := url.Parse(s); u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return o, fmt.Errorf("origin %q: write scheme, host and port only, such as https://app.example.com", s)
	}
	return o, nil
}

func parseOrigin(s string) (origin, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return origin{}, fmt.Errorf("origin %q: write scheme and host, such as https://app.example.com", s)
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return origin{scheme, host}, nil
}

// checkHost refuses a name that is not ours on a connection from this machine: a page
// whose own name was rebound to 127.0.0.1 sends that name.
func (g *Gate) checkHost(r *http.Request) *answer.Refusal {
	if host := hostname(r.Host); host != "" && host == g.host || oauth.IsLoopback(host) {
		return nil
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || local.Network() != "unix" && !oauth.IsLoopback(hostname(local.String())) {
		return nil
	}
	return answer.New(http.StatusForbidden, protocol.CodeInvalidRequest, "Forbidden: the Host header does not name this server")
}

func hostname(hostport string) string {
	host := strings.ToLower(hostport)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

const (
	allowMethods = "GET, POST, DELETE"
	allowHeaders = "Authorization, DPoP, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, traceparent, tracestate, baggage"
	// A page cannot read the other fields (Fetch standard, section 3.2.4): it needs the
	// session, the challenges, the nonce for its next DPoP proof (RFC 9449 section 8) and
	// when to come back.
	exposeHeaders = "Mcp-Session-Id, WWW-Authenticate, DPoP-Nonce, MCP-Protocol-Version, Retry-After, Allow"
)

// checkOrigin refuses browsers of other origins, and answers the preflight of those
// that are allowed (Fetch standard, section 3.2). A request without Origin is not
// from a page.
func (g *Gate) checkOrigin(w http.ResponseWriter, r *http.Request) (preflight bool, _ *answer.Refusal) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return false, nil
	}
	if len(values) > 1 || !g.allows(values[0], r) {
		return false, answer.New(http.StatusForbidden, protocol.CodeInvalidRequest, "Forbidden: this origin is not allowed")
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", values[0])
	h.Add("Vary", "Origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", exposeHeaders)
		return false, nil
	}
	h.Set("Access-Control-Allow-Methods", allowMethods)
	h.Set("Access-Control-Allow-Headers", preflightHeaders(r))
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
	return true, nil
}

// preflightHeaders adds the Mcp-Param-* headers that the page announces, which
// depend on the tool (MCP 2026-07-28), to those that are always allowed.
func preflightHeaders(r *http.Request) string {
	allowed := allowHeaders
	for asked := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		name := http.CanonicalHeaderKey(strings.TrimSpace(asked))
		if len(name) < 128 && strings.HasPrefix(name, "Mcp-Param-") {
			allowed += ", " + name
		}
	}
	return allowed
}

func (g *Gate) allows(value string, r *http.Request) bool {
	o, err := parseStrict(value)
	if err != nil {
		return g.origins[anyOrigin] // "null", too
	}
	if g.origins[o] || g.origins[anyOrigin] {
		return true
	}
	if g.ours != (origin{}) {
		return o == g.ours
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	same, err := parseOrigin(scheme + "://" + r.Host)
	return err == nil && o == same
}
