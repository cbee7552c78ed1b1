// Package identity is the contract between the Snapgate gateway and the stdio
// server behind it: who the verified user of a request is.
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
// The package depends on the standard library alone.
package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
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

// Identity is the verified user of one request.
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
	// Expires is the end of the token's validity in seconds since the Unix epoch.
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

// FromMeta returns the identity in a request's _meta, as go-sdk's GetMeta or any
// decoder into map[string]any yields it. The error is [ErrMissing] if there is
// none, or wraps [ErrInvalid].
func FromMeta(meta map[string]any) (*Identity, error) {
	value, ok := meta[MetaKey]
	if !ok || value == nil {
		return nil, ErrMissing
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return Parse(raw)
}

// Parse reads an identity from its JSON form and validates it. The error wraps
// [ErrInvalid].
func Parse(raw []byte) (*Identity, error) {
	var id Identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	if err := id.Validate(); err != nil {
		return nil, err
	}
	return &id, nil
}

// Validate says whether the identity keeps the contract: issuer and subject are
// there and User is derived from them. The error wraps [ErrInvalid].
func (id *Identity) Validate() error {
	switch {
	case id.Issuer == "":
		return fmt.Errorf("%w: no issuer", ErrInvalid)
	case id.Subject == "":
		return fmt.Errorf("%w: no subject", ErrInvalid)
	case id.User != UserKey(id.Issuer, id.Subject):
		return fmt.Errorf("%w: user %q is not the key of its issuer and subject", ErrInvalid, id.User)
	}
	return nil
}

// HasScope says whether the token grants the scope. Scopes are case-sensitive
// (RFC 6749 section 3.3).
func (id *Identity) HasScope(scope string) bool {
	return slices.Contains(id.Scopes, scope)
}

// Expired says whether the token behind the identity had ended at t. A call that
// the gateway let through may finish after that.
func (id *Identity) Expired(t time.Time) bool {
	return id.Expires != 0 && t.Unix() >= id.Expires
}
