package policy

import (
	"context"
	"strings"
)

// dummyToken is the only token that [Dummy] takes.
const dummyToken = "valid-token"

// Dummy accepts the bearer token "valid-token" and nothing else. It verifies
// nothing, is for tests, and no setting of snapshotd selects it. The token stands
// in the Authorization header or, where there are no headers, in
// _meta["authorization"].
type Dummy struct{}

// Authorize implements [AuthorizationPolicy].
func (Dummy) Authorize(_ context.Context, request Request) Decision {
	authorization := request.Headers.Get("Authorization")
	if authorization == "" {
		authorization, _ = request.Meta["authorization"].(string)
	}
	// The scheme is case-insensitive (RFC 9110 section 11.1).
	scheme, token, _ := strings.Cut(authorization, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return Decision{Error: MissingToken, Description: "No bearer token", RequiredScope: request.required()}
	case token != dummyToken:
		return Decision{Error: InvalidToken, Description: "The token is not the one for tests"}
	}
	if granted := []string{ScopeRead, ScopeWrite, ScopeDelete, ScopeExport}; Grants(granted, request.required()) {
		return Decision{Authorized: true, UserID: "test-user", Scopes: granted}
	}
	return Decision{Error: InsufficientScope, Description: "The token for tests is no administrator's", RequiredScope: request.required()}
}
