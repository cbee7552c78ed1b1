package devauth

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Signing is how a minted token is signed. All but the first are attacks.
type Signing int

const (
	// SignCurrent signs as the server does.
	SignCurrent Signing = iota
	// SignUnknownKey signs with a fresh key that is not in the JWKS, under its
	// own key id.
	SignUnknownKey
	// SignForgedKey signs with a fresh key but claims the id of the current one.
	SignForgedKey
	// SignNone has "alg":"none" and an empty signature (RFC 7518 section 3.6).
	SignNone
	// SignHMAC is HS256 with the PEM of the current public key for a secret: it
	// passes where a verifier takes the algorithm from the token (RFC 8725
	// section 2.1).
	SignHMAC
	// SignCorrupt signs as the server does and then changes the signature.
	SignCorrupt
)

// MintOptions describe a token. The zero value is a good access token for the
// first user, the first resource and the default scopes.
type MintOptions struct {
	// Subject is the sub claim. It need not be one of the users.
	Subject string
	// Audience is the aud claim. Default: the first allowed resource, which must
	// then exist. For an IDToken: the client.
	Audience []string
	// Scopes go into the scope claim. Default, if nil: [Server.DefaultScopes]. An
	// empty slice leaves the claim out.
	Scopes []string
	// ClientID is the client_id claim. Default: "devauth-mint".
	ClientID string
	// Issuer is the iss claim. Default: the server's.
	Issuer string
	// TTL counts from now. Default: the server's TokenTTL. Negative: expired.
	TTL time.Duration
	// Key, a public one, binds the token to the client's DPoP proofs (RFC 9449
	// section 6.1): cnf has its thumbprint in jkt.
	Key crypto.PublicKey
	// Certificate binds the token to the client's TLS certificate (RFC 8705 section
	// 3.1): cnf has its digest in x5t#S256.
	Certificate *x509.Certificate
	// Claims are set last, over all others; a nil value takes the claim out.
	Claims map[string]any
	// Header members are set over typ, alg and kid; a nil value takes typ or kid
	// out. With alg the token says one algorithm and is signed by another.
	Header map[string]any
	// Sign is how the token is signed.
	Sign Signing
	// IDToken mints what OpenID Connect calls an ID token in place of an access
	// token: typ JWT, with nonce and auth_time, without client_id, scope and jti.
	IDToken bool
	// Opaque mints a token that says nothing by itself: introspection knows its claims.
	// Header and Sign have no meaning then.
	Opaque bool
}

// Mint returns a token, signed unless it is opaque, that no client asked for, good or bad. It is not
// tracked: [Server.Revoked] never knows it.
func (s *Server) Mint(options MintOptions) (string, error) {
	if s.issuer == "" && options.Issuer == "" {
		return "", errors.New("devauth: no issuer to mint for: configure one or start the server")
	}
	claims, err := s.mintClaims(options)
	if err != nil {
		return "", err
	}
	if options.Opaque {
		return s.mintOpaque(claims), nil
	}
	header := map[string]any{"typ": "at+jwt"}
	if options.IDToken {
		header["typ"] = "JWT"
	}
	maps.Copy(header, options.Header)
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("devauth: claims: %w", err)
	}
	if options.Sign == SignNone {
		return unsigned(header, payload)
	}
	signer, err := s.mintSigner(options.Sign, header)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("devauth: signing: %w", err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("devauth: signing: %w", err)
	}
	if options.Sign == SignCorrupt {
		return corrupted(token), nil
	}
	return token, nil
}

func (s *Server) mintClaims(o MintOptions) (map[string]any, error) {
	if o.Subject == "" {
		o.Subject = s.config.Users[0]
	}
	if o.ClientID == "" {
		o.ClientID = "devauth-mint"
	}
	if o.TTL == 0 {
		o.TTL = s.config.TokenTTL
	}
	if o.Scopes == nil {
		o.Scopes = s.DefaultScopes()
	}
	if o.Audience == nil && o.IDToken {
		o.Audience = []string{o.ClientID}
	}
	if o.Audience == nil {
		s.mu.Lock()
		if len(s.resources) > 0 {
			o.Audience = []string{s.resources[0]}
		}
		s.mu.Unlock()
		if o.Audience == nil {
			return nil, errors.New("devauth: no resource is allowed, so a token needs an audience")
		}
	}
	var claims map[string]any
	if o.IDToken {
		claims = s.idClaims(o.Subject, o.Audience, rand.Text(), s.now(), o.TTL)
	} else {
		claims = s.accessClaims(o.Subject, o.ClientID, rand.Text(), o.Scopes, o.Audience, o.TTL)
	}
	if o.TTL < 0 {
		claims["iat"] = s.now().Add(2 * o.TTL).Unix() // issued before it expired
	}
	if o.Issuer != "" {
		claims["iss"] = o.Issuer
	}
	bound, err := confirmation(o)
	if err != nil {
		return nil, err
	}
	if len(bound) > 0 {
		claims["cnf"] = bound
	}
	override(claims, o.Claims)
	return claims, nil
}

// confirmation is the cnf claim (RFC 7800 section 3.1), empty for a bearer token.
func confirmation(o MintOptions) (map[string]string, error) {
	members := map[string]string{}
	if o.Key != nil {
		sum, err := (&jose.JSONWebKey{Key: o.Key}).Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("devauth: key thumbprint: %w", err)
		}
		members["jkt"] = base64.RawURLEncoding.EncodeToString(sum)
	}
	if o.Certificate != nil {
		sum := sha256.Sum256(o.Certificate.Raw)
		members["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return members, nil
}

// override sets values and takes out those that are nil.
func override(members, values map[string]any) {
	for name, value := range values {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
}

func (s *Server) mintSigner(signing Signing, header map[string]any) (jose.Signer, error) {
	key := *s.keys.signing()
	switch signing {
	case SignCurrent, SignCorrupt:
	case SignUnknownKey, SignForgedKey:
		fresh, err := newSigningKey(string(key.algorithm))
		if err != nil {
			return nil, err
		}
		if signing == SignForgedKey {
			fresh.id = key.id
		}
		key = *fresh
	case SignHMAC:
		return hmacSigner(&key, header)
	default:
		return nil, fmt.Errorf("devauth: there is no signing %d", signing)
	}
	header = maps.Clone(header)
	if id, given := header["kid"]; given && id == nil {
		key.id = ""
	}
	maps.DeleteFunc(header, func(_ string, value any) bool { return value == nil })
	return key.signer(header)
}

// hmacSigner takes the public key, in the form people keep it, for a secret.
func hmacSigner(key *signingKey, header map[string]any) (jose.Signer, error) {
	der, err := x509.MarshalPKIXPublicKey(key.private.Public())
	if err != nil {
		return nil, fmt.Errorf("devauth: public key: %w", err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"kid": key.id}}
	for name, value := range header {
		options.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	maps.DeleteFunc(options.ExtraHeaders, func(_ jose.HeaderKey, value any) bool { return value == nil })
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, options)
	if err != nil {
		return nil, fmt.Errorf("devauth: HS256 signer: %w", err)
	}
	return signer, nil
}

// unsigned writes the form that no JOSE library will: there is nothing to sign.
func unsigned(header map[string]any, payload []byte) (string, error) {
	members := map[string]any{"alg": "none"}
	override(members, header)
	encoded, err := json.Marshal(members)
	if err != nil {
		return "", fmt.Errorf("devauth: header: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
}

// corrupted changes the first character of the signature: the last may hold bits
// that base64 throws away.
func corrupted(token string) string {
	changed := []byte(token)
	for i := len(changed) - 1; i > 0; i-- {
		if changed[i-1] == '.' {
			if changed[i] == 'A' {
				changed[i] = 'B'
			} else {
				changed[i] = 'A'
			}
			break
		}
	}
	return string(changed)
}
