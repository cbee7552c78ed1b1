package caddymodule

import (
	"net/http"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// SenderSettings say how the sender of a request shows that the token is theirs.
type SenderSettings struct {
	// The header in which a platform in front, which has logged the user in, puts a signed
	// assertion, such as Cf-Access-Jwt-Assertion. It takes the place of Authorization.
	TokenHeader string `json:"token_header,omitempty"`

	// By what tokens must be bound to their sender: "dpop", "mtls" or "any". Default: by
	// nothing, but a binding that a token has is always checked.
	Bound string `json:"bound,omitempty"`

	// How DPoP proofs are checked.
	DPoP *DPoP `json:"dpop,omitempty"`
}

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
func (s *SenderSettings) presentation() oauth.Presentation {
	p := oauth.Presentation{TokenHeader: s.TokenHeader, Bound: oauth.Bound(s.Bound)}
	if s.DPoP != nil {
		p.ProofAlgorithms, p.RequireNonce = s.DPoP.Algorithms, s.DPoP.Nonce
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
		o.log.Error("bound mtls: every token will be refused, because no client is asked for its certificate; write client_auth with \"mode request\" into the tls block of the site")
	}
}
