package oauth

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// RFC 9449 section 11.1.
func TestProofIsGoodOnce(t *testing.T) {
	b := newBorder(t, Presentation{})
	p := edProver()
	token := b.bound(p)
	proof := p.proof(b.clock, token, map[string]any{"iat": b.clock.now().Add(30 * time.Second).Unix()}, nil)
	b.letIn(t, request("DPoP", token, proof))
	// Another configuration of the same tokens, as a reload makes it.
	reloaded := &border{must(NewAuthenticator(b.verifier, Presentation{Bound: BoundDPoP})), b.issuer, b.clock}
	for range 120 { // up to the last second in which it is not too old
		for _, at := range []*border{b, reloaded} {
			if e := at.keptOut(t, request("DPoP", token, proof), "invalid_dpop_proof"); e.Reason != "DPoP proof: jti: the proof was used before" {
				t.Fatalf("refused with %q", e.Reason)
			}
		}
		b.clock.advance(time.Second)
	}
	if e := b.keptOut(t, request("DPoP", token, proof), "invalid_dpop_proof"); e.Reason != "DPoP proof: iat: the proof is too old" {
		t.Errorf("refused with %q", e.Reason)
	}
	// A new proof sweeps the old one away.
	b.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
	if n := b.verifier.proofs.len(); n != 1 {
		t.Errorf("%d proofs are remembered", n)
	}
	// The same jti by another key is another proof.
	other := prover{jwt.SigningMethodES256, ecKey()}
	token2 := b.bound(other)
	id := map[string]any{"jti": "1"}
	b.letIn(t, request("DPoP", token, p.proof(b.clock, token, id, nil)))
	b.letIn(t, request("DPoP", token2, other.proof(b.clock, token2, id, nil)))
	b.keptOut(t, request("DPoP", token2, other.proof(b.clock, token2, id, nil)), "invalid_dpop_proof")
}

func TestFullReplayCacheRefusesAndForgetsNothing(t *testing.T) {
	b := newBorder(t, Presentation{})
	b.verifier.proofs = newReplayCache(3)
	p := edProver()
	token := b.bound(p)
	var used []string
	for range 3 {
		proof := p.proof(b.clock, token, nil, nil)
		used = append(used, proof)
		b.letIn(t, request("DPoP", token, proof))
		b.clock.advance(10 * time.Second)
	}
	for range 5 {
		e := b.keptOut(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)), CodeTemporarilyUnavailable)
		if e.Status != http.StatusServiceUnavailable || e.RetryAfter != time.Minute {
			t.Fatalf("refused with %d, to come back after %v", e.Status, e.RetryAfter)
		}
		for _, proof := range used {
			b.keptOut(t, request("DPoP", token, proof), "invalid_dpop_proof")
		}
	}
	b.clock.advance(time.Minute)
	b.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
	b.keptOut(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)), CodeTemporarilyUnavailable)
}

// Many clients at once with few ids: each is let in once, and the bound holds.
func TestReplayCacheUnderLoad(t *testing.T) {
	const size, ids = 500, 400
	c := newReplayCache(size)
	start := time.Unix(1_000_000, 0)
	var fresh atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, i := range rand.Perm(ids) {
				again, wait := c.use("key", strconv.Itoa(i), start.Add(90*time.Second), start)
				if !again && wait == 0 {
					fresh.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := fresh.Load(); n != ids || c.len() != ids {
		t.Fatalf("%d proofs were let in and %d are remembered, of %d", n, c.len(), ids)
	}
	// Over hours it holds no more than its size, and ends empty.
	for second := range 3600 {
		now := start.Add(time.Duration(second) * time.Second)
		for i := range 10 {
			_, wait := c.use("key", fmt.Sprintf("%d-%d", second, i), now.Add(90*time.Second), now)
			if full := c.len() >= size; wait > 0 && (!full || wait > 90*time.Second) {
				t.Fatalf("told to wait %v with %d proofs", wait, c.len())
			}
		}
		if c.len() > size {
			t.Fatalf("%d proofs", c.len())
		}
	}
	c.use("key", "last", start.Add(3*time.Hour), start.Add(2*time.Hour))
	if c.len() != 1 || len(c.ends) != 1 {
		t.Errorf("%d proofs in %d seconds are left", c.len(), len(c.ends))
	}
}
