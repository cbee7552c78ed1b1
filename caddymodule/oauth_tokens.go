package caddymodule

import (
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// TokenSettings say which tokens are good, beside what all must be, and how long that is
// remembered.
type TokenSettings struct {
	// Claims that every token must have, all of them. A good token without one is answered
	// 403.
	Require []Requirement `json:"require,omitempty"`

	// How tokens that are no JWTs are verified. Default: they are refused.
	Introspect *Introspect `json:"introspect,omitempty"`

	// How verified tokens are remembered.
	Cache *TokenCache `json:"cache,omitempty"`
}

// TokenCache says how verified tokens are remembered, so that each is verified once and
// not with every request.
type TokenCache struct {
	// How many tokens are remembered. A negative value means none. Default: 10000.
	Size int `json:"size,omitempty"`
	// How long a token is remembered, never past its end, nor once the key that signed it
	// is withdrawn. Default: 5m.
	TTL caddy.Duration `json:"ttl,omitempty"`
}

// Requirement is a claim that every token must have.
type Requirement struct {
	// The name of the claim, or a dotted path to it through nested claims.
	Claim string `json:"claim,omitempty"`
	// Values of which it must have one: be it, or be a list that has it.
	Values []string `json:"values,omitempty"`
}

// values are those in which global placeholders may stand.
func (t *TokenSettings) values() []*string {
	var values []*string
	for _, r := range t.Require {
		for i := range r.Values {
			values = append(values, &r.Values[i])
		}
	}
	if t.Introspect != nil {
		values = append(values, t.Introspect.values()...)
	}
	return values
}

// load reads the files that are named.
func (t *TokenSettings) load() error {
	if t.Introspect == nil {
		return nil
	}
	return t.Introspect.load()
}

// apply writes the settings into a verifier's configuration.
func (t *TokenSettings) apply(cfg *oauth.Config) {
	for _, r := range t.Require {
		cfg.Require = append(cfg.Require, oauth.Requirement(r))
	}
	if t.Introspect != nil {
		cfg.Introspection = t.Introspect.config()
	}
	if t.Cache != nil {
		cfg.CacheSize, cfg.CacheTTL = t.Cache.Size, time.Duration(t.Cache.TTL)
	}
}

// parseRequire reads "require <claim> <value>...".
func (m *directive) parseRequire(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("require takes a claim and the values of which it must have one, such as \"require groups mcp-users\"")
	}
	m.oauth.Require = append(m.oauth.Require, Requirement{Claim: args[0], Values: args[1:]})
	return nil
}

// parseTokenCache reads "cache { size <n>; ttl <duration> }".
func (m *directive) parseTokenCache(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("cache: unexpected %q: cache takes a block with size or ttl", d.Val())
	}
	cache := &TokenCache{}
	m.oauth.Cache = cache
	return parseBlock(d, "cache", nil, []subdirective{
		{"size", func(d *caddyfile.Dispenser) error { return cacheSize(d, &cache.Size) }},
		{"ttl", func(d *caddyfile.Dispenser) error { return duration(d, "cache ttl", &cache.TTL) }},
	})
}

// cacheSize reads a number that may be zero, which JSON writes as a negative one.
func cacheSize(d *caddyfile.Dispenser, into *int) error {
	var text string
	if err := word(d, "cache size", &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > oauth.MaxCacheSize {
		return d.Errf("cache size: %q is not a whole number from 0, for no cache, to %d", text, oauth.MaxCacheSize)
	}
	if *into = n; n == 0 {
		*into = -1
	}
	return nil
}
