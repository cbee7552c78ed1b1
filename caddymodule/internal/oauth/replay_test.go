package oauth

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
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

// A proof that was used stays used whatever else changes: a reload may change which tokens are
// good, and two configurations serve while one takes over from the other.
func TestProofIsGoodOnceAtAllVerifiersOfAResource(t *testing.T) {
	shared := NewReplayCache()
	b := newBorder(t, Presentation{}, func(c *Config) { c.Proofs = shared })
	p := edProver()
	token := b.bound(p)
	proof := p.proof(b.clock, token, nil, nil)
	b.letIn(t, request("DPoP", token, proof))
	changed := b.verifier.Config()
	changed.Require = []Requirement{{"sub", []string{"alice"}}}
	if changed.Digest() == b.verifier.Config().Digest() {
		t.Fatal("the verifier would be the same")
	}
	other := &border{must(NewAuthenticator(newVerifier(t, changed), Presentation{})), b.issuer, b.clock}
	if e := other.keptOut(t, request("DPoP", token, proof), "invalid_dpop_proof"); e.Reason != "DPoP proof: jti: the proof was used before" {
		t.Errorf("refused with %q", e.Reason)
	}
	other.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
}

// A larger clock_skew accepts older proofs. Those that were used are refused all the same: the
// ones that are remembered, and the ones that may have been forgotten.
func TestRaisedClockSkewMakesNoUsedProofGoodAgain(t *testing.T) {
	b := newBorder(t, Presentation{}, func(c *Config) { c.Proofs = NewReplayCache() })
	p := edProver()
	token := b.bound(p)
	use := func() string {
		t.Helper()
		proof := p.proof(b.clock, token, nil, nil)
		b.letIn(t, request("DPoP", token, proof))
		return proof
	}
	old := use()
	b.clock.advance(100 * time.Second) // it is too old, and gone with the next that comes
	young := use()
	b.clock.advance(20 * time.Second)
	if n := b.verifier.proofs.len(); n != 1 {
		t.Fatalf("%d proofs are remembered", n)
	}
	raised := b.verifier.Config()
	raised.ClockSkew = MaxClockSkew
	later := &border{must(NewAuthenticator(newVerifier(t, raised), Presentation{})), b.issuer, b.clock}
	refused := func(proof, why string) {
		t.Helper()
		if e := later.keptOut(t, request("DPoP", token, proof), "invalid_dpop_proof"); !strings.Contains(e.Reason, why) {
			t.Errorf("refused with %q, want %q", e.Reason, why)
		}
	}
	refused(old, "before clock_skew was raised")
	for range 5 {
		refused(young, "was used before")
		b.clock.advance(65 * time.Second)
	}
	refused(young, "was used before")
	later.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
	// The old configuration serves on for a while: what it lets in counts for the new one.
	late := use()
	b.clock.advance(200 * time.Second)
	refused(late, "was used before")
	b.clock.advance(200 * time.Second)
	refused(late, "too old")
	later.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
	if n := b.verifier.proofs.len(); n != 1 {
		t.Errorf("%d proofs are remembered", n)
	}
}

func TestFullReplayCacheRefusesAndForgetsNothing(t *testing.T) {
	b := newBorder(t, Presentation{})
	b.verifier.proofs = newReplayCache(3)
	p := edProver()
	token := b.bound(p)
	var used []string
	for _, user := range []string{"alice", "bob", "carol"} {
		token := b.token(map[string]any{"sub": user, "cnf": p.confirmation()})
		proof := p.proof(b.clock, token, nil, nil)
		used = append(used, token, proof)
		if _, err := b.Authenticate(request("DPoP", token, proof), nil); err != nil {
			t.Fatal(err)
		}
		b.clock.advance(10 * time.Second)
	}
	for range 5 {
		e := b.keptOut(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)), CodeTemporarilyUnavailable)
		if e.Status != http.StatusServiceUnavailable || e.RetryAfter != time.Minute {
			t.Fatalf("refused with %d, to come back after %v", e.Status, e.RetryAfter)
		}
		for i := 0; i < len(used); i += 2 {
			b.keptOut(t, request("DPoP", used[i], used[i+1]), "invalid_dpop_proof")
		}
	}
	b.clock.advance(time.Minute)
	b.letIn(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)))
	b.keptOut(t, request("DPoP", token, p.proof(b.clock, token, nil, nil)), CodeTemporarilyUnavailable)
}

// One user alone cannot keep out the others.
func TestAUserFillsAQuarterOfTheReplayCache(t *testing.T) {
	b := newBorder(t, Presentation{})
	b.verifier.proofs = newReplayCache(8)
	p := edProver()
	token := b.bound(p)
	more := func() *http.Request { return request("DPoP", token, p.proof(b.clock, token, nil, nil)) }
	for range 2 {
		for range 2 {
			b.letIn(t, more())
		}
		for range 5 {
			e := b.keptOut(t, more(), CodeTemporarilyUnavailable)
			if e.Status != http.StatusTooManyRequests || e.RetryAfter != 90*time.Second {
				t.Fatalf("refused with %d, to come back after %v", e.Status, e.RetryAfter)
			}
		}
		bob := b.token(map[string]any{"sub": "bob", "cnf": p.confirmation()})
		if _, err := b.Authenticate(request("DPoP", bob, p.proof(b.clock, bob, nil, nil)), nil); err != nil {
			t.Fatal(err)
		}
		b.clock.advance(90 * time.Second)
	}
	b.letIn(t, more())
	if c := b.verifier.proofs; len(c.users) != 1 {
		t.Errorf("counts of %d users are kept", len(c.users))
	}
}

// Many clients at once with few ids: each is let in once, and the bound holds.
func TestReplayCacheUnderLoad(t *testing.T) {
	const size, ids = 800, 200
	c := newReplayCache(size)
	start := time.Unix(1_000_000, 0)
	var fresh atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, i := range rand.Perm(ids) {
				if c.use("user", "key", strconv.Itoa(i), start, 90*time.Second, start) == nil {
					fresh.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := fresh.Load(); n != ids || c.len() != ids {
		t.Fatalf("%d proofs were let in and %d are remembered, of %d", n, c.len(), ids)
	}
	// Over an hour it holds no more than its size, and refuses only when it is full.
	for second := range 3600 {
		now := start.Add(time.Duration(second) * time.Second)
		for i := range 10 {
			refusal := c.use(strconv.Itoa(i), "key", fmt.Sprintf("%d-%d", second, i), now, 90*time.Second, now)
			if refusal != nil && (c.len() < size || refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter > 90*time.Second) {
				t.Fatalf("refused with %d proofs: %#v", c.len(), refusal)
			}
		}
		if c.len() > size {
			t.Fatalf("%d proofs", c.len())
		}
	}
	c.use("user", "key", "last", start.Add(2*time.Hour), 90*time.Second, start.Add(2*time.Hour))
	if c.len() != 1 || len(c.ends) != 1 || len(c.users) != 1 {
		t.Errorf("%d proofs of %d users in %d seconds are left", c.len(), len(c.users), len(c.ends))
	}
}

func (c *ReplayCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.used)
}
