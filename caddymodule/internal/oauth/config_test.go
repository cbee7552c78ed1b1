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
		"no issuer":                   {func(c *Config) { c.Issuers = nil }, "at least one"},
		"issuer in the clear":         {func(c *Config) { c.Issuers = []string{"http://auth.example.com"} }, "must be https"},
		"issuer not absolute":         {func(c *Config) { c.Issuers = []string{"auth.example.com"} }, "absolute URL"},
		"issuer with a query":         {func(c *Config) { c.Issuers = []string{"https://auth.example.com?x"} }, "no query"},
		"issuer with a fragment":      {func(c *Config) { c.Issuers = []string{"https://auth.example.com#x"} }, "no fragment"},
		"issuer with a password":      {func(c *Config) { c.Issuers = []string{"https://a:b@auth.example.com"} }, "password"},
		"issuer with a space":         {func(c *Config) { c.Issuers = []string{"https://auth.example.com/a b"} }, "percent-encode"},
		"issuer with a line feed":     {func(c *Config) { c.Issuers = []string{"https://auth.example.com/\n"} }, "percent-encode"},
		"issuer twice":                {func(c *Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) }, "twice"},
		"no resource":                 {func(c *Config) { c.Resource = "" }, "resource: is missing"},
		"key set in the clear":        {func(c *Config) { c.JWKS = "http://auth.example.com/keys" }, "jwks"},
		"key set of several issuers":  {func(c *Config) { c.Issuers = append(c.Issuers, "https://b.example"); c.JWKS = "https://b.example/keys" }, "the token's own issuer"},
		"alg none":                    {func(c *Config) { c.Algorithms = []string{"None"} }, "unsigned"},
		"alg symmetric":               {func(c *Config) { c.Algorithms = []string{"RS256", "HS256"} }, "symmetric"},
		"alg unknown":                 {func(c *Config) { c.Algorithms = []string{"ES256K"} }, "use one of RS256"},
		"alg in small letters":        {func(c *Config) { c.Algorithms = []string{"rs256"} }, "use one of RS256"},
		"audience empty":              {func(c *Config) { c.Audience = []string{""} }, "audience"},
		"scope claim empty":           {func(c *Config) { c.ScopeClaims = []string{""} }, "scope_claims"},
		"requirement without claim":   {func(c *Config) { c.Require = []Requirement{{Values: []string{"x"}}} }, "needs a name"},
		"requirement without value":   {func(c *Config) { c.Require = []Requirement{{Claim: "groups"}} }, "require groups"},
		"skew too large":              {func(c *Config) { c.ClockSkew = 6 * time.Minute }, "at most 5m"},
		"cache too large":             {func(c *Config) { c.CacheSize = MaxCacheSize + 1 }, "cache size"},
		"introspection nowhere":       {introspecting(func(i *Introspection) { i.Endpoint = "" }), "introspect"},
		"introspection in the clear":  {introspecting(func(i *Introspection) { i.Endpoint = "http://auth.example.com/introspect" }), "must be https"},
		"introspection by password":   {introspecting(func(i *Introspection) { i.Endpoint = "https://a:b@auth.example.com/i" }), "password"},
		"introspection fragment":      {introspecting(func(i *Introspection) { i.Endpoint += "#x" }), "no fragment"},
		"introspection of a stranger": {introspecting(func(i *Introspection) { i.Issuer = "https://b.example" }), "not one of those"},
		"introspection of one of two": {func(c *Config) {
			introspecting(nil)(c)
			c.Issuers = append(c.Issuers, "https://b.example")
		}, "whose endpoint it is"},
		"introspection of all of two": {func(c *Config) {
			introspecting(func(i *Introspection) { i.Issuer, i.All = c.Issuers[0], true })(c)
			c.Issuers = append(c.Issuers, "https://b.example")
		}, "one issuer only"},
		"client without id":      {introspecting(func(i *Introspection) { i.Client.ID = "" }), "client_id"},
		"client without secret":  {introspecting(func(i *Introspection) { i.Client.Secret = "" }), "client_secret: is missing"},
		"client without key":     {introspecting(func(i *Introspection) { i.Client = ClientAuth{ID: "c", Method: AuthPrivateKeyJWT} }), "key: is missing"},
		"client with both":       {introspecting(func(i *Introspection) { i.Client.Key = edKey() }), "client_secret: is of no use"},
		"client with a key more": {introspecting(func(i *Introspection) { i.Client.Key, i.Client.Method = edKey(), AuthPost }), "key: is of no use"},
		"client with a weak key": {introspecting(func(i *Introspection) { i.Client = ClientAuth{ID: "c", Key: weakRSAKey()} }), "RSA of 2048"},
		"client of another kind": {introspecting(func(i *Introspection) { i.Client.Method = "client_secret_jwt" }), "use one of basic, post, private_key_jwt"},
		"ttl negative":           {func(c *Config) { c.CacheTTL = -1 }, "ttl"},
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

// introspecting configures an introspection endpoint, changed.
func introspecting(change func(*Introspection)) func(*Config) {
	return func(c *Config) {
		c.Introspection = &Introspection{Endpoint: "https://auth.example.com/introspect", Client: ClientAuth{ID: "gate", Secret: "s"}}
		if change != nil {
			change(c.Introspection)
		}
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
		"introspect":   introspecting(nil),
		"endpoint":     introspecting(func(i *Introspection) { i.Endpoint += "/2" }),
		"its issuer":   introspecting(func(i *Introspection) { i.Issuer = "https://a.example" }),
		"all tokens":   introspecting(func(i *Introspection) { i.All = true }),
		"client":       introspecting(func(i *Introspection) { i.Client.ID = "other" }),
		"secret":       introspecting(func(i *Introspection) { i.Client.Secret = "other" }),
		"auth":         introspecting(func(i *Introspection) { i.Client.Method = AuthPost }),
		"key":          introspecting(func(i *Introspection) { i.Client = ClientAuth{ID: "gate", Key: edKey()} }),
		"another key":  introspecting(func(i *Introspection) { i.Client = ClientAuth{ID: "gate", Key: ecKey()} }),
		"key id":       introspecting(func(i *Introspection) { i.Client = ClientAuth{ID: "gate", Key: ecKey(), KeyID: "k"} }),
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
