package oauth

import (
	"testing"
	"time"
)

// RFC 9449 sections 8.2 and 9.
func TestNonceIsAskedForAndRenewed(t *testing.T) {
	b := newBorder(t, Presentation{RequireNonce: true})
	p := edProver()
	token := b.bound(p)
	ask := func(nonce any) (*Error, string) {
		t.Helper()
		e, h := b.ask(t, request("DPoP", token, p.proof(b.clock, token, map[string]any{"nonce": nonce}, nil)))
		if e != nil && e.Code != CodeUseNonce {
			t.Fatalf("refusal is %#v", e)
		}
		return e, h.Get("DPoP-Nonce")
	}
	e, first := ask(nil)
	if e == nil || e.Status != 401 || e.Scheme != SchemeDPoP || first == "" {
		t.Fatalf("a proof without nonce: %#v, %q", e, first)
	}
	for name, nonce := range map[string]any{"made up": "abc", "empty": "", "no string": 7, "cut short": first[1:], "longer": first + "A"} {
		if e, next := ask(nonce); e == nil || next != first {
			t.Errorf("a nonce that is %s: %v, told %q", name, e, next)
		}
	}
	if e, next := ask(first); e != nil || next != "" {
		t.Errorf("the nonce that was told: %v, told %q", e, next)
	}
	b.clock.advance(nonceLife)
	e, second := ask(first)
	if e != nil || second == "" || second == first {
		t.Errorf("the nonce before: %v, told %q", e, second)
	}
	if e, next := ask(second); e != nil || next != "" {
		t.Errorf("the newer nonce: %v, told %q", e, next)
	}
	b.clock.advance(nonceLife)
	e, third := ask(first)
	if e == nil || third == first || third == second {
		t.Errorf("the nonce before the last: %v, told %q", e, third)
	}
	// The next handler of the same verifier knows it, another verifier does not.
	next := &border{must(NewAuthenticator(b.verifier, Presentation{RequireNonce: true})), b.issuer, b.clock}
	next.letIn(t, request("DPoP", token, p.proof(b.clock, token, map[string]any{"nonce": third}, nil)))
	other := newBorder(t, Presentation{RequireNonce: true})
	token = other.bound(p)
	other.keptOut(t, request("DPoP", token, p.proof(other.clock, token, map[string]any{"nonce": third}, nil)), CodeUseNonce)
}

// A nonce of ours does not make an old proof new, nor one that was used.
func TestNonceTakesThePlaceOfNoOtherCheck(t *testing.T) {
	b := newBorder(t, Presentation{RequireNonce: true})
	p := edProver()
	token := b.bound(p)
	nonce := b.verifier.nonces.current(b.clock.now())
	proof := func(claims map[string]any) string {
		claims["nonce"] = nonce
		return p.proof(b.clock, token, claims, nil)
	}
	for name, claims := range map[string]map[string]any{
		"too old": {"iat": b.clock.now().Add(-2 * time.Minute).Unix()}, "another method": {"htm": "GET"}, "another address": {"htu": "https://evil.example.com"},
	} {
		t.Run(name, func(t *testing.T) { b.keptOut(t, request("DPoP", token, proof(claims)), "invalid_dpop_proof") })
	}
	good := proof(map[string]any{})
	b.letIn(t, request("DPoP", token, good))
	b.keptOut(t, request("DPoP", token, good), "invalid_dpop_proof")
}
