package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// maxKeys bounds a key set: a token without kid is tried with each key that fits.
const maxKeys = 100

var (
	errUnknownKey   = errors.New("kid: no such key in the issuer's key set")
	errWrongKey     = errors.New("alg: the key named by kid is not for this algorithm")
	errBadSignature = errors.New("signature: does not verify")
	errNoKeyFits    = errors.New("signature: the token names no key and none verifies it")
)

// keySet are the keys of an issuer as they were at one time. It does not change.
type keySet struct {
	fetched time.Time
	// byAlgorithm has a key under each algorithm that it may be used for, so that
	// no lookup can pair a key with an algorithm it is not for.
	byAlgorithm map[string]keyfunc.Keyfunc
	kids        map[string]bool
	// identities are digests of kid, alg and material, to tell whether a later set
	// has lost a key.
	identities map[[sha256.Size]byte]bool
}

// parseKeySet reads a JWK set (RFC 7517 section 5). Keys that cannot verify
// tokens are passed over, as the section advises; skipped says why, by position.
func parseKeySet(body []byte, fetched time.Time) (set *keySet, skipped []string, err error) {
	var document struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &document); err != nil || document.Keys == nil {
		return nil, nil, errors.New("is not a JWK set")
	}
	if n := len(*document.Keys); n > maxKeys {
		return nil, nil, fmt.Errorf("has %d keys; at most %d are read", n, maxKeys)
	}
	set = &keySet{
		fetched:     fetched,
		byAlgorithm: make(map[string]keyfunc.Keyfunc),
		kids:        make(map[string]bool),
		identities:  make(map[[sha256.Size]byte]bool),
	}
	storages := make(map[string]jwkset.Storage)
	for i, raw := range *document.Keys {
		key, algs, err := parseKey(raw)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("key %d: %v", i, err))
			continue
		}
		for _, alg := range algs {
			if storages[alg] == nil {
				storages[alg] = jwkset.NewMemoryStorage()
			}
			if err := storages[alg].KeyWrite(context.Background(), key); err != nil {
				return nil, nil, fmt.Errorf("key %d: %w", i, err)
			}
		}
		set.add(key)
	}
	for alg, storage := range storages {
		if set.byAlgorithm[alg], err = keyfunc.New(keyfunc.Options{Storage: storage}); err != nil {
			return nil, nil, fmt.Errorf("keys for %s: %w", alg, err)
		}
	}
	return set, skipped, nil
}

// parseKey reads one key and says which algorithms it may be used for: those
// that fit its type and size, or of these the one that it names (RFC 7517
// sections 4.2 to 4.4). Certificates and private parts are not looked at: what
// makes a key good is where it was fetched.
func parseKey(raw []byte) (jwkset.JWK, []string, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return jwkset.JWK{}, nil, errors.New("is not a JWK")
	}
	if m.USE != "" && m.USE != jwkset.UseSig {
		return jwkset.JWK{}, nil, errors.New("use is not sig")
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return jwkset.JWK{}, nil, errors.New("key_ops has no verify")
	}
	public := jwkset.JWKMarshal{
		KTY: m.KTY, USE: m.USE, KEYOPS: m.KEYOPS, ALG: m.ALG, KID: m.KID,
		CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E,
	}
	key, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return jwkset.JWK{}, nil, errors.New("has a type, curve or value that is not supported")
	}
	var algs []string
	for _, a := range algorithms {
		if a.fits(key.Key()) && (m.ALG == "" || m.ALG.String() == a.name) {
			algs = append(algs, a.name)
		}
	}
	if len(algs) == 0 {
		return jwkset.JWK{}, nil, errors.New("fits no algorithm: too small, too large, or its alg is another")
	}
	return key, algs, nil
}

func (s *keySet) add(key jwkset.JWK) {
	m := key.Marshal()
	s.kids[m.KID] = true
	identity, err := json.Marshal([]string{m.KID, m.ALG.String(), m.KTY.String(), m.CRV.String(), m.X, m.Y, m.N, m.E})
	if err != nil {
		panic(err) // strings always marshal
	}
	s.identities[sha256.Sum256(identity)] = true
}

// lacks says whether s is without a key that old has.
func (s *keySet) lacks(old *keySet) bool {
	for identity := range old.identities {
		if !s.identities[identity] {
			return true
		}
	}
	return false
}

// verify checks the signature of a token. With errUnknownKey and errNoKeyFits a
// newer key set could know better.
func (s *keySet) verify(t *unverifiedToken) error {
	keys := s.byAlgorithm[t.alg.name]
	switch {
	case t.kid != "" && !s.kids[t.kid]:
		return errUnknownKey
	case keys == nil && t.kid != "":
		return errWrongKey
	case keys == nil:
		return errNoKeyFits
	}
	found, err := keys.Keyfunc(&jwt.Token{Header: t.header, Method: t.alg.method})
	if err != nil {
		return errWrongKey // the kid is there, under other algorithms
	}
	candidates, several := found.(jwt.VerificationKeySet)
	if !several {
		if t.alg.method.Verify(t.signed, t.signature, found) != nil {
			return errBadSignature
		}
		return nil
	}
	for _, key := range candidates.Keys {
		if t.alg.method.Verify(t.signed, t.signature, key) == nil {
			return nil
		}
	}
	return errNoKeyFits
}
