package devauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"sync"

	jose "github.com/go-jose/go-jose/v4"
)

// signingKey is one private key with the algorithm it signs by. Its id is the
// RFC 7638 thumbprint of the public half.
type signingKey struct {
	id        string
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

func newSigningKey(algorithm string) (*signingKey, error) {
	var private crypto.Signer
	var err error
	switch jose.SignatureAlgorithm(algorithm) {
	case jose.RS256, jose.PS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("devauth: algorithm %q is not one of RS256, PS256, ES256, EdDSA", algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("devauth: generating a %s key: %w", algorithm, err)
	}
	public := jose.JSONWebKey{Key: private.Public()}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("devauth: key thumbprint: %w", err)
	}
	return &signingKey{
		id:        base64.RawURLEncoding.EncodeToString(sum),
		algorithm: jose.SignatureAlgorithm(algorithm),
		private:   private,
	}, nil
}

// signer signs with these protected headers beside alg and kid.
func (k *signingKey) signer(headers map[string]any) (jose.Signer, error) {
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range headers {
		options.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	key := jose.SigningKey{Algorithm: k.algorithm, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return nil, fmt.Errorf("devauth: signer: %w", err)
	}
	return signer, nil
}

func (k *signingKey) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(k.algorithm), Use: "sig"}
}

// keyRing is the key that signs now and those still published.
type keyRing struct {
	mu        sync.Mutex
	current   *signingKey
	published []*signingKey
}

func (r *keyRing) rotate(algorithm string) (string, error) {
	key, err := newSigningKey(algorithm)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = key
	r.published = append(r.published, key)
	return key.id, nil
}

func (r *keyRing) signing() *signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

func (r *keyRing) retire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published = []*signingKey{r.current}
}

func (r *keyRing) set() jose.JSONWebKeySet {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range r.published {
		set.Keys = append(set.Keys, key.public())
	}
	return set
}

func (r *keyRing) algorithms() []string {
	names := map[string]bool{}
	for _, key := range r.set().Keys {
		names[key.Algorithm] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// RotateKey makes a new key, signs with it from now on, and returns its id. Older
// keys stay in the JWKS until [Server.RetireKeys].
func (s *Server) RotateKey() (keyID string, err error) {
	return s.keys.rotate(s.config.Algorithm)
}

// RetireKeys takes all keys but the one that signs now out of the JWKS: tokens
// signed with them no longer verify.
func (s *Server) RetireKeys() { s.keys.retire() }

// KeyID is the id of the key that signs now.
func (s *Server) KeyID() string { return s.keys.signing().id }
