package devauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// protectedResource is a resource server that challenges and has metadata.
func protectedResource(t *testing.T, srv *Server) string {
	t.Helper()
	mux := http.NewServeMux()
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	resource := host.URL + "/mcp"
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(oauthex.ProtectedResourceMetadata{Resource: resource, AuthorizationServers: []string{srv.Issuer()}, ScopesSupported: []string{ScopeRead}})
	})
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer scope="snapshot:read", resource_metadata="`+host.URL+`/.well-known/oauth-protected-resource/mcp"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	if err := srv.AllowResource(resource); err != nil {
		t.Fatal(err)
	}
	return resource
}

// authorizeWithSDK lets go-sdk's own client go through discovery, registration,
// PKCE and the token request, and returns the claims of the token it got.
func authorizeWithSDK(t *testing.T, srv *Server, config *auth.AuthorizationCodeHandlerConfig) map[string]any {
	t.Helper()
	resource := protectedResource(t, srv)
	config.RedirectURL = testRedirect
	config.RequestRefreshToken = true
	config.AuthorizationCodeFetcher = func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		redirect, err := Login(ctx, nil, args.URL, "bob", nil)
		if err != nil {
			return nil, err
		}
		query := redirect.Query()
		if query.Get("error") != "" {
			return nil, fmt.Errorf("%s: %s", query.Get("error"), query.Get("error_description"))
		}
		return &auth.AuthorizationResult{Code: query.Get("code"), State: query.Get("state"), Iss: query.Get("iss")}, nil
	}
	handler, err := auth.NewAuthorizationCodeHandler(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, resource, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := handler.Authorize(t.Context(), request, response); err != nil { // closes the body
		t.Fatal(err)
	}
	source, err := handler.TokenSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	if token.RefreshToken == "" {
		t.Error("no refresh token")
	}
	_, claims := decodeToken(t, token.AccessToken)
	if claims["aud"] != resource || claims["sub"] != "bob" || claims["scope"] != ScopeRead {
		t.Errorf("claims %v", claims)
	}
	return claims
}

func TestGoSDKByRegistration(t *testing.T) {
	for _, method := range []string{"none", "client_secret_post", ""} {
		srv := startServer(t, func(c *Config) { c.Resources = nil })
		authorizeWithSDK(t, srv, &auth.AuthorizationCodeHandlerConfig{
			DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
				RedirectURIs: []string{testRedirect}, TokenEndpointAuthMethod: method, GrantTypes: []string{"authorization_code", "refresh_token"},
			}},
		})
	}
}

func TestGoSDKByMetadataDocument(t *testing.T) {
	var host *httptest.Server
	host = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.ReplaceAll(goodDocument, "ID", host.URL+"/client.json"))
	}))
	t.Cleanup(host.Close)
	srv := startServer(t, func(c *Config) { c.Resources, c.HTTPClient = nil, host.Client() })
	claims := authorizeWithSDK(t, srv, &auth.AuthorizationCodeHandlerConfig{
		ClientIDMetadataDocumentConfig: &auth.ClientIDMetadataDocumentConfig{URL: host.URL + "/client.json"},
	})
	if claims["client_id"] != host.URL+"/client.json" {
		t.Errorf("client_id %v", claims["client_id"])
	}
}
