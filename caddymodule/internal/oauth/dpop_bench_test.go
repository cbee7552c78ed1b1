package oauth

import (
	"strings"
	"testing"
)

// BenchmarkProof is all that a DPoP proof costs beside its cached token, and the
// signature verification in it that it cannot do without.
func BenchmarkProof(b *testing.B) {
	for _, alg := range benchAlgorithms {
		p := prover{alg.method, alg.key()}
		at := newBorder(b, Presentation{})
		token := at.bound(p)
		proof := p.proof(at.clock, token, nil, nil)
		b.Run(alg.method.Alg()+"/request", func(b *testing.B) {
			r := request("DPoP", token, proof)
			b.ReportAllocs()
			for b.Loop() {
				at.verifier.proofs = newReplayCache(1) // else the proof is good once only
				if _, err := at.Authenticate(r, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg.method.Alg()+"/bare", func(b *testing.B) {
			i := strings.LastIndexByte(proof, '.')
			signature := must(decodeBase64(proof[i+1:]))
			b.ReportAllocs()
			for b.Loop() {
				if err := alg.method.Verify(proof[:i], signature, alg.key().Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
