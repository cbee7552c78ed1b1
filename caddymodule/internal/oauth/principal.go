package oauth

import (
	"time"

	"github.com/snapgate/snapgate/identity"
)

// Principal is whom a verified token speaks for.
//
// One Principal is handed to every request that brings the same token, so it
// must not be changed, nor anything it refers to.
type Principal struct {
	// Issuer is the token's iss, one of those configured.
	Issuer string
	// Subject is the user as Issuer names them: not empty, no control characters.
	Subject string
	// SubjectClaim is the claim that Subject is from. The same words in another claim may
	// name somebody else.
	SubjectClaim string
	// User is [identity.UserKey] of Issuer and Subject.
	User string
	// ClientID is the token's client_id, or else its azp, or else its cid, or "".
	ClientID string
	// Scopes are what the token grants, never nil, in the token's order.
	Scopes []string
	// Expires is the token's exp. A token is accepted up to the clock skew longer.
	Expires time.Time
	// Confirmation says which keys the sender of the token must have. Whoever has it
	// from a [Verifier] must check that; an [Authenticator] has done so.
	Confirmation Confirmation
	// Claims are all claims of the token. Numbers are int64 or uint64 where they
	// are whole and fit, else float64.
	Claims map[string]any
}

// Identity returns what the server behind the gateway is told. Of the token's
// claims it has only those listed; a claim that the token lacks is left out. Its
// values are shared with the principal and must not be changed.
func (p *Principal) Identity(claims []string) identity.Identity {
	listed := make(map[string]any, len(claims))
	for _, claim := range claims {
		if value, ok := p.Claims[claim]; ok {
			listed[claim] = value
		}
	}
	return identity.Identity{
		Issuer:   p.Issuer,
		Subject:  p.Subject,
		User:     p.User,
		ClientID: p.ClientID,
		Scopes:   p.Scopes,
		Expires:  p.Expires.Unix(),
		Claims:   listed,
	}
}
