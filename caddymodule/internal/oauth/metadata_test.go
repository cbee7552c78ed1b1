package oauth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMetadataDocument(t *testing.T) {
	server := httptest.NewServer(MetadataHandler(Metadata{
		Resource:             testResource,
		AuthorizationServers: []string{"https://auth.example.com"},
		ScopesSupported:      []string{"snapshot:read"},
		ResourceName:         "Snapshots & more",
	}))
	t.Cleanup(server.Close)
	ask := func(method string, header ...string) (*http.Response, string) {
		t.Helper()
		req := must(http.NewRequest(method, server.URL, nil))
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp := must(server.Client().Do(req))
		defer resp.Body.Close()
		var body strings.Builder
		must(0, resp.Write(&body))
		_, content, _ := strings.Cut(body.String(), "\r\n\r\n")
		if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: a page of another origin cannot read it", method)
		}
		return resp, content
	}

	resp, body := ask("GET")
	const want = `{"resource":"https://snapshots.example.com/mcp","authorization_servers":["https://auth.example.com"],` +
		`"scopes_supported":["snapshot:read"],"bearer_methods_supported":["header"],"resource_name":"Snapshots & more"}` + "\n"
	if resp.StatusCode != 200 || body != want || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("GET: %d %s %s", resp.StatusCode, resp.Header, body)
	}
	if cc := resp.Header.Get("Cache-Control"); !strings.HasPrefix(cc, "public, max-age=") {
		t.Errorf("Cache-Control is %q", cc)
	}
	etag := resp.Header.Get("ETag")

	resp, body = ask("HEAD")
	if resp.StatusCode != 200 || body != "" || resp.Header.Get("ETag") != etag || resp.ContentLength != int64(len(want)) {
		t.Errorf("HEAD: %d %s %q", resp.StatusCode, resp.Header, body)
	}
	if resp, body = ask("GET", "If-None-Match", `"x", `+etag); resp.StatusCode != 304 || body != "" {
		t.Errorf("GET of what is known: %d %q", resp.StatusCode, body)
	}
	if resp, _ = ask("GET", "If-None-Match", `"x"`); resp.StatusCode != 200 {
		t.Errorf("GET of what has changed: %d", resp.StatusCode)
	}
	resp, _ = ask("OPTIONS", "Origin", "https://inspector.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "mcp-protocol-version")
	if resp.StatusCode != 204 || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version") ||
		!strings.Contains(resp.Header.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("OPTIONS: %d %s", resp.StatusCode, resp.Header)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		if resp, _ = ask(method); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}
