package integration_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// metadataAttack asks for the protected resource metadata, or for the challenge that leads
// to it, in a way that is to make either speak for the attacker.
type metadataAttack struct {
	holds  string // the section that is held
	name   string
	path   string // default that of the resource's metadata
	method string // default GET
	change func(*http.Request)
	status int
}

var metadataAttacks = []metadataAttack{
	{holds: "RFC 9728 section 3.3", name: "Host of the attacker", change: func(r *http.Request) { r.Host = "evil.example" }, status: 200},
	{holds: "RFC 9728 section 3.3", name: "headers of a proxy that is none", change: func(r *http.Request) {
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "gopher")
		r.Header.Set("Forwarded", `host=evil.example;proto=gopher`)
	}, status: 200},
	{holds: "RFC 9728 section 3.3", name: "resource in the query", change: func(r *http.Request) { r.URL.RawQuery = "resource=https://evil.example" }, status: 200},
	{holds: "RFC 9728 section 3.1", name: "two resources on a host, none named", path: "/.well-known/oauth-protected-resource", status: 401},
	{holds: "RFC 9728 section 3.1", name: "below the resource", path: "/.well-known/oauth-protected-resource/mcp/admin", status: 200}, // Caddy's own empty answer
	{holds: "RFC 3986 section 6.2.2.1", name: "path in other case", path: "/.well-known/oauth-protected-resource/MCP", status: 401},
	{holds: "RFC 9728 section 3.1", name: "POST", method: http.MethodPost, status: 405},
	{holds: "RFC 9728 section 3.1", name: "DELETE", method: http.MethodDelete, status: 405},
	{holds: "RFC 9728 section 5.1", name: "challenge under the attacker's names", path: "/mcp", change: func(r *http.Request) {
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Forwarded", "host=evil.example")
	}, status: 401},
	{holds: "RFC 9110 section 5.5", name: "challenge with a line of the attacker's", path: "/mcp?%22%0d%0aX-Evil:%20evil.example", status: 401},
	{holds: "RFC 9728 section 7.3", name: "challenge to a page under another name", path: "/mcp", change: func(r *http.Request) { r.Host = "evil.example" }, status: 403},
}

// The document is the same for everyone, and nothing of a request gets into it.
func TestMetadataSpeaksForNobodyElse(t *testing.T) {
	t.Parallel()
	s := standin()
	s.plain = true
	s.routes = []string{"mcp /other {", "	stdio `" + standinBinary + "`", "	oauth https://auth.example {", "		resource http://localhost/other", "	}", "}"}
	g := start(t, s)
	const own = "/.well-known/oauth-protected-resource/mcp"
	for _, attack := range metadataAttacks {
		holding(t, attack.holds, attack.name, func(t *testing.T) {
			path, method := attack.path, attack.method
			if path == "" {
				path = own
			}
			if method == "" {
				method = http.MethodGet
			}
			a := g.anyone(t, "").do(method, "", func(r *http.Request) {
				r.URL.Opaque = path // as it stands, and the Host as it is
				if attack.change != nil {
					attack.change(r)
				}
			})
			if a.status != attack.status {
				t.Errorf("%d %s", a.status, a.body)
			}
			for name, values := range a.header {
				if strings.Contains(strings.Join(values, " "), "evil.example") || name == "X-Evil" {
					t.Errorf("%s: %q", name, values)
				}
			}
			if challenge := a.header.Get("WWW-Authenticate"); a.status == http.StatusUnauthorized && path == "/mcp" &&
				!strings.Contains(challenge, `resource_metadata="http://`+g.host+own+`"`) {
				t.Errorf("challenge %q", challenge)
			}
			if a.status != http.StatusOK || path != own {
				if strings.Contains(a.body, "authorization_servers") {
					t.Errorf("the document is served: %s", a.body)
				}
				return
			}
			var document struct {
				Resource string   `json:"resource"`
				Servers  []string `json:"authorization_servers"`
			}
			if err := json.Unmarshal([]byte(a.body), &document); err != nil || document.Resource != g.url || len(document.Servers) != 1 || document.Servers[0] != issuer.Issuer() {
				t.Errorf("%v %s", err, a.body)
			}
		})
	}
}
