package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// How introspection is bounded.
const (
	// introspectTimeout bounds one question, the wait for its turn included.
	introspectTimeout = 10 * time.Second
	// maxAsking is how many questions an issuer is asked at the same time.
	maxAsking = 32
	// maxWaiting is how many may be asked or wait for their turn. A flood of invented
	// tokens gets 503 beyond.
	maxWaiting = 1024
	// refusedTTL is how long a token that the issuer does not know is refused without
	// asking. It is short: a copy of the issuer may not know yet what another has issued.
	refusedTTL = 10 * time.Second
	// failedTTL is the same for a token that could not be asked about.
	failedTTL = time.Second
	// maxRefused is how many tokens are remembered as refused, apart from the good ones:
	// what anyone can invent must not push those out.
	maxRefused = 4096
)

// Introspection is how tokens that are no JWTs are verified: by asking their issuer (RFC
// 7662).
type Introspection struct {
	// Endpoint is the introspection endpoint, https save on loopback. Required.
	Endpoint string
	// Issuer is whose endpoint it is, and so whose tokens those are that it knows.
	// Default: the one issuer of the configuration; with several it is required.
	Issuer string
	// Client is how the gateway authenticates itself there (RFC 7662 section 2.1).
	Client ClientAuth
	// All says that the issuer is asked about JWTs as well, for one that revokes them or
	// signs them with what nobody else can verify. Only with one issuer.
	All bool
}

// prepared fills in what is not written, for one of these issuers.
func (i Introspection) prepared(issuers []string) *Introspection {
	if i.Issuer == "" && len(issuers) == 1 {
		i.Issuer = issuers[0]
	}
	i.Client = i.Client.withDefaults()
	return &i
}

func (i *Introspection) check(issuers []string) error {
	if err := checkEndpoint(i.Endpoint); err != nil {
		return fmt.Errorf("introspect %q: %w", i.Endpoint, err)
	}
	if strings.Contains(i.Endpoint, "#") {
		return fmt.Errorf("introspect %q: must have no fragment", i.Endpoint)
	}
	switch {
	case i.Issuer == "":
		return errors.New("introspect: with several issuers it must say by \"issuer <uri>\" whose endpoint it is, since one issuer must not speak for another")
	case !slices.Contains(issuers, i.Issuer):
		return fmt.Errorf("introspect: issuer %q is not one of those whose tokens are accepted", i.Issuer)
	case i.All && len(issuers) > 1:
		return errors.New("introspect: all tokens can be asked about with one issuer only, since it is not known whose an unverified token is")
	}
	if err := i.Client.check(); err != nil {
		return fmt.Errorf("introspect: %w", err)
	}
	return nil
}

// digest stands for all of it in a configuration's digest.
func (i *Introspection) digest() []any {
	if i == nil {
		return nil
	}
	return []any{i.Endpoint, i.Issuer, i.All, i.Client.digest()}
}

// introspector asks an issuer about tokens.
type introspector struct {
	Introspection
	fetch   *fetcher
	now     func() time.Time
	meter   Meter
	refused *tokenCache   // of refusals
	asking  chan struct{} // holds one for each question on its way
	waiting atomic.Int64
}

// newIntrospector returns nil if none is configured.
func newIntrospector(cfg Config, fetch *fetcher) *introspector {
	if cfg.Introspection == nil {
		return nil
	}
	return &introspector{
		Introspection: *cfg.Introspection,
		fetch:         fetch,
		now:           cfg.Now,
		meter:         cfg.Meter,
		refused:       newTokenCache(maxRefused),
		asking:        make(chan struct{}, maxAsking),
	}
}

// verifies says whether a token is for the issuer to judge.
func (i *introspector) verifies(token string) bool {
	return i != nil && (i.All || !looksLikeJWT(token))
}

// looksLikeJWT says whether a token has the three parts of a signed JWT, of which the
// first is a JSON object. An opaque token may have dots as well.
func looksLikeJWT(token string) bool {
	if strings.Count(token, ".") != 2 {
		return false
	}
	header, _, _ := strings.Cut(token, ".")
	_, err := decodeSegment(header)
	return err == nil
}

// recall returns the refusal of a token that was asked about a moment ago.
func (i *introspector) recall(digest tokenDigest) verdict {
	if i == nil {
		return verdict{}
	}
	return i.refused.get(digest, i.now())
}

// remember keeps a refusal for a moment.
func (i *introspector) remember(digest tokenDigest, refusal *Error) {
	now, ttl := i.now(), refusedTTL
	if refusal.Status == http.StatusServiceUnavailable {
		ttl = failedTTL
	}
	i.refused.put(&cacheEntry{digest: digest, verdict: verdict{refusal: refusal}, until: now.Add(ttl)})
}

// ask returns the claims of a token that its issuer takes for a good one.
func (i *introspector) ask(ctx context.Context, token string) (map[string]any, *Error) {
	defer i.waiting.Add(-1)
	if i.waiting.Add(1) > maxWaiting {
		return nil, i.outOfReach(errors.New("too many tokens wait to be asked about"))
	}
	ctx, cancel := context.WithTimeout(ctx, introspectTimeout)
	defer cancel()
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
	case <-ctx.Done():
		return nil, i.outOfReach(fmt.Errorf("waited in vain behind other tokens: %w", ctx.Err()))
	}
	claims, err := i.question(ctx, token)
	i.meter.Introspected(err == nil)
	if err != nil {
		return nil, i.outOfReach(err)
	}
	if active, ok := claims["active"].(bool); !ok {
		return nil, i.outOfReach(fmt.Errorf("%s: the answer does not say whether the token is active (RFC 7662 section 2.2)", i.Endpoint))
	} else if !active {
		return nil, refuse("active: the issuer does not take the token for a good one")
	}
	delete(claims, "active") // it is of the answer, not of the token
	// RFC 7662 section 2.2: the answer may name the issuer, and then it is this one.
	if iss, ok := claims["iss"]; ok && iss != i.Issuer {
		return nil, refuse("iss: the introspection endpoint names another issuer than its own")
	}
	return claims, nil
}

// question sends one token to the endpoint (RFC 7662 section 2.1).
func (i *introspector) question(ctx context.Context, token string) (map[string]any, error) {
	header := http.Header{}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	if err := i.Client.authenticate(header, form, i.Issuer, i.now()); err != nil {
		return nil, err
	}
	body, err := i.fetch.post(ctx, i.Endpoint, header, form)
	if err != nil {
		return nil, err
	}
	claims, err := decodeObject(body)
	if err != nil {
		return nil, fmt.Errorf("%s: the answer %w", i.Endpoint, err)
	}
	return claims, nil
}

func (i *introspector) outOfReach(err error) *Error {
	return unavailable("introspection: the issuer cannot be asked about the token", failedTTL, err)
}
