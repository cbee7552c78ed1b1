package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg     Config
	rules   claimsRules
	sources map[string]*keySource // by issuer
	proofs  *ReplayCache
	nonces  *nonceIssuer
	asks    *introspector // nil if none is asked about tokens
	digests *tokenDigester
	cache   *tokenCache // nil for none
	flights flights
	fetch   *fetcher
	log     atomic.Pointer[slog.Logger]

	lifetime context.Context
	cancel   context.CancelFunc
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
		digests: newTokenDigester(),
		cache:   newTokenCache(cfg.CacheSize),
		proofs:  cfg.Proofs,
		nonces:  newNonceIssuer(),
		fetch:   newFetcher(cfg.Transport),
		cancel:  cancel,
	}
	for _, audience := range cfg.Audience {
		v.rules.audience[comparableResource(audience)] = true
	}
	v.lifetime = lifetime
	v.log.Store(cfg.Logger)
	v.asks = newIntrospector(cfg, v.fetch)
	for _, issuer := range cfg.Issuers {
		v.sources[issuer] = newKeySource(lifetime, cfg, issuer, v.fetch, &v.log)
	}
	return v, nil
}

// Verify checks a token and returns whom it speaks for. The principal is shared by
// all requests with the same token and must not be changed. That the sender has the
// keys in [Principal.Confirmation] is for the caller to check: see [Authenticator].
//
// The error is always an [*Error]: 401 invalid_token where the token is no good, 403
// where it is and lacks what [Config.Require] wants, 503 where that cannot be told
// because the issuer is out of reach. The call may wait for the issuer, up to ten seconds
// or until ctx is done.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	if len(token) > maxTokenBytes {
		return nil, refuse("token: longer than 16 KiB")
	}
	digest := v.digests.of(token)
	if known := v.recall(digest); !known.none() {
		v.cfg.Meter.TokenLookedUp(LookupHit)
		return known.result()
	}
	for {
		f, first := v.flights.join(digest)
		if first {
			v.fly(ctx, f, digest, token)
		} else {
			v.cfg.Meter.TokenLookedUp(LookupShared)
		}
		if !f.wait(ctx) {
			return nil, unavailable("the request ended before its token was verified", 0, context.Cause(ctx))
		}
		if !f.abandoned {
			return f.verdict.result()
		}
	}
}

// recall returns what is known of a token.
func (v *Verifier) recall(digest tokenDigest) verdict {
	if known := v.cache.get(digest, v.cfg.Now()); !known.none() {
		return known
	}
	return v.asks.recall(digest)
}

// fly verifies the token of a flight.
func (v *Verifier) fly(ctx context.Context, f *flight, digest tokenDigest, token string) {
	if !v.asks.verifies(token) {
		v.settle(f, digest, func() verdict {
			principal, refusal := v.verifyJWT(ctx, digest, token)
			if refusal != nil && refusal.Status == http.StatusServiceUnavailable && ctx.Err() != nil {
				return verdict{} // it may have failed only because its client left
			}
			return verdict{principal, refusal}
		})
		return
	}
	// Detached: a client that hangs up, and comes again, must not cost a question each time.
	asked := v.flights.detach(func() {
		v.settle(f, digest, func() verdict { return v.introspect(digest, token) })
	})
	if !asked {
		v.settle(f, digest, func() verdict { return verdict{refusal: v.asks.outOfReach(errClosed)} })
	}
}

// settle ends a flight by the verdict that another has remembered meanwhile, or else by
// the one that is found. Finding none leaves it to those who wait.
func (v *Verifier) settle(f *flight, digest tokenDigest, find func() verdict) {
	defer v.flights.land(digest, f)
	// Another may have landed between the look into the cache and this flight.
	if known := v.recall(digest); !known.none() {
		v.cfg.Meter.TokenLookedUp(LookupHit)
		f.end(known)
		return
	}
	v.cfg.Meter.TokenLookedUp(LookupMiss)
	if found := find(); !found.none() {
		f.end(found)
	}
}

// verifyJWT verifies a JWT by the keys of its issuer.
func (v *Verifier) verifyJWT(ctx context.Context, digest tokenDigest, token string) (*Principal, *Error) {
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
	now := v.cfg.Now() // a fetch may have taken a while
	principal, refusal := v.rules.principal(issuer, t.claims, now)
	if refusal != nil {
		return nil, refusal
	}
	if set := source.set.Load(); set != nil {
		until := v.goodUntil(principal, now, set.fetched.Add(keepKeys))
		v.remember(&cacheEntry{digest: digest, verdict: verdict{principal: principal}, until: until, source: source, epoch: epoch}, now)
	}
	return principal, nil
}

// introspect verifies a token by asking its issuer. What holds for the claims of a JWT
// holds for those of the answer (RFC 7662 section 2.2), aud included: a token of which it
// is not said that it is for this resource may be for any other.
func (v *Verifier) introspect(digest tokenDigest, token string) verdict {
	claims, refusal := v.asks.ask(v.lifetime, token)
	var principal *Principal
	now := v.cfg.Now()
	if refusal == nil {
		principal, refusal = v.rules.principal(v.asks.Issuer, claims, now)
	}
	if refusal != nil {
		v.asks.remember(digest, refusal)
		return verdict{refusal: refusal}
	}
	v.remember(&cacheEntry{digest: digest, verdict: verdict{principal: principal}, until: v.goodUntil(principal, now)}, now)
	return verdict{principal: principal}
}

// goodUntil is how long a token may be remembered: for the TTL, but not past its exp,
// nor past further ends.
func (v *Verifier) goodUntil(p *Principal, now time.Time, ends ...time.Time) time.Time {
	until := now.Add(v.cfg.CacheTTL)
	for _, end := range append(ends, p.Expires) {
		if end.Before(until) {
			until = end
		}
	}
	return until
}

func (v *Verifier) remember(e *cacheEntry, now time.Time) {
	if e.until.After(now) {
		v.cache.put(e)
	}
}

// LogTo has the verifier log there from now on, in place of [Config.Logger]: it may outlive
// what it was made by.
func (v *Verifier) LogTo(logger *slog.Logger) { v.log.Store(logger) }

// Config returns the configuration in use, defaults filled in and the resource
// made canonical.
func (v *Verifier) Config() Config { return v.cfg }

// Close ends every goroutine and fetch of the verifier and waits for them. A token
// that needs keys from the network is answered 503 from then on.
func (v *Verifier) Close() {
	v.cancel()
	v.flights.close()
	for _, source := range v.sources {
		source.close()
	}
	v.fetch.close()
}
