package devauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is a registered client or the one that a metadata document describes.
// It does not change once it is made.
type client struct {
	id           string
	secret       string // "" for a public client
	name         string // what the client calls itself, not to be trusted
	authMethod   oidc.AuthMethod
	grantTypes   []oidc.GrantType
	redirectURIs []string
	loginPath    string
}

var _ op.Client = (*client)(nil)

var errUnknownClient = errors.New("the client is not registered here; this server forgets its clients when it ends, so have the client register again")

// resolveClient finds a client by its id. With fresh, a metadata document is
// fetched unless that was done in the last minute; without, the last one has to
// do, so that a client keeps its tokens while its document is out of reach and
// the token endpoint fetches nothing for strangers.
func (s *Server) resolveClient(ctx context.Context, id string, fresh bool) (*client, error) {
	if isDocumentURL(id) {
		return s.documentedClient(ctx, id, fresh)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.clients.get(id)
	if !ok {
		return nil, errUnknownClient
	}
	return found, nil
}

// authenticates says whether a token request's secret is right. A public client
// has none; one that its HTTP library sends as an empty Basic password is none.
func (c *client) authenticates(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(c.secret), []byte(secret)) == 1
}

func (c *client) mayRefresh() bool {
	return slices.Contains(c.grantTypes, oidc.GrantTypeRefreshToken)
}

// The methods below are what package op asks of a client.

func (c *client) GetID() string                        { return c.id }
func (c *client) RedirectURIs() []string               { return c.redirectURIs }
func (c *client) PostLogoutRedirectURIs() []string     { return nil }
func (c *client) AuthMethod() oidc.AuthMethod          { return c.authMethod }
func (c *client) GrantTypes() []oidc.GrantType         { return c.grantTypes }
func (c *client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (c *client) IDTokenLifetime() time.Duration       { return DefaultTokenTTL }
func (c *client) DevMode() bool                        { return false }
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return false }
func (c *client) ClockSkew() time.Duration             { return 0 }

// ApplicationType is native for all: it is the type whose redirect URIs may be
// https, loopback with a free port, or of a private-use scheme.
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }

func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

func (c *client) LoginURL(id string) string {
	return c.loginPath + "?" + url.Values{"request": {id}}.Encode()
}

// IsScopeAllowed leaves all scopes in: the authorization endpoint here looks at
// them itself.
func (c *client) IsScopeAllowed(string) bool { return true }

func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
