package oauth

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWrongSettingsAreNamed(t *testing.T) {
	good := Config{Issuers: []string{"https://auth.example.com"}, Resource: testResource}
	tests := map[string]struct {
		change func(*Config)
		want   string
	}{
		"no issuer":                  {func(c *Config) { c.Issuers = nil }, "at least one"},
		"issuer in the clear":        {func(c *Config) { c.Issuers = []string{"http://auth.example.com"} }, "must be https"},
		"issuer not absolute":        {func(c *Config) { c.Issuers = []string{"auth.example.com"} }, "absolute URL"},
		"issuer with a query":        {func(c *Config) { c.Issuers = []string{"https://auth.example.com?x"} }, "no query"},
		"issuer with a fragment":     {func(c *Config) { c.Issuers = []string{"https://auth.example.com#x"} }, "no fragment"},
		"issuer with a password":     {func(c *Config) { c.Issuers = []string{"https://a:b@auth.example.com"} }, "password"},
		"issuer with a space":        {func(c *Config) { c.Issuers = []string{"https://auth.example.com/a b"} }, "percent-encode"},
		"issuer with a line feed":    {func(c *Config) { c.Issuers = []string{"https://auth.example.com/\n"} }, "percent-encode"},
		"issuer twice":               {func(c *Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, "twice"},
		"no resource":                {func(c *Config) { c.Resource = "" }, "resource: is missing"},
		"key set in the clear":       {func(c *Config) { c.JWKS = "http://auth.example.com/keys" }, "jwks"},
		"key set of several issuers": {func(c *Config) { c.Issuers = append(c.Issuers, "https://b.example"); c.JWKS = "https://b.example/keys" }, "the token's own issuer"},
		"alg none":                   {func(c *Config) { c.Algorithms = []string{"None"} }, "unsigned"},
		"alg symmetric":              {func(c *Config) { c.Algorithms = []string{"RS256", "HS256"} }, "symmetric"},
		"alg unknown":                {func(c *Config) { c.Algorithms = []string{"ES256K"} }, "use one of RS256"},
		"alg in small letters":       {func(c *Config) { c.Algorithms = []string{"rs256"} }, "use one of RS256"},
		"audience empty":             {func(c *Config) { c.Audience = []string{""} }, "audience"},
		"scope claim empty":          {func(c *Config) { c.ScopeClaims = []string{""} }, "scope_claims"},
		"requirement without claim":  {func(c *Config) { c.Require = []Requirement{{Values: []string{"x"}}} }, "needs a name"},
		"requirement without value":  {func(c *Config) { c.Require = []Requirement{{Claim: "groups"}} }, "require groups"},
		"skew too large":             {func(c *Config) { c.ClockSkew = 6 * time.Minute }, "at most 5m"},
		"cache too large":            {func(c *Config) { c.CacheSize = MaxCacheSize + 1 }, "cache size"},
		"ttl negative":               {func(c *Config) { c.CacheTTL = -1 }, "ttl"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good
			cfg.Issuers = slices.Clone(good.Issuers)
			test.change(&cfg)
			v, err := NewVerifier(cfg)
			if err == nil {
				v.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error does not say %q: %v", test.want, err)
			}
		})
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	v := newVerifier(t, Config{Issuers: []string{"http://127.0.0.1:9000", "http://localhost:9001/", "https://auth.example.com/"}, Resource: "HTTPS://Example.com/"})
	cfg := v.Config()
	if cfg.Resource != "https://example.com" || cfg.Subject != "sub" || cfg.ClockSkew != 30*time.Second ||
		cfg.CacheSize != 10_000 || cfg.CacheTTL != 5*time.Minute || len(cfg.Algorithms) != 10 || !slices.Equal(cfg.ScopeClaims, []string{"scope", "scp"}) {
		t.Errorf("defaults are %+v", cfg)
	}
}

func TestDigestIsOfWhatDecides(t *testing.T) {
	base := Config{Issuers: []string{"https://a.example", "https://b.example"}, Resource: testResource}
	same := map[string]func(*Config){
		"defaults written": func(c *Config) {
			c.Audience, c.Subject, c.ClockSkew, c.CacheSize = []string{testResource}, "sub", DefaultClockSkew, DefaultCacheSize
		},
		"issuers in another order": func(c *Config) { c.Issuers = []string{"https://b.example", "https://a.example"} },
		"logger, transport and clock": func(c *Config) {
			c.Logger, c.Transport, c.Now = slog.New(slog.DiscardHandler), &http.Transport{}, time.Now
		},
	}
	for name, change := range same {
		cfg := base
		change(&cfg)
		if cfg.Digest() != base.Digest() {
			t.Errorf("%s: the digest changes", name)
		}
	}
	seen := map[string]string{base.Digest(): "base"}
	for name, change := range map[string]func(*Config){
		"issuer":       func(c *Config) { c.Issuers = []string{"https://a.example"} },
		"resource":     func(c *Config) { c.Resource, c.Audience = "https://x.example", []string{testResource} },
		"audience":     func(c *Config) { c.Audience = []string{"x"} },
		"jwks":         func(c *Config) { c.JWKS = "https://a.example/keys" },
		"algorithms":   func(c *Config) { c.Algorithms = []string{"RS256"} },
		"subject":      func(c *Config) { c.Subject = "email" },
		"scope claims": func(c *Config) { c.ScopeClaims = []string{"roles"} },
		"require":      func(c *Config) { c.Require = []Requirement{{"groups", []string{"a"}}} },
		"require more": func(c *Config) { c.Require = []Requirement{{"groups", []string{"a", "b"}}} },
		"skew":         func(c *Config) { c.ClockSkew = time.Second },
		"no skew":      func(c *Config) { c.ClockSkew = -time.Second },
		"cache size":   func(c *Config) { c.CacheSize = 1 },
		"cache ttl":    func(c *Config) { c.CacheTTL = 1 },
	} {
		cfg := base
		change(&cfg)
		if other, ok := seen[cfg.Digest()]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[cfg.Digest()] = name
	}
}
