package oauth

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// Metadata is the protected resource metadata document of RFC 9728 section 2.
type Metadata struct {
	// Resource is the canonical resource URI; clients check that it is the one
	// they asked about (section 3.3).
	Resource string `json:"resource"`
	// AuthorizationServers are the issuers a client may choose from. MCP requires
	// at least one.
	AuthorizationServers []string `json:"authorization_servers"`
	// ScopesSupported is the least that a client should ask for.
	ScopesSupported []string `json:"scopes_supported,omitempty"`
	// BearerMethodsSupported says how a token is sent; nil stands for the header,
	// the only way MCP has.
	BearerMethodsSupported []string `json:"bearer_methods_supported,omitempty"`
	// DPoPSigningAlgValuesSupported are the algorithms that DPoP proofs may be signed
	// by; nil where proofs are not accepted.
	DPoPSigningAlgValuesSupported []string `json:"dpop_signing_alg_values_supported,omitempty"`
	// DPoPBoundAccessTokensRequired says that no token is accepted without a proof.
	DPoPBoundAccessTokensRequired bool `json:"dpop_bound_access_tokens_required,omitempty"`
	// TLSClientCertificateBoundAccessTokens says that tokens bound to the client's TLS
	// certificate can be used (RFC 8705 section 3.3).
	TLSClientCertificateBoundAccessTokens bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// ResourceName is shown to people.
	ResourceName string `json:"resource_name,omitempty"`
	// ResourceDocumentation is the URL of a page for developers, which must be https or,
	// on loopback hosts, http.
	ResourceDocumentation string `json:"resource_documentation,omitempty"`
}

// MetadataHandler serves the document to anyone: it is public, any web page may
// read it, and caches may keep it for five minutes. Methods other than GET, HEAD
// and OPTIONS are answered 405.
func MetadataHandler(m Metadata) http.Handler {
	if m.BearerMethodsSupported == nil {
		m.BearerMethodsSupported = []string{"header"}
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		panic(err) // strings always marshal
	}
	served := newDocument(body.Bytes())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serveDocument(w, r, func() *document { return served })
	})
}
