package identitytest

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/snapgate/snapgate/identity"
)

// The authorization servers of the users. Names under .example are no one's (RFC 2606).
const (
	issuer      = "https://auth.example"
	otherIssuer = "https://other.example"
)

// user is someone whom no earlier check has seen.
type user struct {
	issuer, subject string
	scopes          []string
}

func newUser(name string, scopes []string) user {
	return user{issuer: issuer, subject: name + "-" + unique(), scopes: scopes}
}

// unique is a text of letters and digits that is found nowhere else.
func unique() string { return "k" + strings.ToLower(rand.Text()[:20]) }

// identity is what the gateway stamps for the user.
func (u user) identity() identity.Identity {
	scopes := u.scopes
	if scopes == nil {
		scopes = []string{}
	}
	return identity.Identity{
		Issuer: u.issuer, Subject: u.subject, User: u.key(), ClientID: "identitytest",
		Scopes: scopes, Expires: time.Now().Add(time.Hour).Unix(), Claims: map[string]any{},
	}
}

func (u user) key() string { return identity.UserKey(u.issuer, u.subject) }

// stamp is the member of _meta that says so.
func (u user) stamp() []member { return stampOf(u.identity()) }

func stampOf(value any) []member { return []member{field(identity.MetaKey, value)} }
