package oauth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Defaults and ranges of a [Config].
const (
	DefaultSubject   = "sub"
	DefaultClockSkew = 30 * time.Second
	MaxClockSkew     = 5 * time.Minute
	DefaultCacheSize = 10_000
	MaxCacheSize     = 10_000_000
	DefaultCacheTTL  = 5 * time.Minute
)

// Config says which tokens a [Verifier] accepts. The zero value of each field
// that is not marked as required stands for its default.
type Config struct {
	// Issuers are the authorization servers whose tokens are accepted, each an
	// https URL exactly as in the token's iss claim: a trailing slash counts. http
	// is accepted for loopback hosts. Required.
	Issuers []string
	// Resource is the canonical URI of what is protected (RFC 8707, RFC 9728).
	// Required; see [CanonicalResource].
	Resource string
	// Audience are the aud values of which a token must have at least one (RFC 9068
	// section 4). Default: Resource.
	Audience []string
	// JWKS is the address of the key set. Default: the jwks_uri in the metadata of
	// each issuer. It is refused with several issuers, because a key must belong to
	// the token's own issuer.
	JWKS string
	// Algorithms are the accepted alg values. Default: [Algorithms]. Symmetric ones
	// and "none" are refused.
	Algorithms []string
	// Subject is the claim that names the user. Default: sub.
	Subject string
	// ScopeClaims are the claims that grant scopes, by name or dotted path (see
	// [FindClaim]), each a space-separated string or a list of strings; what any of
	// them grants is granted. Default: scope, scp.
	ScopeClaims []string
	// Require are claims that every token must have, all of them. A good token without
	// one is answered 403.
	Require []Requirement
	// Introspection is how tokens that are no JWTs are verified. Default: they are
	// refused.
	Introspection *Introspection
	// ClockSkew is how far the issuer's clock may be from ours, 0 to 5 minutes.
	// Zero means 30 seconds; a negative value means none.
	ClockSkew time.Duration
	// CacheSize is how many verified tokens are remembered, up to 10,000,000. Zero means
	// 10,000; a negative value means none.
	CacheSize int
	// CacheTTL is how long a verified token is remembered, never past its exp: so long a
	// token that its issuer revokes is good still. Zero means 5 minutes.
	CacheTTL time.Duration

	// Logger receives what befalls the key sets. Default: slog.Default().
	Logger *slog.Logger
	// Meter counts what is done. Default: nothing is counted.
	Meter Meter
	// Transport carries the requests to issuers. Default: one of the verifier's own,
	// with the proxy settings of the environment.
	Transport http.RoundTripper
	// Proofs remembers the DPoP proofs that were used. What other settings accept is the same
	// proof still, so all verifiers of a resource should share one. Default: one of the
	// verifier's own.
	Proofs *ReplayCache
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Digest names the settings that decide about a token: two configurations with
// equal digests accept the same tokens and cache them alike. Defaults count as
// if they were written; the order of lists does not count where it has no effect.
func (c Config) Digest() string {
	c = c.withDefaults()
	sorted := func(values []string) []string {
		values = slices.Clone(values)
		slices.Sort(values)
		return slices.Compact(values)
	}
	parts, err := json.Marshal([]any{
		"oauth verifier 2",
		sorted(c.Issuers), comparableResource(c.Resource), sorted(c.Audience), c.JWKS, sorted(c.Algorithms),
		c.Subject, c.ScopeClaims, c.Require, c.Introspection.digest(), c.ClockSkew, c.CacheSize, c.CacheTTL,
	})
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	sum := sha256.Sum256(parts)
	return hex.EncodeToString(sum[:])
}

// withDefaults fills in what is not written.
func (c Config) withDefaults() Config {
	if len(c.Audience) == 0 {
		c.Audience = []string{c.Resource}
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = Algorithms()
	}
	if c.Subject == "" {
		c.Subject = DefaultSubject
	}
	if len(c.ScopeClaims) == 0 {
		c.ScopeClaims = []string{"scope", "scp"}
	}
	if c.Introspection != nil {
		c.Introspection = c.Introspection.prepared(c.Issuers)
	}
	switch {
	case c.ClockSkew == 0:
		c.ClockSkew = DefaultClockSkew
	case c.ClockSkew < 0:
		c.ClockSkew = -1 // one form, so that digests agree
	}
	switch {
	case c.CacheSize == 0:
		c.CacheSize = DefaultCacheSize
	case c.CacheSize < 0:
		c.CacheSize = -1
	}
	if c.CacheTTL == 0 {
		c.CacheTTL = DefaultCacheTTL
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Meter == nil {
		c.Meter = unmetered{}
	}
	if c.Proofs == nil {
		c.Proofs = NewReplayCache()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// validate returns the configuration with its resource made canonical, or an
// error that names the setting and says what would be right.
func (c Config) validate() (Config, error) {
	if err := checkIssuers(c.Issuers); err != nil {
		return c, err
	}
	resource, err := CanonicalResource(c.Resource)
	if err != nil {
		return c, err
	}
	c.Resource = resource
	if c.JWKS != "" {
		if len(c.Issuers) > 1 {
			return c, errors.New("jwks: cannot be combined with several issuers, since a key must belong to the token's own issuer; leave it out and let each issuer's metadata name its keys")
		}
		if err := checkEndpoint(c.JWKS); err != nil {
			return c, fmt.Errorf("jwks %q: %w", c.JWKS, err)
		}
	}
	for _, alg := range c.Algorithms {
		if err := checkAlgorithm(alg); err != nil {
			return c, fmt.Errorf("algorithms: %w", err)
		}
	}
	if slices.Contains(c.Audience, "") {
		return c, errors.New("audience: an empty value would match nothing that an issuer should write")
	}
	if slices.Contains(c.ScopeClaims, "") {
		return c, errors.New("scope_claims: a claim needs a name")
	}
	for _, r := range c.Require {
		if err := r.check(); err != nil {
			return c, err
		}
	}
	if c.Introspection != nil {
		if err := c.Introspection.check(c.Issuers); err != nil {
			return c, err
		}
	}
	if c.ClockSkew > MaxClockSkew {
		return c, fmt.Errorf("clock_skew %s: must be at most %s", c.ClockSkew, MaxClockSkew)
	}
	if c.CacheSize > MaxCacheSize {
		return c, fmt.Errorf("cache size %d: must be at most %d", c.CacheSize, MaxCacheSize)
	}
	if c.CacheTTL < 0 {
		return c, fmt.Errorf("cache ttl %s: must not be negative", c.CacheTTL)
	}
	return c, nil
}

func checkIssuers(issuers []string) error {
	if len(issuers) == 0 {
		return errors.New("issuer: at least one is needed, such as https://auth.example.com")
	}
	for i, issuer := range issuers {
		if err := checkEndpoint(issuer); err != nil {
			return fmt.Errorf("issuer %q: %w", issuer, err)
		}
		if strings.ContainsAny(issuer, "?#") {
			return fmt.Errorf("issuer %q: must have no query and no fragment (RFC 8414 section 2)", issuer)
		}
		if base, _, found := strings.Cut(issuer, "/.well-known/"); found {
			return fmt.Errorf("issuer %q: is the address of the issuer's metadata, not its name; write what that has in \"issuer\", such as %s", issuer, base)
		}
		if slices.Contains(issuers[:i], issuer) {
			return fmt.Errorf("issuer %q: is written twice", issuer)
		}
	}
	return nil
}

// skew is the tolerance in use.
func (c Config) skew() time.Duration { return max(c.ClockSkew, 0) }
