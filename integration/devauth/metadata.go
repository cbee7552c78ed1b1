package devauth

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Endpoint paths, below the path of the issuer.
const (
	authorizePath  = "/authorize"
	tokenPath      = "/token"
	revokePath     = "/revoke"
	introspectPath = "/introspect"
	registerPath   = "/register"
	jwksPath       = "/jwks.json"
	loginPath      = "/login"
)

// metadata is the document of RFC 8414 section 2 and of OpenID Connect Discovery
// 1.0 section 3; one document is good as both.
type metadata struct {
	oidc.DiscoveryConfiguration
	// ResponseIssuer is of RFC 9207 section 3.
	ResponseIssuer bool `json:"authorization_response_iss_parameter_supported"`
}

func (s *Server) metadata() metadata {
	methods := []oidc.AuthMethod{oidc.AuthMethodNone, oidc.AuthMethodBasic, oidc.AuthMethodPost}
	m := metadata{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer:                                 s.issuer,
			AuthorizationEndpoint:                  s.issuer + authorizePath,
			TokenEndpoint:                          s.issuer + tokenPath,
			RevocationEndpoint:                     s.issuer + revokePath,
			RegistrationEndpoint:                   s.issuer + registerPath,
			JwksURI:                                s.issuer + jwksPath,
			ClientIDMetadataDocumentSupported:      true,
			ScopesSupported:                        append(slices.Clone(s.scopes), oidc.ScopeOfflineAccess, oidc.ScopeOpenID),
			ResponseTypesSupported:                 []string{string(oidc.ResponseTypeCode)},
			ResponseModesSupported:                 []string{string(oidc.ResponseModeQuery)},
			GrantTypesSupported:                    []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken},
			SubjectTypesSupported:                  []string{"public"},
			IDTokenSigningAlgValuesSupported:       s.keys.algorithms(),
			TokenEndpointAuthMethodsSupported:      methods,
			RevocationEndpointAuthMethodsSupported: methods,
			CodeChallengeMethodsSupported:          []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
			ClaimsSupported:                        []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce"},
		},
		ResponseIssuer: true,
	}
	if len(s.config.ResourceServers) > 0 {
		m.IntrospectionEndpoint = s.issuer + introspectPath
		m.IntrospectionEndpointAuthMethodsSupported = []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost}
	}
	return m
}

func (s *Server) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-cache") // a restart may change it
	writeJSON(w, http.StatusOK, s.metadata())
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-cache") // keys rotate in tests
	writeJSON(w, http.StatusOK, s.keys.set())
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "the answer could not be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that left is no error of ours
}
