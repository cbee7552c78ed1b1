// Package seal makes tokens that only their maker can read: what a client carries from
// one request to the next, and must not be able to change.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrInvalid means that a token was not made by this Sealer, or was changed.
var ErrInvalid = errors.New("the token was not made here")

// Sealer encrypts and authenticates with a key of its own (AES-256-GCM, NIST SP 800-38D),
// which it forgets when it is gone.
type Sealer struct{ aead cipher.AEAD }

// New makes a sealer with a random key.
func New() (*Sealer, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead}, nil
}

// Seal makes a token of a value that can be written as JSON. purpose must be the same when
// it is opened.
func (s *Sealer) Seal(purpose string, value any) (string, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(purpose))), nil
}

// Open reads a token into value. The error is ErrInvalid.
func (s *Sealer) Open(purpose, token string, value any) error {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return ErrInvalid
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(purpose))
	if err != nil || json.Unmarshal(plain, value) != nil {
		return ErrInvalid
	}
	return nil
}
