package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/golang-jwt/jwt/v5"
)

// tally is a Meter that tests read.
type tally struct {
	mu      sync.Mutex
	lookups map[Lookup]int
	fetched map[bool]int
	asked   map[bool]int
}

func newTally() *tally {
	return &tally{lookups: map[Lookup]int{}, fetched: map[bool]int{}, asked: map[bool]int{}}
}

func (m *tally) TokenLookedUp(l Lookup) { m.count(func() { m.lookups[l]++ }) }
func (m *tally) KeysFetched(good bool)  { m.count(func() { m.fetched[good]++ }) }
func (m *tally) Introspected(good bool) { m.count(func() { m.asked[good]++ }) }
func (m *tally) count(f func())         { m.mu.Lock(); defer m.mu.Unlock(); f() }
func (m *tally) of(l Lookup) (n int)    { m.count(func() { n = m.lookups[l] }); return n }

func (b *bubble) metered(t *testing.T) (*Verifier, *tally) {
	t.Helper()
	counts := newTally()
	v, err := NewVerifier(Config{
		Issuers: []string{bubbleIssuer}, Resource: testResource,
		Transport: b, Logger: slog.New(slog.DiscardHandler), Meter: counts,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, counts
}

// verifyMany lets so many requests bring a token at once and returns what they got, once
// they have it.
func verifyMany(ctx context.Context, v *Verifier, token string, n int) (wait func() ([]*Principal, []error)) {
	principals, errs := make([]*Principal, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { principals[i], errs[i] = v.Verify(ctx, token) })
	}
	return func() ([]*Principal, []error) {
		all.Wait()
		return principals, errs
	}
}

func TestHundredFirstRequestsVerifyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}, hold: make(chan struct{})}
		v, counts := b.metered(t)
		defer v.Close()
		wait := verifyMany(t.Context(), v, bubbleToken("a"), 100)
		synctest.Wait() // all of them wait for the keys
		close(b.hold)
		principals, errs := wait()
		for i, p := range principals {
			if errs[i] != nil || p != principals[0] {
				t.Fatalf("request %d: %v, another principal: %v", i, errs[i], p != principals[0])
			}
		}
		if counts.of(LookupMiss) != 1 || counts.of(LookupShared) != 99 || counts.of(LookupHit) != 0 {
			t.Errorf("looked up %v", counts.lookups)
		}
		if n := len(v.flights.aloft); n != 0 {
			t.Errorf("%d verifications are left", n)
		}
	})
}

func TestRefusalIsSharedByThoseWhoWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}, hold: make(chan struct{})}
		v, counts := b.metered(t)
		defer v.Close()
		forged := mint(jwt.SigningMethodRS256, rsaKey(), "a", jwt.MapClaims{"iss": bubbleIssuer}, nil)
		wait := verifyMany(t.Context(), v, forged, 10)
		synctest.Wait()
		close(b.hold)
		_, errs := wait()
		for _, err := range errs {
			if e, ok := err.(*Error); !ok || e.Status != 401 {
				t.Fatalf("error %v", err)
			}
		}
		refusalOf(t, v, forged, 401, "alg") // a refusal is not remembered
		if counts.of(LookupMiss) != 2 || counts.of(LookupShared) != 9 {
			t.Errorf("looked up %v", counts.lookups)
		}
	})
}

// The request that carries the verification hangs up; those that wait for it do not pay.
func TestRequestThatHangsUpLeavesTheVerificationToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}, hold: make(chan struct{})}
		v, counts := b.metered(t)
		defer v.Close()
		token := bubbleToken("a")
		ctx, hangUp := context.WithCancel(t.Context())
		first := verifyMany(ctx, v, token, 1)
		synctest.Wait()
		rest := verifyMany(t.Context(), v, token, 10)
		impatient, leave := context.WithCancel(t.Context())
		waiting := verifyMany(impatient, v, token, 1)
		synctest.Wait()
		hangUp()
		leave()
		for _, gone := range []func() ([]*Principal, []error){first, waiting} {
			if _, errs := gone(); errs[0] == nil || errs[0].(*Error).Status != 503 {
				t.Errorf("a request that hung up got %v", errs[0])
			}
		}
		synctest.Wait()
		close(b.hold)
		principals, errs := rest()
		for i := range principals {
			if errs[i] != nil || principals[i] != principals[0] {
				t.Fatalf("request %d: %v", i, errs[i])
			}
		}
		if counts.of(LookupMiss) != 2 || b.fetches() != 1 {
			t.Errorf("looked up %v, keys fetched %d times", counts.lookups, b.fetches())
		}
	})
}

func TestHitsAndMissesAreCounted(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	counts := newTally()
	cfg := iss.config()
	cfg.Meter = counts
	v := newVerifier(t, cfg)
	for range 3 {
		accepted(t, v, iss.edToken("a"))
	}
	token := iss.edToken("a")
	for range 4 {
		accepted(t, v, token)
	}
	refusalOf(t, v, "rubbish", 401, "token")
	if counts.of(LookupMiss) != 5 || counts.of(LookupHit) != 3 || counts.of(LookupShared) != 0 {
		t.Errorf("looked up %v", counts.lookups)
	}
	iss.breakKeys(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	refusalOf(t, v, iss.edToken("unknown"), 503, "keys")
	if counts.fetched[true] != 1 || counts.fetched[false] != 1 {
		t.Errorf("fetched %v", counts.fetched)
	}
}
