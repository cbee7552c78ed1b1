package oauth

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestFindClaim(t *testing.T) {
	claims := map[string]any{
		"a":                          map[string]any{"b": "nested", "c": map[string]any{"d": "deep"}},
		"a.b":                        "exact",
		"https://example.com/tenant": map[string]any{"id": "t1"},
		"realm":                      map[string]any{"my.client": map[string]any{"roles": "r"}, "my": map[string]any{"client": "shorter"}},
		"null":                       nil,
		"list":                       []any{map[string]any{"x": "in a list"}},
		"text":                       "no object",
	}
	for path, want := range map[string]any{
		"a.b":                           "exact",
		"a.c.d":                         "deep",
		"https://example.com/tenant.id": "t1",
		"realm.my.client.roles":         "r",
		"realm.my.client":               claims["realm"].(map[string]any)["my.client"],
		"null":                          nil,
	} {
		if got, ok := FindClaim(claims, path); !ok || !sameClaim(got, want) {
			t.Errorf("%s is %v, %v; want %v", path, got, ok, want)
		}
	}
	for _, path := range []string{"", ".", "a.", ".a", "a..b", "a.c.e", "b", "list.x", "list.0", "text.x", "A.b", "null.x"} {
		if got, ok := FindClaim(claims, path); ok {
			t.Errorf("%q is found: %v", path, got)
		}
	}
}

func sameClaim(a, b any) bool {
	x, ok := a.(map[string]any)
	y, also := b.(map[string]any)
	if ok && also {
		return len(x) == len(y) // the same map, or none like it
	}
	return ok == also && a == b
}

func TestRequiredClaims(t *testing.T) {
	iss := newIssuer(t, jwk("k", edKey(), nil))
	claims := map[string]any{
		"tenant": "acme", "groups": []any{"staff", "mcp-users", 7, "of-his-own"}, "email_verified": true, "level": 3, "ratio": 1.5,
		"nothing": nil, "big": 9007199254740993, "realm_access": map[string]any{"roles": []string{"editor"}},
		"resource_access": map[string]any{"my.client": map[string]any{"roles": []string{"use"}}}, "deep": map[string]any{"acme": 1},
		"nested": []any{[]any{"inner"}},
	}
	token := mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(claims), nil)
	null := signRaw(`{"alg":"EdDSA"}`, `{"iss":"`+iss.URL+`","sub":"alice","aud":"`+testResource+`","exp":4102444800,"tenant":null}`)
	one := func(claim string, values ...string) []Requirement { return []Requirement{{claim, values}} }
	tests := []struct {
		name    string
		require []Requirement
		token   string
		lacks   string // "" if the token is admitted
	}{
		{"a string", one("tenant", "acme"), token, ""},
		{"one of several strings", one("tenant", "other", "acme"), token, ""},
		{"an element of a list", one("groups", "mcp-users"), token, ""},
		{"a number in a list", one("groups", "7"), token, ""},
		{"a boolean", one("email_verified", "true"), token, ""},
		{"a number", one("level", "3"), token, ""},
		{"a number with a fraction", one("ratio", "1.5"), token, ""},
		{"a number with all its digits", one("big", "9007199254740993"), token, ""},
		{"a nested list", one("realm_access.roles", "editor"), token, ""},
		{"a name with a dot on the path", one("resource_access.my.client.roles", "use"), token, ""},
		{"two that hold", append(one("tenant", "acme"), one("groups", "staff")...), token, ""},
		{"the same claim twice", append(one("groups", "staff"), one("groups", "mcp-users")...), token, ""},

		{"another string", one("tenant", "acm"), token, "require tenant"},
		{"in another case", one("tenant", "ACME"), token, "require tenant"},
		{"no element", one("groups", "admins"), token, "require groups"},
		{"a part of an element", one("groups", "mcp"), token, "require groups"},
		{"a list as text", one("groups", `["staff"]`), token, "require groups"},
		{"another boolean", one("email_verified", "false"), token, "require email_verified"},
		{"another number", one("level", "3.5"), token, "require level"},
		{"a digit lost", one("big", "9007199254740992"), token, "require big"},
		{"a missing claim", one("department", ""), token, "require department: the token has no such"},
		{"a missing nested claim", one("realm_access.groups", "editor"), token, "require realm_access.groups: the token has no such"},
		{"a claim that is null", one("tenant", "null", ""), null, "require tenant: the token has no such"},
		{"an object", one("realm_access", "roles"), token, "require realm_access"},
		{"the name of a member", one("deep", "acme"), token, "require deep"},
		{"a list in a list", one("nested", "inner"), token, "require nested"},
		{"the second of two", append(one("tenant", "acme"), one("groups", "admins")...), token, "require groups"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := iss.config()
			cfg.Require = test.require
			v := newVerifier(t, cfg)
			if test.lacks == "" {
				accepted(t, v, test.token)
				return
			}
			e := refusalOf(t, v, test.token, 403, test.lacks)
			if e.Code != "" || strings.Contains(e.Error(), "of-his-own") || strings.Contains(e.Description, "require") {
				t.Errorf("refused with code %q, %v, told %q", e.Code, e, e.Description)
			}
			h := http.Header{}
			if e.WriteChallenge(h, "https://example.com/metadata", []string{"read"}, []Scheme{{Name: SchemeBearer}}); len(h) != 0 {
				t.Errorf("a client is sent for another token: %v", h)
			}
		})
	}
}

// Whom a resource admits is no business of those whose token is no good.
func TestRequiredClaimsAreLookedAtLast(t *testing.T) {
	iss := newIssuer(t, jwk("k", edKey(), nil))
	cfg := iss.config()
	cfg.Require = []Requirement{{"groups", []string{"staff"}}}
	v := newVerifier(t, cfg)
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(map[string]any{"aud": "https://other.example.com"}), nil), 401, "aud")
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(map[string]any{"at_hash": "x"}), nil), 401, "at_hash")
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(map[string]any{"scope": 7}), nil), 401, "scope")
}

func TestScopesOfNestedClaims(t *testing.T) {
	iss := newIssuer(t, jwk("k", edKey(), nil))
	cfg := iss.config()
	cfg.ScopeClaims = []string{"resource_access.snap.gate.roles", "scope", "realm.scope", "absent.roles"}
	v := newVerifier(t, cfg)
	p := accepted(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(map[string]any{
		"resource_access": map[string]any{"snap.gate": map[string]any{"roles": []string{"write", "read"}}},
		"realm":           map[string]any{"scope": "admin read"}, "scope": "read",
	}), nil))
	if want := []string{"write", "read", "admin"}; !slices.Equal(p.Scopes, want) {
		t.Errorf("scopes are %q, want %q", p.Scopes, want)
	}
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "k", iss.claims(map[string]any{"realm": map[string]any{"scope": 7}}), nil), 401, "realm.scope")
}
