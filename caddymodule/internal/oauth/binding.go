package oauth

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
)

// Confirmation says which keys the sender of a token must have (RFC 7800 section 3).
// The zero value is a token that is bound to none.
type Confirmation struct {
	// JKT is the thumbprint of the key that signs the DPoP proofs (RFC 9449 section
	// 6.1): SHA-256, base64url.
	JKT string
	// X5T is the SHA-256 digest of the client's TLS certificate (RFC 8705 section
	// 3.1), base64url.
	X5T string
}

// confirmation reads the cnf claim. A member that is not known is passed over where
// another is (RFC 7800 section 3.1); alone, nobody here could hold the sender to it.
func confirmation(claims map[string]any) (Confirmation, *Error) {
	var c Confirmation
	if !has(claims, "cnf") {
		return c, nil
	}
	members, ok := claims["cnf"].(map[string]any)
	if !ok {
		return c, refuse("cnf: not an object")
	}
	for name, into := range map[string]*string{"jkt": &c.JKT, "x5t#S256": &c.X5T} {
		value, ok := members[name]
		if !ok {
			continue
		}
		digest, _ := value.(string)
		if raw, err := decodeBase64(digest); err != nil || len(raw) != sha256.Size {
			return Confirmation{}, refuse("cnf: " + name + " is not a SHA-256 digest in base64url")
		}
		*into = digest
	}
	if c == (Confirmation{}) {
		return c, refuse("cnf: the token is bound by something else than jkt or x5t#S256")
	}
	return c, nil
}

// checkCertificate holds the sender to the certificate of the connection (RFC 8705
// section 3), whoever has issued that: what counts is that the TLS handshake proved
// possession of its key.
func (c Confirmation) checkCertificate(connection *tls.ConnectionState) *Error {
	if c.X5T == "" {
		return nil
	}
	if connection == nil || len(connection.PeerCertificates) == 0 {
		return refuse("cnf: the token is bound to a certificate and the connection has none of the client")
	}
	sum := sha256.Sum256(connection.PeerCertificates[0].Raw)
	if !equal(c.X5T, base64.RawURLEncoding.EncodeToString(sum[:])) {
		return refuse("cnf: the token is bound to another certificate than that of the connection")
	}
	return nil
}

// Scheme is the one under which the principal's tokens come: a token with a DPoP key
// under no other.
func (p *Principal) Scheme() string {
	if p.Confirmation.JKT != "" {
		return SchemeDPoP
	}
	return SchemeBearer
}

// Bound says by what tokens must be bound to their sender.
type Bound string

// What [Presentation] may demand.
const (
	BoundNot  Bound = ""     // nothing, but a binding that is there is checked
	BoundDPoP Bound = "dpop" // by a DPoP key (RFC 9449)
	BoundMTLS Bound = "mtls" // by a TLS client certificate (RFC 8705)
	BoundAny  Bound = "any"  // by either
)

// check says whether a token is bound as it is demanded.
func (b Bound) check(c Confirmation) *Error {
	ok := true
	switch b {
	case BoundDPoP:
		ok = c.JKT != ""
	case BoundMTLS:
		ok = c.X5T != ""
	case BoundAny:
		ok = c != Confirmation{}
	}
	if ok {
		return nil
	}
	refusal := refuse(fmt.Sprintf("cnf: the token is not bound to its sender as \"bound %s\" demands", b))
	refusal.Description = "The access token is not bound to its sender"
	return refusal
}
