package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// RSA moduli: below the first a key is too weak (RFC 7518 section 3.3), above the
// second each verification costs too much.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// algorithm is a signature algorithm and the keys it goes with. A key is never
// used for an algorithm of another kind, so that no confusion between them can
// arise (RFC 8725 section 3.1).
type algorithm struct {
	name   string
	method jwt.SigningMethod
	fits   func(crypto.PublicKey) bool
}

var algorithms = []algorithm{
	{"RS256", jwt.SigningMethodRS256, isRSA},
	{"RS384", jwt.SigningMethodRS384, isRSA},
	{"RS512", jwt.SigningMethodRS512, isRSA},
	{"PS256", strictPSS(jwt.SigningMethodPS256), isRSA},
	{"PS384", strictPSS(jwt.SigningMethodPS384), isRSA},
	{"PS512", strictPSS(jwt.SigningMethodPS512), isRSA},
	{"ES256", jwt.SigningMethodES256, isCurve("P-256")},
	{"ES384", jwt.SigningMethodES384, isCurve("P-384")},
	{"ES512", jwt.SigningMethodES512, isCurve("P-521")},
	{"EdDSA", jwt.SigningMethodEdDSA, isEd25519},
}

// Algorithms are the names of all supported signature algorithms (RFC 7518
// section 3.1, RFC 8037). All are asymmetric: with a symmetric one whoever can
// check a token could also make one.
func Algorithms() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name
	}
	return names
}

func checkAlgorithm(name string) error {
	switch {
	case findAlgorithm(name) != nil:
		return nil
	case strings.EqualFold(name, "none"):
		return fmt.Errorf("%q accepts unsigned tokens and is never allowed", name)
	case len(name) == 5 && strings.EqualFold(name[:2], "HS"):
		return fmt.Errorf("%q is symmetric: whoever can verify could also sign; use one of %s", name, strings.Join(Algorithms(), ", "))
	}
	return fmt.Errorf("%q is not supported; use one of %s", name, strings.Join(Algorithms(), ", "))
}

func findAlgorithm(name string) *algorithm {
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return &algorithms[i]
}

// strictPSS wants the salt to be as long as the hash, as RFC 7518 section 3.5
// says. The library's own instances take a salt of any length.
func strictPSS(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	strict := *m
	strict.VerifyOptions = nil
	return &strict
}

func isRSA(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N != nil && k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits
}

func isCurve(name string) func(crypto.PublicKey) bool {
	return func(key crypto.PublicKey) bool {
		k, ok := key.(*ecdsa.PublicKey)
		return ok && k.Curve != nil && k.Curve.Params().Name == name
	}
}

func isEd25519(key crypto.PublicKey) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && len(k) == ed25519.PublicKeySize
}
