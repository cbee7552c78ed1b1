package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// started is the mcp_oauth handler of a Caddyfile, ready to serve.
func started(t testing.TB, caddyfile string) *OAuth {
	t.Helper()
	p := provision(t, caddyfile)
	o := p.oauths[0]
	o.start(trailsTo(p.http, o), nil)
	t.Cleanup(func() {
		if err := o.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	if o.keeper.fault != nil {
		t.Fatal(o.keeper.fault)
	}
	return o
}

// serve sends a request through the handler and says whether it came out behind.
func serve(t *testing.T, o *OAuth, method, path string, header ...string) (*httptest.ResponseRecorder, bool) {
	t.Helper()
	r := httptest.NewRequest(method, "https://mcp.example.com/", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	if err := setPath(r, path); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nowhere{}, nil)
	w, passed := httptest.NewRecorder(), false
	err := o.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		passed = true
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return w, passed
}

// setPath sets a path as a client writes it, unclean ones too.
func setPath(r *http.Request, path string) error {
	u, err := r.URL.Parse(path)
	if err != nil {
		return err
	}
	// Parse resolves dots, which a server does not.
	u.Path, u.RawPath = path, ""
	if i := strings.IndexByte(path, '%'); i >= 0 {
		unescaped, err := http.NewRequest(http.MethodGet, "https://mcp.example.com"+path, nil)
		if err != nil {
			return err
		}
		u.Path, u.RawPath = unescaped.URL.Path, unescaped.URL.RawPath
	}
	r.URL, r.RequestURI = u, path
	return nil
}

func TestNothingPassesWithoutAToken(t *testing.T) {
	o := started(t, "mcp.example.com {\n mcp "+block+"}")
	for _, path := range []string{
		"/", "/mcp", "/secret.txt", "/.well-known/oauth-protected-resourceX", "/.well-known/oauth-protected-resource/",
		"/.well-known/oauth-protected-resource/other", "/.well-known/oauth-protected-resource/../../secret.txt",
		"/.well-known/oauth-protected-resource/..%2f..%2fmcp", "/.well-known/OAuth-Protected-Resource", "//.well-known/oauth-protected-resource",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, "CONNECT"} {
			w, passed := serve(t, o, method, path, "Content-Type", "application/json", "X-Snapgate-User", "root")
			if passed || w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s: %d, passed %v", method, path, w.Code, passed)
			}
		}
	}
}

func TestMetadataIsServedToAnyone(t *testing.T) {
	for caddyfile, paths := range map[string]map[string]bool{
		"mcp.example.com {\n mcp /mcp " + block + "}": {
			"/.well-known/oauth-protected-resource/mcp": true, "/.well-known/oauth-protected-resource": true, "/.well-known/oauth-protected-resource/MCP": false,
		},
		"mcp.example.com {\n mcp /mcp " + block + " mcp /other " + block + "}": {
			"/.well-known/oauth-protected-resource/mcp": true, "/.well-known/oauth-protected-resource": false,
		},
		"mcp.example.com {\n mcp /mcp {\n stdio x\n oauth https://auth.example.com {\n resource \"https://mcp.example.com/team%20a/mcp\"\n}\n}\n}": {
			"/.well-known/oauth-protected-resource/team%20a/mcp": true, "/.well-known/oauth-protected-resource/mcp": false,
		},
	} {
		o := started(t, caddyfile)
		for path, served := range paths {
			w, passed := serve(t, o, http.MethodGet, path)
			if passed || served != (w.Code == http.StatusOK && strings.Contains(w.Body.String(), `"authorization_servers":["https://auth.example.com"]`)) {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
}
