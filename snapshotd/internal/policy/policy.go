package policy

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/snapgate/snapgate/identity"
)

// The errors of a refusal. insufficient_scope and invalid_token are RFC 6750's
// (section 3.1); the others are the original server's.
const (
	MissingToken      = "missing_token"
	InvalidToken      = "invalid_token"
	TokenExpired      = "token_expired"
	InvalidAudience   = "invalid_audience"
	InsufficientScope = "insufficient_scope"
)

// Request is a call to be decided upon.
type Request struct {
	// Tool is the name as the client wrote it; "" for what is no call of a tool.
	Tool string
	// Scope is the scope that is needed, if it does not follow from Tool.
	Scope string
	// Headers are those of the HTTP request, if there was one. On stdio it is nil.
	Headers http.Header
	// Meta is params._meta of the call.
	Meta map[string]any
	// Arguments are the tool's, as JSON; nil if there are none.
	Arguments json.RawMessage
}

// required is the scope that the request needs.
func (r Request) required() string {
	if r.Scope != "" {
		return r.Scope
	}
	return RequiredScope(r.Tool)
}

// Decision is the answer of a policy.
type Decision struct {
	Authorized bool

	// UserID names the user whose snapshots are meant; "" is the local user.
	UserID string
	// Scopes are what the user may do; nil if the policy knows no scopes.
	Scopes []string
	// Identity is the verified identity behind UserID, nil if there is none.
	Identity *identity.Identity

	// Error, Description and RequiredScope explain a refusal. RequiredScope is "" if
	// no scope would help.
	Error         string
	Description   string
	RequiredScope string
}

// AuthorizationPolicy decides about calls. It is safe for concurrent use.
type AuthorizationPolicy interface {
	Authorize(ctx context.Context, request Request) Decision
}

var (
	_ AuthorizationPolicy = NoAuth{}
	_ AuthorizationPolicy = Dummy{}
	_ AuthorizationPolicy = TrustedMeta{}
)
