package devauth

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// pendingRequest is an authorization request whose page is open in a browser.
type pendingRequest struct {
	client      *client
	redirectURI string
	state       string
	nonce       string
	challenge   string // S256, the only method
	scopes      []string
	resources   []string
	loginHint   string
	csrf        string // in the form
	browser     string // in the cookie
}

// grant is what one user allowed one client. All codes and tokens that come of
// one login belong to one grant and are revoked together.
type grant struct {
	clientID  string
	subject   string
	scopes    []string
	resources []string
	nonce     string
	authTime  time.Time
	refresh   bool
	revoked   bool // under Server.mu
}

// authorizationCode is good once and for a minute. It is remembered longer, so
// that its reuse is noticed.
type authorizationCode struct {
	grant       *grant
	redirectURI string
	challenge   string
	expires     time.Time
	used        bool
}

// refreshToken is good once. Used ones are remembered, so that reuse is noticed.
type refreshToken struct {
	grant *grant
	used  bool
}

// accessToken is what is remembered of a token that a client was given, by jti.
type accessToken struct {
	grant   *grant
	revoked bool
}

// issueCode makes the code for what the user allowed.
func (s *Server) issueCode(request *pendingRequest, subject string, scopes []string) string {
	now := s.now()
	code := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes.put(code, &authorizationCode{
		grant: &grant{
			clientID:  request.client.id,
			subject:   subject,
			scopes:    scopes,
			resources: request.resources,
			nonce:     request.nonce,
			authTime:  now,
			refresh:   mayStay(request, scopes),
		},
		redirectURI: request.redirectURI,
		challenge:   request.challenge,
		expires:     now.Add(codeTTL),
	})
	return code
}

// mayStay says whether a refresh token goes with the access token. A client that
// registered the grant gets one without asking, as many MCP clients never ask for
// offline_access; one that asks gets it if the user left the tick in place.
func mayStay(request *pendingRequest, granted []string) bool {
	if !request.client.mayRefresh() {
		return false
	}
	return !slices.Contains(request.scopes, oidc.ScopeOfflineAccess) || slices.Contains(granted, oidc.ScopeOfflineAccess)
}

// redeemCode takes the code out of use and returns what it stood for. A second
// use revokes all that came of the first (RFC 6749 section 4.1.2, RFC 9700
// section 4.2.4). An attempt by the right client uses the code up even where the
// verifier turns out to be wrong, so a stolen code cannot be tried twice.
func (s *Server) redeemCode(code, clientID string) (*authorizationCode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.codes.get(code)
	if !ok || found.grant.clientID != clientID {
		return nil, oidc.ErrInvalidGrant().WithDescription("the code is not known or was given to another client")
	}
	if found.used {
		found.grant.revoked = true
		s.logger.Warn("authorization code used twice, its tokens are revoked", "client_id", clientID, "subject", found.grant.subject)
		return nil, oidc.ErrInvalidGrant().WithDescription("the code was used before")
	}
	found.used = true
	if !s.now().Before(found.expires) {
		return nil, oidc.ErrInvalidGrant().WithDescription("the code has expired")
	}
	return found, nil
}

// lookUpRefresh returns the grant behind a refresh token that is still good. A
// used one revokes the grant: either the client or a thief holds a copy, and the
// server cannot tell which (RFC 9700 section 4.14.2).
func (s *Server) lookUpRefresh(token, clientID string) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.refreshes.get(token)
	if !ok || found.grant.clientID != clientID {
		return nil, oidc.ErrInvalidGrant().WithDescription("the refresh token is not known, has expired, or was given to another client")
	}
	if found.used {
		found.grant.revoked = true
		s.logger.Warn("refresh token used twice, its tokens are revoked", "client_id", clientID, "subject", found.grant.subject)
	}
	if found.grant.revoked {
		return nil, oidc.ErrInvalidGrant().WithDescription("the refresh token is revoked")
	}
	return found.grant, nil
}

// spendRefresh marks the token used. Of two requests at once the second finds it
// used: that is reuse like any other.
func (s *Server) spendRefresh(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.refreshes.get(token)
	if !ok || found.used || found.grant.revoked {
		if ok {
			found.grant.revoked = true
		}
		return oidc.ErrInvalidGrant().WithDescription("the refresh token is revoked")
	}
	found.used = true
	return nil
}

// remember keeps an access token's id with its grant, and makes the refresh token
// that goes with it, "" for none.
func (s *Server) remember(g *grant, tokenID string) (refresh string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.revoked {
		return "", oidc.ErrInvalidGrant().WithDescription("the grant is revoked")
	}
	s.tokens.put(tokenID, &accessToken{grant: g})
	if !g.refresh {
		return "", nil
	}
	refresh = rand.Text()
	s.refreshes.put(refresh, &refreshToken{grant: g})
	return refresh, nil
}

// Revoked says whether the access token with this jti was given to a client and
// revoked since, by the client or because a code or refresh token was used twice.
// A resource server that verifies signatures alone does not see it. Tokens of
// [Server.Mint] are not tracked.
func (s *Server) Revoked(tokenID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.tokens.get(tokenID)
	return ok && (found.revoked || found.grant.revoked)
}
