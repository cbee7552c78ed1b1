package oauth

import (
	"crypto"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

var benchAlgorithms = []struct {
	method jwt.SigningMethod
	key    func() crypto.Signer
}{
	{jwt.SigningMethodRS256, func() crypto.Signer { return rsaKey() }},
	{jwt.SigningMethodES256, func() crypto.Signer { return ecKey() }},
	{jwt.SigningMethodEdDSA, func() crypto.Signer { return edKey() }},
}

// BenchmarkCached is a token seen before. Bar: 2 µs, 2 allocations.
func BenchmarkCached(b *testing.B) {
	for _, alg := range benchAlgorithms {
		b.Run(alg.method.Alg(), func(b *testing.B) {
			iss := newIssuer(b, jwk("k", alg.key(), nil))
			cfg := iss.config()
			v := newVerifier(b, cfg)
			token := mint(alg.method, alg.key(), "k", iss.claims(nil), nil)
			must(v.Verify(b.Context(), token))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUncached is a token never seen, beside the signature verification that
// it cannot do without. Bar: 15 µs more than that.
func BenchmarkUncached(b *testing.B) {
	for _, alg := range benchAlgorithms {
		iss := newIssuer(b, jwk("k", alg.key(), nil))
		cfg := iss.config()
		cfg.CacheSize = -1
		v := newVerifier(b, cfg)
		token := mint(alg.method, alg.key(), "k", iss.claims(nil), nil)
		must(v.Verify(b.Context(), token))

		b.Run(alg.method.Alg()+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg.method.Alg()+"/bare", func(b *testing.B) {
			i := strings.LastIndexByte(token, '.')
			signature := must(decodeBase64(token[i+1:]))
			b.ReportAllocs()
			for b.Loop() {
				if err := alg.method.Verify(token[:i], signature, alg.key().Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCachedParallel shows what the cache's lock costs under load.
func BenchmarkCachedParallel(b *testing.B) {
	iss := newIssuer(b, jwk("k", edKey(), nil))
	v := newVerifier(b, iss.config())
	token := mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(nil), nil)
	must(v.Verify(b.Context(), token))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Error(err)
			}
		}
	})
}
