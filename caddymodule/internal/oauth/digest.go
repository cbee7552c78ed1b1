package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"
)

// tokenDigest stands for a token wherever one is remembered.
type tokenDigest [sha256.Size]byte

// tokenDigester makes digests: HMACs under a key that never leaves the process, so that
// a dump of what is remembered neither reveals a token nor tells whether a given one was
// seen.
type tokenDigester struct{ macs sync.Pool } // of *tokenMAC

type tokenMAC struct {
	hash  hash.Hash
	bytes []byte
	sum   tokenDigest
}

func newTokenDigester() *tokenDigester {
	var key [32]byte
	rand.Read(key[:]) // never fails
	d := &tokenDigester{}
	d.macs.New = func() any { return &tokenMAC{hash: hmac.New(sha256.New, key[:])} }
	return d
}

// of computes the digest of a token without allocating.
func (d *tokenDigester) of(token string) tokenDigest {
	m := d.macs.Get().(*tokenMAC)
	m.bytes = append(m.bytes[:0], token...)
	m.hash.Reset()
	m.hash.Write(m.bytes)
	m.hash.Sum(m.sum[:0])
	clear(m.bytes)
	sum := m.sum
	d.macs.Put(m)
	return sum
}
