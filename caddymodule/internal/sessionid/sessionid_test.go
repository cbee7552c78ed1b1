package sessionid

import (
	"strings"
	"testing"
)

func TestBoundIDIsOfUseToItsOwnerOnly(t *testing.T) {
	b := New()
	alice := Owner{"https://mcp.example.com/mcp", "https://auth.example.com", "sub", "alice"}
	for _, id := range []string{"1868a90c-b5a0-4bcf", "x", "a.b.c", "!~", strings.Repeat("z", 4096)} {
		bound := b.Bind(alice, id)
		if bound != b.Bind(alice, id) {
			t.Errorf("%s is bound in two ways", id)
		}
		if strings.ContainsFunc(bound, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
			t.Errorf("%q is not of visible ASCII", bound)
		}
		if got, ok := b.Open(alice, bound); !ok || got != id {
			t.Errorf("%s opens to %q, %v", bound, got, ok)
		}
		for what, other := range map[string]Owner{
			"user":     {alice.Resource, alice.Issuer, alice.Claim, "bob"},
			"issuer":   {alice.Resource, "https://other.example.com", alice.Claim, "alice"},
			"claim":    {alice.Resource, alice.Issuer, "email", "alice"},
			"resource": {"https://mcp.example.com/other", alice.Issuer, alice.Claim, "alice"},
			"shifted":  {alice.Resource, alice.Issuer, "sub" + "a", "lice"},
		} {
			if got, ok := b.Open(other, bound); ok || got != "" {
				t.Errorf("another %s opens it to %q", what, got)
			}
		}
		if _, ok := New().Open(alice, bound); ok {
			t.Error("another key opens it")
		}
		for i := range min(len(bound), 64) {
			changed := bound[:i] + string(rune(bound[i]^1)) + bound[i+1:]
			if _, ok := b.Open(alice, changed); ok {
				t.Errorf("changed to %q it opens", changed)
			}
		}
	}
	for _, id := range []string{"", "x", ".x", "1868a90c-b5a0-4bcf", strings.Repeat("A", 22), strings.Repeat("A", 22) + ".", strings.Repeat("A", 22) + ".x", strings.Repeat("A", 22) + "x"} {
		if got, ok := b.Open(alice, id); ok {
			t.Errorf("%q opens to %q", id, got)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	binder := New()
	owner := Owner{"https://mcp.example.com/mcp", "https://auth.example.com", "sub", "alice"}
	bound := binder.Bind(owner, "1868a90c-b5a0-4bcf-8a8b-1f1a3f7c9f00")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := binder.Open(owner, bound); !ok {
			b.Fatal("it does not open")
		}
	}
}
