package caddymodule

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

func expanding(t *testing.T, s *Scopes) *expansion {
	t.Helper()
	p, err := s.compile()
	if err != nil {
		t.Fatal(err)
	}
	return &expansion{policy: p}
}

// What is made of a principal elsewhere is kept by who it is, so it must be the same for all
// of its calls, and those at the same moment.
func TestAPrincipalIsExpandedOnce(t *testing.T) {
	e := expanding(t, &Scopes{Imply: []ScopeImplication{{Scope: "write", Implies: []string{"read"}}}})
	p := &oauth.Principal{Subject: "alice", Scopes: []string{"write"}}
	var all [8]*oauth.Principal
	var calls sync.WaitGroup
	for i := range all {
		calls.Go(func() { all[i] = e.principal(p) })
	}
	calls.Wait()
	for _, got := range all {
		if got != all[0] || !slices.Equal(got.Scopes, []string{"write", "read"}) || got.Subject != "alice" {
			t.Errorf("%p %+v, want %p", got, got, all[0])
		}
	}
	if !slices.Equal(p.Scopes, []string{"write"}) {
		t.Errorf("the principal itself was changed: %q", p.Scopes)
	}
	if n := allocations(func() { e.principal(p) }); n != 0 {
		t.Errorf("%v allocations for one that is known", n)
	}
}

// allocations are the fewest that f makes. What else runs in the process, such as what an
// earlier test has left to end, is counted with them in some of the tries.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(100, f)
	for tries := 1; least > 0 && tries < 20; tries++ {
		least = min(least, testing.AllocsPerRun(100, f))
	}
	return least
}

func TestExpandedPrincipalsAreBounded(t *testing.T) {
	e := expanding(t, &Scopes{Imply: []ScopeImplication{{Scope: "write", Implies: []string{"read"}}}})
	for range maxExpanded + 10 {
		e.principal(&oauth.Principal{Scopes: []string{"write"}})
	}
	if n := len(e.of); n > maxExpanded {
		t.Errorf("%d are kept", n)
	}
}

func TestWithoutAHierarchyPrincipalsStayAsTheyAre(t *testing.T) {
	for _, s := range []*Scopes{nil, {}, {Base: []string{"a"}}} {
		e := expanding(t, s)
		p := &oauth.Principal{Scopes: []string{"a"}}
		if e.principal(p) != p || len(e.of) != 0 {
			t.Errorf("%+v: made anew", s)
		}
	}
}

func TestScopesOfJSONAreChecked(t *testing.T) {
	for want, s := range map[string]*Scopes{
		"use base or all":       {Ask: "some"},
		"unknown kind":          {Rules: []ScopeRule{{Kind: "root", Pattern: "x", Scopes: []string{"a"}}}},
		"names no scope":        {Imply: []ScopeImplication{{Scope: "a"}}},
		"must not be empty":     {Imply: []ScopeImplication{{Implies: []string{"a"}}}},
		"which servers resolve": {Rules: []ScopeRule{{Kind: "resource", Pattern: "a://b/./c", Deny: true}}},
	} {
		if _, err := s.compile(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestMethodsThatNoVersionHasAreTold(t *testing.T) {
	var s Scopes
	for _, method := range []string{
		"tools/call", "tools/*", "tasks/result", "notifications/progress", "com.example/search", // may be meant
		"tool/call", "tools/Call", "tool/call", "resource/*", "call",
	} {
		s.Rules = append(s.Rules, ScopeRule{Kind: "method", Pattern: method, Deny: true})
	}
	s.Rules = append(s.Rules, ScopeRule{Kind: "tool", Pattern: "search", Deny: true})
	var told bytes.Buffer
	o := &OAuth{Scopes: &s, log: slog.New(slog.NewTextHandler(&told, nil))}
	o.selfCheck(nil)
	if want := `methods="[tool/call tools/Call call]"`; !strings.Contains(told.String(), want) {
		t.Errorf("it tells %s\nwant %s", told.String(), want)
	}
	told.Reset()
	o.Scopes = nil
	if o.selfCheck(nil); strings.Contains(told.String(), "methods") {
		t.Errorf("without rules it tells %s", told.String())
	}
}
