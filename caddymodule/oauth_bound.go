package caddymodule

import (
	"net/http"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// DPoP says how the proofs of tokens that are bound to a key are checked (RFC 9449).
type DPoP struct {
	// Accepted signature algorithms of proofs. Default: those that are accepted for tokens.
	Algorithms []string `json:"algorithms,omitempty"`

	// Whether each proof must have a nonce that this server has given to the client not
	// long before, so that none can be made in advance. A client without one is told it,
	// and sends its request again.
	Nonce bool `json:"nonce,omitempty"`
}

// presentation is how the configuration wants tokens to be presented.
func (o *OAuth) presentation() oauth.Presentation {
	p := oauth.Presentation{TokenHeader: o.TokenHeader, Bound: oauth.Bound(o.Bound)}
	if o.DPoP != nil {
		p.ProofAlgorithms, p.RequireNonce = o.DPoP.Algorithms, o.DPoP.Nonce
	}
	return p
}

// authenticate says who sends a request.
func (o *OAuth) authenticate(h http.Header, r *http.Request) (*oauth.Principal, *answer.Refusal) {
	p, err := o.senders.Authenticate(r, h)
	if err != nil {
		return nil, o.challenge(err)
	}
	return p, nil
}

// metadataHandler adds to the metadata how tokens may be bound (RFC 9728 section 2). A
// client that a platform has logged in has no use for it: it would look for the way to a
// token that it could not send.
func (o *OAuth) metadataHandler(m oauth.Metadata, trails []trail) http.Handler {
	if o.senders.TokenHeader() != "" {
		return http.NotFoundHandler()
	}
	for _, scheme := range o.senders.Schemes() {
		if scheme.Name == oauth.SchemeDPoP {
			m.DPoPSigningAlgValuesSupported = scheme.Algorithms
		}
	}
	m.DPoPBoundAccessTokensRequired = oauth.Bound(o.Bound) == oauth.BoundDPoP
	m.TLSClientCertificateBoundAccessTokens = asksForCertificates(trails)
	return oauth.MetadataHandler(m)
}

// asksForCertificates says whether clients can present a certificate on a way that leads
// here: Caddy asks for one only where client_auth is written.
func asksForCertificates(trails []trail) bool {
	for _, t := range trails {
		for _, policy := range t.server.TLSConnPolicies {
			if policy.ClientAuthentication != nil {
				return true
			}
		}
	}
	return false
}

// checkSenders says at the start that no token could be used.
func (o *OAuth) checkSenders(trails []trail) {
	if oauth.Bound(o.Bound) == oauth.BoundMTLS && !asksForCertificates(trails) {
		o.logger.Error("bound mtls: every token will be refused, because no client is asked for its certificate; write client_auth with \"mode request\" into the tls block of the site")
	}
}
