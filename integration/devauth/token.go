package devauth

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/crypto"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// VerifyClient authenticates the client at the token and revocation endpoints.
// Failure is 401 (RFC 6749 section 5.2); the library would answer 400.
func (p provider) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	found, err := p.resolveClient(ctx, r.Data.ClientID, false)
	if err != nil {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("%s", err), http.StatusUnauthorized)
	}
	if r.Data.ClientAssertion != "" || !found.authenticates(r.Data.ClientSecret) {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("client authentication failed"), http.StatusUnauthorized)
	}
	return found, nil
}

// CodeExchange answers grant_type=authorization_code.
func (p provider) CodeExchange(_ context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	if length := len(r.Data.CodeVerifier); length < 43 || length > 128 || !unreserved(r.Data.CodeVerifier) {
		return nil, oidc.ErrInvalidRequest().WithDescription("code_verifier must be 43 to 128 unreserved characters (RFC 7636 section 4.1)")
	}
	code, err := p.redeemCode(r.Data.Code, r.Client.GetID())
	if err != nil {
		return nil, err
	}
	if code.redirectURI != r.Data.RedirectURI {
		return nil, oidc.ErrInvalidGrant().WithDescription("redirect_uri is not that of the authorization request")
	}
	challenge := &oidc.CodeChallenge{Challenge: code.challenge, Method: oidc.CodeChallengeMethodS256}
	if err := op.AuthorizeCodeChallenge(r.Data.CodeVerifier, challenge); err != nil {
		return nil, err
	}
	resources, err := narrowedResources(r.Form["resource"], code.grant)
	if err != nil {
		return nil, err
	}
	answer, err := p.tokenAnswer(code.grant, code.grant.scopes, resources)
	if err != nil {
		return nil, err
	}
	if slices.Contains(code.grant.scopes, oidc.ScopeOpenID) {
		if answer.IDToken, err = p.idToken(code.grant); err != nil {
			return nil, err
		}
	}
	p.logger.Info("token issued", "client_id", code.grant.clientID, "subject", code.grant.subject, "resources", resources, "scopes", code.grant.scopes)
	return op.NewResponse(answer), nil
}

// RefreshToken answers grant_type=refresh_token. The token is spent only once the
// request is known to be good.
func (p provider) RefreshToken(_ context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	g, err := p.lookUpRefresh(r.Data.RefreshToken, r.Client.GetID())
	if err != nil {
		return nil, err
	}
	scopes := g.scopes
	if len(r.Data.Scopes) > 0 {
		scopes = r.Data.Scopes
		for _, scope := range scopes {
			if !slices.Contains(g.scopes, scope) {
				return nil, oidc.ErrInvalidScope().WithDescription("the scope exceeds what was granted (RFC 6749 section 6)")
			}
		}
	}
	resources, err := narrowedResources(r.Form["resource"], g)
	if err != nil {
		return nil, err
	}
	if err := p.spendRefresh(r.Data.RefreshToken); err != nil {
		return nil, err
	}
	answer, err := p.tokenAnswer(g, scopes, resources)
	if err != nil {
		return nil, err
	}
	p.logger.Info("token refreshed", "client_id", g.clientID, "subject", g.subject, "resources", resources, "scopes", scopes)
	return op.NewResponse(answer), nil
}

// Revocation revokes a refresh token with all of its grant, or one access token
// (RFC 7009 section 2.1). An unknown token is no error (section 2.2).
func (p provider) Revocation(_ context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	tokenID := p.ownTokenID(r.Data.Token)
	p.mu.Lock()
	defer p.mu.Unlock()
	var g *grant
	revoke := func() {}
	if found, ok := p.refreshes.get(r.Data.Token); ok {
		g, revoke = found.grant, func() { found.grant.revoked = true }
	} else if found, ok := p.tokens.get(tokenID); ok {
		g, revoke = found.grant, func() { found.revoked = true }
	}
	if g != nil && g.clientID != r.Client.GetID() {
		return nil, oidc.ErrInvalidGrant().WithDescription("the token was issued to another client")
	}
	revoke()
	return op.NewResponse(nil), nil
}

// narrowedResources are those of the grant that this request wants a token for:
// all, if it names none (RFC 8707 section 2.2).
func narrowedResources(asked []string, g *grant) ([]string, error) {
	if len(asked) == 0 {
		return g.resources, nil
	}
	return requestedResources(asked, g.resources)
}

// tokenAnswer makes the answer of RFC 6749 section 5.1 for a grant.
func (s *Server) tokenAnswer(g *grant, scopes, resources []string) (*oidc.AccessTokenResponse, error) {
	id := rand.Text()
	claims := s.accessClaims(g.subject, g.clientID, id, scopes, resources, s.config.TokenTTL)
	token, err := s.sign(claims, "at+jwt")
	if err != nil {
		return nil, err
	}
	refresh, err := s.remember(g, id)
	if err != nil {
		return nil, err
	}
	return &oidc.AccessTokenResponse{
		AccessToken:  token,
		TokenType:    oidc.BearerToken,
		RefreshToken: refresh,
		ExpiresIn:    uint64(s.config.TokenTTL / time.Second),
		Scope:        scopes,
	}, nil
}

// accessClaims are the claims of RFC 9068 section 2.2. The scope claim holds only
// scopes that mean something to the resource (section 2.2.3). A single audience
// is a string, as RFC 7519 section 4.1.3 allows and simple servers expect.
func (s *Server) accessClaims(subject, clientID, id string, scopes, audience []string, ttl time.Duration) map[string]any {
	now := s.now()
	forResource := slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool {
		return scope == oidc.ScopeOpenID || scope == oidc.ScopeOfflineAccess
	})
	claims := map[string]any{
		"iss":       s.issuer,
		"sub":       subject,
		"aud":       audienceClaim(audience),
		"exp":       now.Add(ttl).Unix(),
		"iat":       now.Unix(),
		"jti":       id,
		"client_id": clientID,
	}
	if len(forResource) > 0 {
		claims["scope"] = strings.Join(forResource, " ")
	}
	return claims
}

// idToken is for the client, never for a resource (OpenID Connect Core section 2).
func (s *Server) idToken(g *grant) (string, error) {
	return s.sign(s.idClaims(g.subject, []string{g.clientID}, g.nonce, g.authTime, s.config.TokenTTL), "JWT")
}

func (s *Server) idClaims(subject string, audience []string, nonce string, authTime time.Time, ttl time.Duration) map[string]any {
	now := s.now()
	claims := map[string]any{
		"iss":       s.issuer,
		"sub":       subject,
		"aud":       audienceClaim(audience),
		"exp":       now.Add(ttl).Unix(),
		"iat":       now.Unix(),
		"auth_time": authTime.Unix(),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return claims
}

func audienceClaim(audience []string) any {
	if len(audience) == 1 {
		return audience[0]
	}
	return audience
}

func (s *Server) sign(claims map[string]any, typ string) (string, error) {
	signer, err := s.keys.signing().signer(map[string]any{"typ": typ})
	if err != nil {
		return "", err
	}
	return crypto.Sign(claims, signer)
}

// ownTokenID is the jti of an access token that a published key signed, else "".
func (s *Server) ownTokenID(token string) string {
	id, _ := s.signedClaims(token)["jti"].(string)
	return id
}
