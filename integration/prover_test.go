package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// prover is a client with a key that its tokens are bound to (RFC 9449).
type prover struct {
	t      testing.TB
	key    *ecdsa.PrivateKey
	signer jose.Signer

	mu     sync.Mutex
	nonce  string
	proofs []string // all that were made
}

func newProver(t testing.TB) *prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{t: t, key: key, signer: signer}
}

// proof is one for a request with a token; claims override or, if nil, remove.
func (p *prover) proof(r *http.Request, token string, claims object) string {
	target := *r.URL
	target.RawQuery, target.Fragment = "", ""
	sum := sha256.Sum256([]byte(token))
	p.mu.Lock()
	defer p.mu.Unlock()
	all := object{
		"jti": rand.Text(), "htm": r.Method, "htu": target.String(), "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	if p.nonce != "" {
		all["nonce"] = p.nonce
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings and numbers only
	}
	signed, err := p.signer.Sign(payload)
	if err != nil {
		panic(err) // the key is good
	}
	proof, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	p.proofs = append(p.proofs, proof)
	return proof
}

// presents makes a peer send its token under the DPoP scheme, each time with a proof.
func (p *prover) presents(who *peer) *peer {
	who.prove = func(r *http.Request) { p.present(r, who.token, nil) }
	return who
}

func (p *prover) present(r *http.Request, token string, claims object) {
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", p.proof(r, token, claims))
}

// certificate is one that a client has made itself, or that an authority has issued.
func certificate(t testing.TB, authority *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "client of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: authority == nil,
	}
	parent, signer := template, any(key)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// with is the same gateway, reached over connections with a certificate of the client.
func (g *gateway) with(t testing.TB, c *tls.Certificate) *gateway {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		RootCAs: g.roots,
		// Whatever the server says about authorities: a client that asks first would send none.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil },
	}}
	t.Cleanup(transport.CloseIdleConnections)
	reached := *g
	reached.client = &http.Client{Transport: transport}
	return &reached
}
