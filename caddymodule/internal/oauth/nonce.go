package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// nonceLife is how long a nonce is handed out. It is good for as long again, so a
// proof that was made beforehand is of use for ten minutes at most.
const nonceLife = 5 * time.Minute

// nonceIssuer makes the nonces of DPoP proofs (RFC 9449 section 9). A nonce is a MAC
// of the time, under a key that never leaves the process: nothing has to be kept of
// those that were handed out, and nobody can make one of a time to come.
type nonceIssuer struct{ key [32]byte }

func newNonceIssuer() *nonceIssuer {
	n := &nonceIssuer{}
	rand.Read(n.key[:]) // never fails
	return n
}

// current is the nonce that is handed out at a time.
func (n *nonceIssuer) current(now time.Time) string {
	return n.of(now.UnixNano() / int64(nonceLife))
}

func (n *nonceIssuer) of(slot int64) string {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(binary.BigEndian.AppendUint64([]byte("dpop nonce"), uint64(slot)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// good says whether a nonce is that of now or the one before, and whether it is the
// older one, so that the client should be told the newer.
func (n *nonceIssuer) good(nonce string, now time.Time) (ok, old bool) {
	slot := now.UnixNano() / int64(nonceLife)
	if hmac.Equal([]byte(nonce), []byte(n.of(slot))) {
		return true, false
	}
	old = hmac.Equal([]byte(nonce), []byte(n.of(slot-1)))
	return old, old
}
