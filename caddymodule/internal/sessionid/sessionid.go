// Package sessionid ties the session ids that a server gives out to the users whom it gave
// them to, so that no other can use them. Nothing is remembered: an id carries a proof.
package sessionid

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
)

// Binder makes and checks bound ids, with a key of its own that it forgets when it is gone.
type Binder struct{ macs sync.Pool }

// New makes a binder with a random key.
func New() *Binder {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return &Binder{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// Owner is whom a session belongs to: a user, as an issuer names them in a claim, at a
// resource.
type Owner struct{ Resource, Issuer, Claim, Subject string }

// proofBytes is the length of a proof. 128 bits cannot be guessed.
const proofBytes = 16

// proofLength is that of its text.
var proofLength = base64.RawURLEncoding.EncodedLen(proofBytes)

// separator stands between the proof and the server's own id.
const separator = '.'

// Bind returns the id that the owner is told. It is always the same, since clients may compare
// it with the one they have, and of visible ASCII if the server's own is (MCP 2025-11-25,
// Session Management).
func (b *Binder) Bind(o Owner, id string) string {
	return b.proof(o, id) + string(separator) + id
}

// Open returns the server's own id. It reports false for what was not bound by this binder to
// this owner.
func (b *Binder) Open(o Owner, bound string) (id string, ok bool) {
	if len(bound) <= proofLength || bound[proofLength] != separator {
		return "", false
	}
	id = bound[proofLength+1:]
	if !hmac.Equal([]byte(bound[:proofLength]), []byte(b.proof(o, id))) {
		return "", false
	}
	return id, true
}

func (b *Binder) proof(o Owner, id string) string {
	text := make([]byte, 0, 256)
	for _, part := range []string{o.Resource, o.Issuer, o.Claim, o.Subject, id} {
		text = binary.AppendUvarint(text, uint64(len(part))) // so that no two lists have one text
		text = append(text, part...)
	}
	mac := b.macs.Get().(hash.Hash)
	defer b.macs.Put(mac)
	mac.Reset()
	mac.Write(text)
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(mac.Sum(sum[:0])[:proofBytes])
}
