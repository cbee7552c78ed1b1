package devauth

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

func TestMetadataAtEveryPlaceClientsLook(t *testing.T) {
	for _, path := range []string{"", "/tenant", "/a/b"} {
		srv := serverAt(t, path)
		origin := strings.TrimSuffix(srv.Issuer(), path)
		places := []string{"/.well-known/oauth-authorization-server" + path, "/.well-known/openid-configuration" + path, path + "/.well-known/openid-configuration"}
		for _, place := range places {
			got := get(t, origin+place)
			if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s answered %d", place, got.status)
			}
			members := got.json(t)
			for name, want := range map[string]any{
				"issuer":                                srv.Issuer(),
				"authorization_endpoint":                srv.Issuer() + "/authorize",
				"token_endpoint":                        srv.Issuer() + "/token",
				"jwks_uri":                              srv.Issuer() + "/jwks.json",
				"registration_endpoint":                 srv.Issuer() + "/register",
				"revocation_endpoint":                   srv.Issuer() + "/revoke",
				"client_id_metadata_document_supported": true,
				"authorization_response_iss_parameter_supported": true,
				"request_uri_parameter_supported":                false,
			} {
				if members[name] != want {
					t.Errorf("%s: %s is %v, want %v", place, name, members[name], want)
				}
			}
			if methods := members["code_challenge_methods_supported"].([]any); len(methods) != 1 || methods[0] != "S256" {
				t.Errorf("challenge methods %v", methods)
			}
			if scopes := members["scopes_supported"].([]any); !slices.Contains(scopes, any(ScopeDelete)) || !slices.Contains(scopes, any("offline_access")) {
				t.Errorf("scopes %v", scopes)
			}
		}
		meta, err := auth.GetAuthServerMetadata(t.Context(), srv.Issuer(), http.DefaultClient)
		if err != nil || meta == nil || !meta.ClientIDMetadataDocumentSupported || !meta.AuthorizationResponseIssParameterSupported {
			t.Fatalf("go-sdk read %+v, %v", meta, err)
		}
		registered, err := oauthex.RegisterClient(t.Context(), meta.RegistrationEndpoint, &oauthex.ClientRegistrationMetadata{RedirectURIs: []string{testRedirect}, TokenEndpointAuthMethod: "none"}, nil)
		if err != nil || registered.ClientID == "" || registered.ClientIDIssuedAt.IsZero() {
			t.Fatalf("go-sdk registered %+v, %v", registered, err)
		}
		request := authorizationRequest(registered.ClientID, strings.Repeat("v", 43))
		if redirect, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", nil); err != nil || redirect.Query().Get("code") == "" {
			t.Errorf("login under path %q: %v, %v", path, redirect, err)
		}
	}
}

func TestConfiguredScopesAreSupported(t *testing.T) {
	srv := startServer(t, func(c *Config) { c.Scopes = []string{"mcp:admin", ScopeRead, "openid"} })
	if want := []string{ScopeRead, ScopeWrite, ScopeDelete, ScopeExport, ScopeAdmin, "mcp:admin"}; !slices.Equal(srv.Scopes(), want) {
		t.Errorf("scopes %v", srv.Scopes())
	}
}

func TestBrowserClientsMayCall(t *testing.T) {
	srv := startServer(t, nil)
	preflight := func(path string) answer {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, srv.Issuer()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "http://localhost:6274")
		request.Header.Set("Access-Control-Request-Method", "POST")
		request.Header.Set("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version")
		return send(t, request)
	}
	for _, path := range []string{"/token", "/register", "/revoke"} {
		got := preflight(path)
		if got.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(strings.ToLower(got.header.Get("Access-Control-Allow-Headers")), "authorization") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/jwks.json"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.Issuer()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "http://localhost:6274")
		if got := send(t, request); got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	for _, path := range []string{"/authorize", "/login"} {
		if got := preflight(path); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is open to other origins", path)
		}
	}
}

func TestForeignHostNamesAreRefused(t *testing.T) {
	srv := startServer(t, nil)
	for host, want := range map[string]int{
		"attacker.example": http.StatusMisdirectedRequest, "localhost.attacker.example:80": http.StatusMisdirectedRequest,
		"192.168.0.1": http.StatusMisdirectedRequest, "localhost:1": http.StatusOK, "[::1]:1": http.StatusOK,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.Issuer()+"/jwks.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		if got := send(t, request); got.status != want {
			t.Errorf("Host %s answered %d", host, got.status)
		}
	}
}
