package devauth

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

const (
	maxRequestBody  = 64 << 10
	maxRedirectURIs = 20
	maxClientName   = 200 // bytes
)

// clientMetadata are the members of RFC 7591 section 2 that mean something here.
// The same names stand in a Client ID Metadata Document.
type clientMetadata struct {
	RedirectURIs    []string         `json:"redirect_uris"`
	AuthMethod      oidc.AuthMethod  `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes      []oidc.GrantType `json:"grant_types,omitempty"`
	ResponseTypes   []string         `json:"response_types,omitempty"`
	ClientName      string           `json:"client_name,omitempty"`
	ClientURI       string           `json:"client_uri,omitempty"`
	LogoURI         string           `json:"logo_uri,omitempty"`
	TermsURI        string           `json:"tos_uri,omitempty"`
	PolicyURI       string           `json:"policy_uri,omitempty"`
	Contacts        []string         `json:"contacts,omitempty"`
	SoftwareID      string           `json:"software_id,omitempty"`
	SoftwareVersion string           `json:"software_version,omitempty"`
	ApplicationType string           `json:"application_type,omitempty"`
}

// metadataError is the error answer of RFC 7591 section 3.2.2.
type metadataError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *metadataError) Error() string { return e.Code + ": " + e.Description }

func badMetadata(format string, arguments ...any) *metadataError {
	return &metadataError{Code: "invalid_client_metadata", Description: fmt.Sprintf(format, arguments...)}
}

// validate checks the members and fills in the defaults of RFC 7591 section 2.
// Grant types that do not exist here are dropped: section 3.2.1 lets a server
// register less than it was asked for, as long as it says so.
func (m *clientMetadata) validate() *metadataError {
	if len(m.RedirectURIs) == 0 || len(m.RedirectURIs) > maxRedirectURIs {
		return &metadataError{Code: "invalid_redirect_uri", Description: fmt.Sprintf("redirect_uris must have 1 to %d entries", maxRedirectURIs)}
	}
	for i, uri := range m.RedirectURIs {
		if err := checkRedirectURI(uri); err != nil {
			return &metadataError{Code: "invalid_redirect_uri", Description: fmt.Sprintf("redirect_uris[%d] %s", i, err)}
		}
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []oidc.GrantType{oidc.GrantTypeCode}
	}
	if !slices.Contains(m.GrantTypes, oidc.GrantTypeCode) {
		return badMetadata("grant_types must include authorization_code")
	}
	m.GrantTypes = slices.DeleteFunc(slices.Clone(m.GrantTypes), func(grant oidc.GrantType) bool {
		return grant != oidc.GrantTypeCode && grant != oidc.GrantTypeRefreshToken
	})
	if len(m.ResponseTypes) > 0 && !slices.Contains(m.ResponseTypes, string(oidc.ResponseTypeCode)) {
		return badMetadata("response_types must include code")
	}
	m.ResponseTypes = []string{string(oidc.ResponseTypeCode)}
	if len(m.ClientName) > maxClientName {
		return badMetadata("client_name is longer than %d bytes", maxClientName)
	}
	for name, uri := range map[string]string{"client_uri": m.ClientURI, "logo_uri": m.LogoURI, "tos_uri": m.TermsURI, "policy_uri": m.PolicyURI} {
		if u, err := url.Parse(uri); uri != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return badMetadata("%s is not a web page", name)
		}
	}
	return nil
}

// registration is the answer of RFC 7591 section 3.2.1.
type registration struct {
	clientMetadata
	ClientID              string `json:"client_id"`
	ClientIDIssuedAt      int64  `json:"client_id_issued_at"`
	ClientSecret          string `json:"client_secret,omitempty"`
	ClientSecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"` // 0: never
}

// register is the client registration endpoint (RFC 7591), open to all comers.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	answer, refused := s.registerClient(w, r)
	if refused != nil {
		s.logger.Info("registration refused", "error", refused)
		writeJSON(w, http.StatusBadRequest, refused)
		return
	}
	s.logger.Info("client registered", "client_id", answer.ClientID, "name", answer.ClientName, "redirect_uris", answer.RedirectURIs)
	writeJSON(w, http.StatusCreated, answer)
}

func (s *Server) registerClient(w http.ResponseWriter, r *http.Request) (*registration, *metadataError) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, badMetadata("the Content-Type must be application/json")
	}
	var metadata clientMetadata
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBody)).Decode(&metadata); err != nil {
		return nil, badMetadata("the body is not client metadata of at most %d bytes", maxRequestBody)
	}
	if metadata.AuthMethod == "" {
		metadata.AuthMethod = oidc.AuthMethodBasic // RFC 7591 section 2
	}
	answer := &registration{ClientID: rand.Text(), ClientIDIssuedAt: s.now().Unix()}
	switch metadata.AuthMethod {
	case oidc.AuthMethodNone:
	case oidc.AuthMethodBasic, oidc.AuthMethodPost:
		answer.ClientSecret, answer.ClientSecretExpiresAt = rand.Text(), new(int64)
	default:
		return nil, badMetadata("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")
	}
	if refused := metadata.validate(); refused != nil {
		return nil, refused
	}
	answer.clientMetadata = metadata
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients.put(answer.ClientID, s.newClient(answer.ClientID, answer.ClientSecret, &metadata))
	return answer, nil
}

func (s *Server) newClient(id, secret string, metadata *clientMetadata) *client {
	return &client{
		id:           id,
		secret:       secret,
		name:         metadata.ClientName,
		authMethod:   metadata.AuthMethod,
		grantTypes:   metadata.GrantTypes,
		redirectURIs: metadata.RedirectURIs,
		loginPath:    s.path + loginPath,
	}
}
