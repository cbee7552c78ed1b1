package oauth

import (
	"context"
	"fmt"
	"time"
)

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg     Config
	rules   claimsRules
	sources map[string]*keySource // by issuer
	cache   *tokenCache           // nil for none
	fetch   *fetcher
	cancel  context.CancelFunc
}

// NewVerifier checks the configuration and returns a verifier. It does not touch
// the network: an issuer is asked for its keys when its first token comes. The
// error names the setting and says what would be right.
func NewVerifier(cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults().validate()
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	lifetime, cancel := context.WithCancel(context.Background())
	v := &Verifier{
		cfg: cfg,
		rules: claimsRules{
			audience:    make(map[string]bool),
			subject:     cfg.Subject,
			scopeClaims: cfg.ScopeClaims,
			require:     cfg.Require,
			skew:        cfg.skew(),
		},
		sources: make(map[string]*keySource),
		cache:   newTokenCache(cfg.CacheSize),
		fetch:   newFetcher(cfg.Transport),
		cancel:  cancel,
	}
	for _, audience := range cfg.Audience {
		v.rules.audience[comparableResource(audience)] = true
	}
	for _, issuer := range cfg.Issuers {
		v.sources[issuer] = newKeySource(lifetime, cfg, issuer, v.fetch)
	}
	return v, nil
}

// Verify checks a bearer token and returns whom it speaks for. The principal is
// shared by all requests with the same token and must not be changed.
//
// The error is always an [*Error]: 401 invalid_token where the token is no good, 403
// where it is and lacks what [Config.Require] wants, 503 where that cannot be told because the issuer's keys are out of reach. The
// call may wait for a fetch of keys, up to ten seconds or until ctx is done.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	if len(token) > maxTokenBytes {
		return nil, refuse("token: longer than 16 KiB")
	}
	now := v.cfg.Now()
	var digest tokenDigest
	if v.cache != nil {
		digest = v.cache.digest(token)
		if p := v.cache.get(digest, now); p != nil {
			return p, nil
		}
	}
	t, refusal := parseToken(token, v.cfg.Algorithms)
	if refusal != nil {
		return nil, refusal
	}
	// The issuer comes first, and then only its own keys count: a key of one
	// issuer must not make tokens of another (RFC 9068 section 4, RFC 8725
	// section 3.8).
	issuer, _ := t.claims["iss"].(string)
	source := v.sources[issuer]
	if source == nil {
		return nil, refuse("iss: missing, or not an accepted issuer")
	}
	// Read before the keys are, so that a change in between is noticed.
	epoch := source.epoch.Load()
	if refusal := source.verify(ctx, t); refusal != nil {
		return nil, refusal
	}
	now = v.cfg.Now() // a fetch may have taken a while
	principal, refusal := v.rules.principal(issuer, t.claims, now)
	if refusal != nil {
		return nil, refusal
	}
	v.remember(digest, principal, source, epoch, now)
	return principal, nil
}

// remember caches a verified token: for the TTL, but not past its exp, nor past
// the time for which the keys that verified it are believed.
func (v *Verifier) remember(digest tokenDigest, p *Principal, source *keySource, epoch uint64, now time.Time) {
	set := source.set.Load()
	if v.cache == nil || set == nil {
		return
	}
	until := now.Add(v.cfg.CacheTTL)
	for _, end := range []time.Time{p.Expires, set.fetched.Add(keepKeys)} {
		if end.Before(until) {
			until = end
		}
	}
	if until.After(now) {
		v.cache.put(&cacheEntry{digest: digest, principal: p, until: until, source: source, epoch: epoch})
	}
}

// Config returns the configuration in use, defaults filled in and the resource
// made canonical.
func (v *Verifier) Config() Config { return v.cfg }

// Close ends every goroutine and fetch of the verifier and waits for them. A token
// that needs keys from the network is answered 503 from then on.
func (v *Verifier) Close() {
	v.cancel()
	for _, source := range v.sources {
		source.close()
	}
	v.fetch.close()
}
