package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// How the gateway says at an issuer's endpoint who it is.
const (
	AuthBasic         = "basic"           // RFC 6749 section 2.3.1, in the header
	AuthPost          = "post"            // the same, in the body
	AuthPrivateKeyJWT = "private_key_jwt" // RFC 7523 section 2.2
)

// assertionType is client_assertion_type of RFC 7523 section 2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLife is how long an assertion is good. It is made for one request.
const assertionLife = time.Minute

// ClientAuth is how the gateway authenticates itself as a client of an issuer.
type ClientAuth struct {
	// ID is the client_id that the issuer gave the gateway. Required.
	ID string
	// Method is [AuthBasic], [AuthPost] or [AuthPrivateKeyJWT]. Default: the last if
	// there is a Key, else the first.
	Method string
	// Secret is for the first two methods.
	Secret string
	// Key signs for the third: RSA from 2048 bits, ECDSA on P-256, P-384 or P-521, or
	// Ed25519.
	Key crypto.Signer
	// KeyID is the kid under which the issuer knows Key. Default: none, which does where
	// it knows one key of the client only.
	KeyID string
}

func (c ClientAuth) withDefaults() ClientAuth {
	switch {
	case c.Method != "":
	case c.Key != nil:
		c.Method = AuthPrivateKeyJWT
	default:
		c.Method = AuthBasic
	}
	return c
}

// check names the setting that is wrong and says what would be right.
func (c ClientAuth) check() error {
	if !slices.Contains([]string{AuthBasic, AuthPost, AuthPrivateKeyJWT}, c.Method) {
		return fmt.Errorf("auth %q: use one of %s, %s, %s", c.Method, AuthBasic, AuthPost, AuthPrivateKeyJWT)
	}
	byKey := c.Method == AuthPrivateKeyJWT
	switch {
	case c.ID == "":
		return errors.New("client_id: is missing; write the id that the issuer gave the gateway")
	case byKey && c.Key == nil:
		return fmt.Errorf("key: is missing; auth %s takes a file with the private key in PEM", AuthPrivateKeyJWT)
	case byKey && c.Secret != "":
		return fmt.Errorf("client_secret: is of no use with auth %s; leave it out", AuthPrivateKeyJWT)
	case !byKey && c.Secret == "":
		return fmt.Errorf("client_secret: is missing, and auth %s needs it", c.Method)
	case !byKey && c.Key != nil:
		return fmt.Errorf("key: is of no use with auth %s; leave one of them out", c.Method)
	case byKey:
		_, err := keyMethod(c.Key)
		return err
	}
	return nil
}

// digest stands for all of it in a configuration's digest. A key counts by its public
// half.
func (c ClientAuth) digest() []string {
	parts := []string{c.ID, c.Method, c.Secret, c.KeyID, ""}
	if c.Key != nil {
		der, err := x509.MarshalPKIXPublicKey(c.Key.Public())
		if err != nil {
			return parts // refused by check
		}
		sum := sha256.Sum256(der)
		parts[4] = hex.EncodeToString(sum[:])
	}
	return parts
}

// authenticate adds what the issuer knows the gateway by to a request and to its form.
// The audience of an assertion is the issuer itself, so that it is good nowhere else (RFC
// 7523 section 3).
func (c ClientAuth) authenticate(header http.Header, form url.Values, issuer string, now time.Time) error {
	switch c.Method {
	case AuthPost:
		form.Set("client_id", c.ID)
		form.Set("client_secret", c.Secret)
	case AuthPrivateKeyJWT:
		assertion, err := c.assertion(issuer, now)
		if err != nil {
			return err
		}
		form.Set("client_id", c.ID)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	default:
		// Both are encoded as in a form first, so that a colon or a letter beyond ASCII in
		// them means the same to both sides.
		r := http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	}
	return nil
}

// assertion is a JWT by which the client says who it is, good for one request.
func (c ClientAuth) assertion(issuer string, now time.Time) (string, error) {
	method, err := keyMethod(c.Key)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": c.ID, "sub": c.ID, "aud": issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if c.KeyID != "" {
		token.Header["kid"] = c.KeyID
	}
	signed, err := token.SignedString(c.Key)
	if err != nil {
		return "", fmt.Errorf("client assertion: %w", err)
	}
	return signed, nil
}

// keyMethod is the first algorithm that a key goes with.
func keyMethod(key crypto.Signer) (jwt.SigningMethod, error) {
	for _, a := range algorithms {
		if a.fits(key.Public()) {
			return a.method, nil
		}
	}
	return nil, errors.New("key: must be RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519")
}

// ParsePrivateKey reads the first private key of a PEM file: PKCS #8, or the older forms
// of RSA and ECDSA keys. An encrypted key is refused. The error has nothing of the file
// in it.
func ParsePrivateKey(file []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			return nil, fmt.Errorf("is a %s; decrypt it, or convert it to PKCS #8", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("has a %s that cannot be read", block.Type)
		}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return key, nil
		case ed25519.PrivateKey:
			return key, nil
		}
		return nil, errors.New("has a private key that cannot sign")
	}
	return nil, errors.New("has no private key in PEM form")
}
