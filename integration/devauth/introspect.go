package devauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"maps"
	"net/http"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Introspect tells a resource server about a token (RFC 7662). Only those that are
// configured may ask (section 2.1), and of a token that is no good they learn nothing
// more (section 2.2).
func (p provider) Introspect(_ context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	asking := r.Data.ClientCredentials
	secret, known := p.config.ResourceServers[asking.ClientID]
	if !known || subtle.ConstantTimeCompare([]byte(secret), []byte(asking.ClientSecret)) != 1 {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("the resource server is not known, or its secret is another"), http.StatusUnauthorized)
	}
	answer := map[string]any{"active": false}
	if claims := p.claimsOf(r.Data.Token); claims != nil {
		answer = maps.Clone(claims)
		answer["active"], answer["token_type"] = true, oidc.BearerToken
	}
	p.logger.Info("token introspected", "resource_server", asking.ClientID, "active", answer["active"])
	return op.NewResponse(answer), nil
}

// claimsOf are the claims of an access token that is good now, else nil.
func (s *Server) claimsOf(token string) map[string]any {
	s.mu.Lock()
	claims, ok := s.opaque.get(token)
	s.mu.Unlock()
	if !ok {
		claims = s.signedClaims(token)
	}
	end, isTime := number(claims["exp"])
	if !isTime || s.now().Unix() >= end {
		return nil
	}
	if id, _ := claims["jti"].(string); s.Revoked(id) {
		return nil
	}
	return claims
}

// signedClaims are those of a JWT that a published key has signed, else nil.
func (s *Server) signedClaims(token string) map[string]any {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return nil
	}
	var claims map[string]any
	if err := parsed.Claims(s.keys.set(), &claims); err != nil {
		return nil
	}
	return claims
}

func number(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), true
	}
	return 0, false
}

// mintOpaque makes a token that says nothing, and remembers what it stands for.
func (s *Server) mintOpaque(claims map[string]any) string {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opaque.put(token, claims)
	return token
}

// Revoke ends an opaque token of [Server.Mint]: from now on introspection does not know
// it.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opaque.delete(token)
}
