// Package identity is the contract between the Snapgate gateway and the MCP server
// behind it: who the verified user of a request is.
//
// The gateway verifies an OAuth access token and stamps the outcome into
// params._meta under [MetaKey] of every request and notification it forwards.
// Before it does so it removes every key under [MetaPrefix] that the client
// wrote, so behind the gateway the value can only be the gateway's own. A server
// that is started without the gateway must not believe the key at all.
//
//	id, err := identity.FromMeta(req.Params.GetMeta())
//	if err != nil {
//		return nil, err // no verified user: refuse
//	}
//
// A server that reads messages itself has [FromParams]. Two packages beside this
// one are for those who write servers: mcpidentity, a middleware for
// github.com/modelcontextprotocol/go-sdk, and identitytest, which runs a server in
// any language and reports whether it believes anything but the stamp.
//
// What is believed is one key, spelled exactly like [MetaKey]: one that differs in
// case, or only looks like it, is any client's to write. Members of an identity
// that this version does not know are ignored, so that a later gateway may add some.
//
// The package depends on the standard library alone.
package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// MetaPrefix is the reverse-DNS prefix of all _meta keys that belong to the
	// gateway. Clients and servers cannot send keys under it to one another.
	MetaPrefix = "io.github.snapgate/"

	// MetaKey is the _meta key whose value is an [Identity].
	MetaKey = MetaPrefix + "identity"

	// UpdateKey is the _meta key of notifications/resources/updated whose value is the
	// [Identity.User] that the update is for. Where all users share one process ("per
	// shared") an update reaches nobody else, and one without the key nobody. A server
	// that writes it says so by a member of this name in the experimental capabilities
	// of its answer to initialize or server/discover. A notification that a list has
	// changed may have the key, too. The gateway removes it on the way.
	UpdateKey = MetaPrefix + "user"
)

// Environment variables that a process serving one user only has, beside the
// stamped messages. They hold what cannot change while the process lives.
const (
	EnvIssuer  = "SNAPGATE_ISSUER"
	EnvSubject = "SNAPGATE_SUBJECT"
	EnvUser    = "SNAPGATE_USER"
)

// ErrMissing means that a message carries no identity: it did not come through
// the gateway, or the gateway's configuration says "identity off".
var ErrMissing = errors.New("no verified identity in _meta[\"" + MetaKey + "\"]")

// ErrInvalid is wrapped by the error for an identity that is there but does not
// keep the contract.
var ErrInvalid = errors.New("invalid identity in _meta[\"" + MetaKey + "\"]")

// Identity is the verified user of one request. Whoever gets one from a context
// shares it with others, and must not change it.
type Identity struct {
	// Issuer is the authorization server that vouches for the user, exactly as in
	// the token's iss claim (RFC 9068 section 2.2).
	Issuer string `json:"issuer"`
	// Subject is the user as Issuer names them. It is unique only within Issuer.
	Subject string `json:"subject"`
	// User is [UserKey] of Issuer and Subject: short, stable, safe as a file name.
	User string `json:"user"`
	// ClientID is the OAuth client that the user authorized; "" if not known.
	ClientID string `json:"client_id"`
	// Scopes are those the token grants, in the token's order.
	Scopes []string `json:"scopes"`
	// Expires is the end of the token's validity in seconds since the Unix epoch; 0 if
	// not known.
	Expires int64 `json:"expires"`
	// Claims are those further claims of the token that the operator listed.
	Claims map[string]any `json:"claims"`
}

// UserKey names a user in 26 characters of a-z and 2-7: the lower-case base32,
// without padding (RFC 4648 section 6), of the first 16 bytes of
// SHA-256(issuer, LF, subject).
func UserKey(issuer, subject string) string {
	sum := sha256.Sum256([]byte(issuer + "\n" + subject))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// Validate says whether the identity keeps the contract: issuer and subject are
// there, User is derived from them, and each scope is one (RFC 6749 section 3.3).
// It does not look at the clock, see [Identity.Expired]. The error wraps
// [ErrInvalid].
func (id *Identity) Validate() error {
	switch {
	case id.Issuer == "":
		return fmt.Errorf("%w: no issuer", ErrInvalid)
	case id.Subject == "":
		return fmt.Errorf("%w: no subject", ErrInvalid)
	case id.User != UserKey(id.Issuer, id.Subject):
		return fmt.Errorf("%w: user %q is not the key of its issuer and subject", ErrInvalid, id.User)
	}
	for _, scope := range id.Scopes {
		if !isScope(scope) {
			return fmt.Errorf("%w: %q is no scope", ErrInvalid, scope)
		}
	}
	return nil
}

// isScope says whether s is a scope-token (RFC 6749 section 3.3).
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// HasScope says whether the token grants the scope. Scopes are case-sensitive
// (RFC 6749 section 3.3).
func (id *Identity) HasScope(scope string) bool {
	return slices.Contains(id.Scopes, scope)
}

// MissingScopes are those of the required scopes that the token does not grant, nil
// if it grants them all.
func (id *Identity) MissingScopes(required ...string) []string {
	var missing []string
	for _, scope := range required {
		if !id.HasScope(scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// Expired says whether the token behind the identity had ended at t. A call that
// the gateway let through may finish after that, and its clock may differ from this
// one: whoever refuses on it should allow a minute or two, t being that much earlier
// than now.
func (id *Identity) Expired(t time.Time) bool {
	return id.Expires != 0 && t.Unix() >= id.Expires
}
