package integration_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// open asks the gateway for a document, without a token. header is name, value.
func (g *gateway) open(t *testing.T, method, path string, header ...string) answer {
	t.Helper()
	base := strings.TrimSuffix(g.url, g.url[strings.LastIndexByte(g.url, '/'):])
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := g.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

const (
	resourceMetadata = "/.well-known/oauth-protected-resource"
	serverMetadata   = "/.well-known/oauth-authorization-server"
)

func TestTheMetadataSaysWhatAClientNeeds(t *testing.T) {
	t.Parallel()
	s := standin()
	s.oauth = []string{`resource_name "Files & more"`, "resource_documentation https://docs.example.com/mcp"}
	s.mcp = []string{"scopes {", "	base mcp", "}"}
	g := start(t, s)
	for _, path := range []string{resourceMetadata + "/mcp", resourceMetadata} {
		a := g.open(t, http.MethodGet, path, "Origin", "https://anywhere.example")
		var got map[string]any
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		for name, want := range map[string]string{
			"resource": `"` + g.url + `"`, "authorization_servers": `["` + issuer.Issuer() + `"]`, "scopes_supported": `["mcp"]`, "bearer_methods_supported": `["header"]`,
			"resource_name": `"Files \u0026 more"`, "resource_documentation": `"https://docs.example.com/mcp"`,
		} {
			if text, err := json.Marshal(got[name]); err != nil || string(text) != want {
				t.Errorf("%s: %s is %s, want %s", path, name, text, want)
			}
		}
		etag := a.header.Get("ETag")
		if etag == "" || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(a.header.Get("Cache-Control"), "public, max-age=") {
			t.Errorf("%s: %v", path, a.header)
		}
		if a := g.open(t, http.MethodGet, path, "If-None-Match", etag); a.status != http.StatusNotModified || a.body != "" {
			t.Errorf("%s, known: %d %q", path, a.status, a.body)
		}
		if a := g.open(t, http.MethodHead, path); a.status != http.StatusOK || a.header.Get("ETag") != etag || a.body != "" {
			t.Errorf("%s, HEAD: %d %v", path, a.status, a.header)
		}
		preflight := g.open(t, http.MethodOptions, path, "Origin", "https://anywhere.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "mcp-protocol-version")
		if preflight.status != http.StatusNoContent || preflight.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s, preflight: %d %v", path, preflight.status, preflight.header)
		}
	}
}

// second is another mcp on the same host.
func second(path string, oauth ...string) []string {
	return append(append([]string{"mcp " + path + " {", "	stdio `" + standinBinary + "`", "	oauth " + issuer.Issuer() + " {"}, oauth...), "	}", "}")
}

func TestEachResourceOnAHostHasItsOwnMetadata(t *testing.T) {
	t.Parallel()
	s := standin()
	s.routes = second("/other/mcp", "resource_name other")
	g := start(t, s)
	base := strings.TrimSuffix(g.url, "/mcp")
	for path, resource := range map[string]string{"/mcp": g.url, "/other/mcp": base + "/other/mcp"} {
		a := g.open(t, http.MethodGet, resourceMetadata+path)
		if a.status != http.StatusOK || !strings.Contains(a.body, `"resource":"`+resource+`"`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	// The root form would have to be one of them.
	if a := g.open(t, http.MethodGet, resourceMetadata); strings.Contains(a.body, "authorization_servers") {
		t.Errorf("at the root: %d %s", a.status, a.body)
	}
}

// Behind another proxy clients know the endpoint by an address that the gateway never
// sees: what is written counts, for the document, for its place and for the challenge.
func TestMetadataBehindAnotherProxy(t *testing.T) {
	t.Parallel()
	const resource = "https://public.example.com/team/mcp"
	s := standin()
	s.oauth = []string{"resource " + resource}
	g := start(t, s)
	a := g.open(t, http.MethodGet, resourceMetadata+"/team/mcp", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"resource":"`+resource+`"`) || strings.Contains(a.body, "evil") {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = g.anyone(t, "").post(initializeMessage(legacyVersion))
	if challenge := a.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `resource_metadata="https://public.example.com`+resourceMetadata+`/team/mcp"`) {
		t.Errorf("challenge %q", challenge)
	}
	if a := g.anyone(t, g.mint(t, devauth.MintOptions{Subject: "alice", Audience: []string{resource}})).post(initializeMessage(legacyVersion)); a.status != http.StatusOK {
		t.Errorf("a token for the public address: %d %s", a.status, a.body)
	}
	if a := g.anyone(t, g.token(t, "alice")).post(initializeMessage(legacyVersion)); a.status != http.StatusUnauthorized {
		t.Errorf("a token for the inner address: %d %s", a.status, a.body)
	}
}

// original is the issuer's own metadata.
func original(t *testing.T) string {
	t.Helper()
	response, err := http.Get(issuer.Issuer() + serverMetadata)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", response.StatusCode, err)
	}
	return string(body)
}

// Clients of 2025-03-26 look for the authorization server's metadata at the root of the
// MCP server.
func TestTheIssuersMetadataIsServedWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	want := original(t)
	s := standin()
	s.oauth = []string{"issuer_metadata"}
	g := start(t, s)
	a := g.open(t, http.MethodGet, serverMetadata, "Origin", "https://anywhere.example")
	if a.status != http.StatusOK || a.body != want || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s, want %s", a.status, a.header, a.body, want)
	}
	if known := g.open(t, http.MethodGet, serverMetadata, "If-None-Match", a.header.Get("ETag")); known.status != http.StatusNotModified {
		t.Errorf("what is known: %d", known.status)
	}
	if a := g.open(t, http.MethodPost, serverMetadata); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.status)
	}
	// The rest goes on.
	if a := g.open(t, http.MethodGet, resourceMetadata); a.status != http.StatusOK {
		t.Errorf("the resource's own: %d", a.status)
	}
	g.legacy(t, g.token(t, "alice")).call(1, "echo", object{"text": "x"})

	off := start(t, standin())
	if a := off.open(t, http.MethodGet, serverMetadata); a.body != "" {
		t.Errorf("where it is not asked for: %d %s", a.status, a.body)
	}
}

func TestTheIssuersMetadataIsOfOneResource(t *testing.T) {
	t.Parallel()
	s := standin()
	s.oauth = []string{"issuer_metadata"}
	s.routes = second("/other")
	g := start(t, s)
	if a := g.open(t, http.MethodGet, serverMetadata); strings.Contains(a.body, "issuer") {
		t.Errorf("%d %s", a.status, a.body)
	}
	g.logs.await(t, 1, func(e entry) bool {
		text, _ := e["msg"].(string)
		return e["level"] == "error" && strings.Contains(text, "issuer_metadata")
	})
	g.legacy(t, g.token(t, "alice")).call(1, "echo", object{"text": "x"})
}

func TestTheIssuersMetadataIsNotThereWhileTheIssuerIsAway(t *testing.T) {
	t.Parallel()
	s := standin()
	s.issuer = closedIssuer(t)
	s.oauth = []string{"issuer_metadata"}
	g := start(t, s)
	a := g.open(t, http.MethodGet, serverMetadata)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("ETag") != "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if a := g.open(t, http.MethodGet, resourceMetadata); a.status != http.StatusOK {
		t.Errorf("the resource's own: %d", a.status)
	}
}

// closedIssuer is an authorization server that is out of reach.
func closedIssuer(t *testing.T) string {
	t.Helper()
	gone := startIssuer(t, devauth.Config{Algorithm: "ES256"})
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	return gone.Issuer()
}
