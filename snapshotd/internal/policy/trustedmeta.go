package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/snapgate/snapgate/identity"
)

// ExpiryGrace is how long after the end of its token a call is still let in. The
// gateway has verified the token when it forwarded the call; the grace covers the
// clock skew that it allows and the time that a call may spend in the pipe.
const ExpiryGrace = 2 * time.Minute

// TrustedMeta believes the identity that the Snapgate gateway stamps into _meta,
// and only that. It is safe only behind the gateway, which removes whatever a
// client writes under that key.
type TrustedMeta struct {
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Authorize implements [AuthorizationPolicy].
func (p TrustedMeta) Authorize(_ context.Context, request Request) Decision {
	scope := request.required()
	id, err := identity.FromMeta(request.Meta)
	switch {
	case errors.Is(err, identity.ErrMissing):
		return Decision{Error: MissingToken, Description: "No verified identity came with the call", RequiredScope: scope}
	case err != nil:
		return Decision{Error: InvalidToken, Description: "The identity that came with the call is not valid", RequiredScope: scope}
	case id.Expired(p.now().Add(-ExpiryGrace)):
		return Decision{Error: TokenExpired, Description: "The token behind the call has expired", RequiredScope: scope}
	case !Grants(id.Scopes, scope):
		return Decision{
			Error:         InsufficientScope,
			Description:   fmt.Sprintf("%s needs the scope %s", toolName(request.Tool), scope),
			RequiredScope: scope,
		}
	}
	return Decision{Authorized: true, UserID: id.User, Scopes: id.Scopes, Identity: id}
}

func (p TrustedMeta) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// toolName repeats a name in an answer only if it is one of ours.
func toolName(tool string) string {
	switch {
	case scopes[tool] != "":
		return tool
	case tool == "":
		return "This request"
	}
	return "This call"
}
