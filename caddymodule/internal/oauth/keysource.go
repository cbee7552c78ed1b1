package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// How key sets are kept.
const (
	// refreshInterval is how often keys are fetched anew: a key that the issuer
	// withdraws works at most this long.
	refreshInterval = 15 * time.Minute
	// retryInterval is how soon a refresh in the background is tried again.
	retryInterval = time.Minute
	// keepKeys is how long the last keys stay good while the issuer is out of reach.
	keepKeys = time.Hour
	// lookAgainInterval is how often tokens with unknown keys can cause a fetch,
	// however many there are.
	lookAgainInterval = 10 * time.Second
	// firstBackoff doubles with each failed fetch, up to lookAgainInterval.
	firstBackoff = time.Second
	// fetchTimeout bounds a fetch, discovery included.
	fetchTimeout = 10 * time.Second
	// unknownKeyTTL is how long a key id that the issuer did not have is taken to be
	// unknown without asking, and maxUnknownKeys how many such ids are remembered.
	unknownKeyTTL  = time.Minute
	maxUnknownKeys = 1024
)

var (
	errTooSoon = errors.New("the last fetch is too recent")
	errClosed  = errors.New("the verifier is closed")
)

// keySource finds and keeps the keys of one issuer. Fetches are detached from the
// requests that wait for them: a client that hangs up neither ends a fetch nor
// wastes it, and any number of requests share one.
type keySource struct {
	issuer   string
	jwks     string // configured address, or "" for discovery
	fetch    *fetcher
	now      func() time.Time
	log      *atomic.Pointer[slog.Logger] // the verifier's
	meter    Meter
	lifetime context.Context

	set   atomic.Pointer[keySet]
	epoch atomic.Uint64 // counts the key sets that lost a key

	mu          sync.Mutex
	closed      bool
	running     sync.WaitGroup
	background  bool                 // the refresh in the background has begun
	inflight    *fetchRun            // the fetch under way, if there is one
	lastErr     error                // of the last fetch
	failures    int                  // fetches that failed since the last good one
	nextTry     time.Time            // after a failure
	nextUnknown time.Time            // when an unknown key may cause a fetch
	unknown     map[string]time.Time // key ids that a good fetch did not bring, and until when

	// Only the fetch under way, of which there is one, uses these.
	discovered string
	warnedPKCE bool
}

// fetchRun is one fetch, which any number of requests may wait for.
type fetchRun struct {
	done chan struct{} // closed at its end
	err  error         // its outcome, to be read after that
}

// verify checks the signature of a token, with newer keys if those at hand do
// not know its key.
func (s *keySource) verify(ctx context.Context, t *unverifiedToken) *Error {
	set, err := s.current(ctx)
	if err != nil {
		return s.outOfReach(err)
	}
	err = set.verify(t)
	if err == errUnknownKey || err == errNoKeyFits {
		newer, lookErr := s.lookAgain(ctx, t.kid, set)
		if lookErr != nil {
			return s.outOfReach(lookErr)
		}
		if newer != set {
			if err = newer.verify(t); err == errUnknownKey {
				s.rememberUnknown(t.kid)
			}
		}
	}
	if err != nil {
		return refuse(err.Error())
	}
	return nil
}

// outOfReach is the answer while keys cannot be had.
func (s *keySource) outOfReach(err error) *Error {
	s.mu.Lock()
	after := s.nextTry.Sub(s.now())
	s.mu.Unlock()
	return unavailable("keys of the issuer are out of reach", after, err)
}

// current returns keys that are young enough to be believed.
func (s *keySource) current(ctx context.Context) (*keySet, error) {
	if set := s.fresh(); set != nil {
		return set, nil
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	if set := s.fresh(); set != nil {
		return set, nil
	}
	return nil, errClosed
}

func (s *keySource) fresh() *keySet {
	set := s.set.Load()
	if set == nil || s.now().Sub(set.fetched) >= keepKeys {
		return nil
	}
	return set
}

// lookAgain returns newer keys than tried, which did not know a key, or tried
// itself where asking is no use now. The error is that of an issuer out of
// reach: the key may be new and good, so its token cannot be refused.
func (s *keySource) lookAgain(ctx context.Context, kid string, tried *keySet) (*keySet, error) {
	s.mu.Lock()
	now := s.now()
	newer := s.set.Load()
	idle := s.inflight == nil && s.lastErr == nil
	switch {
	case newer != tried,
		kid != "" && now.Before(s.unknown[kid]),
		idle && now.Before(s.nextUnknown):
		s.mu.Unlock()
		return newer, nil
	case idle:
		s.nextUnknown = now.Add(lookAgainInterval)
	}
	// Begun under the same lock as it was decided, so that a flood cannot slip a
	// second fetch into the interval.
	run, err := s.startLocked(false)
	s.mu.Unlock()
	if err == nil {
		err = s.wait(ctx, run)
	}
	if err != nil {
		return nil, err
	}
	return s.set.Load(), nil
}

// rememberUnknown keeps a key id from causing another fetch for a while.
func (s *keySource) rememberUnknown(kid string) {
	if kid == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Before(s.unknown[kid]) {
		return
	}
	if len(s.unknown) >= maxUnknownKeys {
		clear(s.unknown)
	}
	s.unknown[kid] = now.Add(unknownKeyTTL)
}

// refresh waits for a fetch: the one under way, or a new one unless the last
// failed too recently.
func (s *keySource) refresh(ctx context.Context) error {
	s.mu.Lock()
	run, err := s.startLocked(false)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.wait(ctx, run)
}

// wait returns the outcome of a fetch, which goes on if ctx ends.
func (s *keySource) wait(ctx context.Context, run *fetchRun) error {
	select {
	case <-run.done:
		return run.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.lifetime.Done():
		return errClosed
	}
}

// startLocked begins a fetch, or joins the one under way; s.mu is held. In the
// background the issuer is asked anew where its keys are, and a failure a moment
// ago is no reason to wait.
func (s *keySource) startLocked(background bool) (*fetchRun, error) {
	switch {
	case s.closed:
		return nil, errClosed
	case s.inflight != nil:
		return s.inflight, nil
	case s.lastErr != nil && s.now().Before(s.nextTry) && !background:
		return nil, fmt.Errorf("%w; it failed: %w", errTooSoon, s.lastErr)
	}
	run := &fetchRun{done: make(chan struct{})}
	s.inflight = run
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(s.lifetime, fetchTimeout)
		defer cancel()
		set, err := s.load(ctx, background)
		if err != nil && s.lifetime.Err() == nil {
			s.log.Load().Warn("keys of issuer could not be fetched", "issuer", s.issuer, "error", err)
		}
		s.meter.KeysFetched(err == nil)
		s.finish(set, err)
		run.err = err
		close(run.done)
	})
	if !s.background {
		s.background = true
		s.running.Go(s.refreshInBackground)
	}
	return run, nil
}

// finish records the outcome of a fetch.
func (s *keySource) finish(set *keySet, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inflight = nil
	s.lastErr = err
	if err != nil {
		s.nextTry = s.now().Add(min(firstBackoff<<min(s.failures, 10), lookAgainInterval))
		s.failures++
		return
	}
	s.failures = 0
	old := s.set.Swap(set)
	if old != nil && set.lacks(old) {
		s.epoch.Add(1)
	}
	for kid := range s.unknown {
		if set.kids[kid] {
			delete(s.unknown, kid)
		}
	}
}

// load fetches the keys, and where they are if that is not known.
func (s *keySource) load(ctx context.Context, rediscover bool) (*keySet, error) {
	address := s.jwks
	if address == "" {
		if err := s.locate(ctx, rediscover); err != nil {
			return nil, err
		}
		address = s.discovered
	}
	body, err := s.fetch.get(ctx, address)
	if err != nil {
		s.discovered = "" // the keys may have moved
		return nil, fmt.Errorf("key set: %w", err)
	}
	set, skipped, err := parseKeySet(body, s.now())
	if err != nil {
		return nil, fmt.Errorf("key set %s: %w", address, err)
	}
	if len(skipped) > 0 {
		s.log.Load().Debug("keys of issuer that are not used", "issuer", s.issuer, "skipped", skipped)
	}
	if len(set.kids) == 0 {
		s.log.Load().Warn("key set of issuer has no key that can verify tokens", "issuer", s.issuer, "address", address, "skipped", skipped)
	}
	return set, nil
}

// locate finds the address of the keys. An address found before serves while the
// metadata is out of reach.
func (s *keySource) locate(ctx context.Context, rediscover bool) error {
	if s.discovered != "" {
		if !rediscover {
			return nil
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, fetchTimeout/2) // leaves time for the keys
		defer cancel()
	}
	m, err := discover(ctx, s.fetch, s.issuer)
	if err != nil {
		if s.discovered != "" && s.lifetime.Err() == nil {
			s.log.Load().Warn("metadata of issuer could not be fetched; its keys are fetched where they were", "issuer", s.issuer, "error", err)
			return nil
		}
		return err
	}
	s.discovered = m.JWKSURI
	if !m.hasPKCE() && !s.warnedPKCE {
		s.warnedPKCE = true
		s.log.Load().Warn("issuer does not say that it supports PKCE with S256; MCP clients will refuse to log in there",
			"issuer", s.issuer, "missing", "code_challenge_methods_supported")
	}
	return nil
}

// refreshInBackground fetches the keys at intervals until the source is closed.
func (s *keySource) refreshInBackground() {
	timer := time.NewTimer(refreshInterval)
	defer timer.Stop()
	for {
		select {
		case <-s.lifetime.Done():
			return
		case <-timer.C:
		}
		s.mu.Lock()
		run, err := s.startLocked(true)
		s.mu.Unlock()
		if err != nil {
			return // closed
		}
		if err := s.wait(s.lifetime, run); err != nil {
			timer.Reset(retryInterval)
		} else {
			timer.Reset(refreshInterval)
		}
	}
}

// close refuses new fetches and waits until the goroutines have ended. The
// lifetime's context must be cancelled before.
func (s *keySource) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
}

func newKeySource(lifetime context.Context, cfg Config, issuer string, fetch *fetcher, log *atomic.Pointer[slog.Logger]) *keySource {
	return &keySource{
		issuer:   issuer,
		jwks:     cfg.JWKS,
		fetch:    fetch,
		now:      cfg.Now,
		log:      log,
		meter:    cfg.Meter,
		lifetime: lifetime,
		unknown:  make(map[string]time.Time),
	}
}
