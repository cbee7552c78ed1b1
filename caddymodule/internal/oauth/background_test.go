package oauth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const bubbleIssuer = "https://auth.example.com"

// bubble is an issuer without sockets, so that a test's clock can run ahead.
type bubble struct {
	mu           sync.Mutex
	keys         []map[string]any
	err          error // of the key set
	metadataErr  error
	hang         bool
	hold         chan struct{} // answers wait until it is closed, if not nil
	keyFetches   int
	metadataGets int
}

func (b *bubble) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hang {
		b.mu.Unlock()
		<-r.Context().Done()
		b.mu.Lock()
		return nil, r.Context().Err()
	}
	if hold := b.hold; hold != nil {
		b.mu.Unlock()
		<-hold
		b.mu.Lock()
	}
	var document any = map[string]any{"keys": b.keys}
	err := b.err
	if r.URL.Path == "/keys" {
		b.keyFetches++
	} else {
		b.metadataGets++
		err = b.metadataErr
		document = map[string]any{"issuer": bubbleIssuer, "jwks_uri": bubbleIssuer + "/keys"}
	}
	if err != nil {
		return nil, err
	}
	body := string(must(json.Marshal(document)))
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (b *bubble) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *bubble) fetches() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keyFetches
}

func (b *bubble) verifier(t *testing.T) *Verifier {
	t.Helper()
	v, err := NewVerifier(Config{
		Issuers: []string{bubbleIssuer}, Resource: testResource,
		Transport: b, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func bubbleToken(kid string) string {
	return mint(jwt.SigningMethodEdDSA, edKey(), kid, jwt.MapClaims{
		"iss": bubbleIssuer, "sub": "alice", "aud": testResource, "exp": time.Now().Add(24 * time.Hour).Unix(),
	}, nil)
}

// In a bubble every goroutine must have ended when the test does.
func TestKeysAreRefreshedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}}
		v := b.verifier(t)
		defer v.Close()
		token := bubbleToken("a")
		accepted(t, v, token)

		b.change(func() { b.keys = []map[string]any{jwk("b", edKey(), nil)} })
		time.Sleep(refreshInterval - time.Second)
		accepted(t, v, token)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := b.fetches(); n != 2 {
			t.Fatalf("%d fetches after one interval, want 2", n)
		}
		before := b.fetches()
		accepted(t, v, bubbleToken("b"))
		if b.fetches() != before {
			t.Error("the new key was not there already")
		}
		refusalOf(t, v, token, 401, "kid")
	})
}

// An issuer that replaces a key and keeps its kid gives no sign of it. Until the next
// refresh the new tokens look forged, and the old key is believed; not longer.
func TestKeyReplacedUnderItsKeyIDIsKnownAfterARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", otherRSAKey(), nil)}}
		v := b.verifier(t)
		defer v.Close()
		signed := func(key *rsa.PrivateKey) string {
			return mint(jwt.SigningMethodRS256, key, "a", jwt.MapClaims{
				"iss": bubbleIssuer, "sub": "alice", "aud": testResource, "exp": time.Now().Add(time.Hour).Unix(),
			}, nil)
		}
		old, fresh := signed(otherRSAKey()), signed(rsaKey())
		accepted(t, v, old)
		b.change(func() { b.keys = []map[string]any{jwk("a", rsaKey(), nil)} })
		refusalOf(t, v, fresh, 401, "signature")
		if n := b.fetches(); n != 1 {
			t.Errorf("%d fetches: anyone can write a bad signature, so none may cause one", n)
		}
		time.Sleep(refreshInterval + time.Second)
		synctest.Wait()
		accepted(t, v, fresh)
		refusalOf(t, v, old, 401, "signature") // though it was in the cache
	})
}

// drip is a body that comes a byte at a time and never ends.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d drip) Close() error { return nil }

// dripping answers with such a body.
type dripping struct{}

func (dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: drip{r.Context()}, Request: r}, nil
}

func TestIssuerThatAnswersByTheDropIsGivenUpInTime(t *testing.T) {
	for token, timeout := range map[string]time.Duration{"": fetchTimeout, opaqueToken: introspectTimeout} {
		synctest.Test(t, func(t *testing.T) {
			cfg := (&desk{}).config()
			cfg.Transport = dripping{}
			v, err := NewVerifier(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			start := time.Now()
			refusalOf(t, v, cmp.Or(token, bubbleToken("a")), 503, "")
			if took := time.Since(start); took != timeout {
				t.Errorf("took %v, want %v", took, timeout)
			}
		})
	}
}

func TestFailedRefreshIsTriedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}}
		v := b.verifier(t)
		defer v.Close()
		accepted(t, v, bubbleToken("a"))

		b.change(func() { b.err = errors.New("connection refused") })
		time.Sleep(refreshInterval + 3*retryInterval + time.Second)
		synctest.Wait()
		if n := b.fetches(); n != 5 {
			t.Errorf("%d fetches, want the first, the refresh and three more", n)
		}
		accepted(t, v, bubbleToken("a")) // the keys at hand still serve

		b.change(func() { b.err = nil })
		time.Sleep(retryInterval)
		synctest.Wait()
		before := b.fetches()
		time.Sleep(keepKeys) // refreshed again and again, they stay good
		accepted(t, v, bubbleToken("a"))
		if n := b.fetches() - before; n != int(keepKeys/refreshInterval) {
			t.Errorf("%d fetches in %v", n, keepKeys)
		}
	})
}

// A request that failed a moment ago must not stop the refresh, now or for good.
func TestFailedRequestDoesNotStopTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}}
		v := b.verifier(t)
		defer v.Close()
		accepted(t, v, bubbleToken("a"))

		time.Sleep(refreshInterval - firstBackoff/2)
		b.change(func() { b.err = errors.New("connection refused") })
		refusalOf(t, v, bubbleToken("unknown"), 503, "keys of the issuer")
		time.Sleep(firstBackoff)
		b.change(func() { b.err = nil })
		time.Sleep(2 * keepKeys)
		accepted(t, v, bubbleToken("a"))
		if n := b.fetches(); n < 8 {
			t.Errorf("%d fetches in two hours; the refresh has stopped", n)
		}
	})
}

func TestKeysAreFoundWhereTheyWereWhileMetadataIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}}
		v := b.verifier(t)
		defer v.Close()
		accepted(t, v, bubbleToken("a"))
		b.change(func() { b.metadataErr = errors.New("connection refused") })
		time.Sleep(2 * keepKeys)
		accepted(t, v, bubbleToken("a"))
	})
}

func TestHungIssuerIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{hang: true}
		v := b.verifier(t)
		defer v.Close()
		start := time.Now()
		refusalOf(t, v, bubbleToken("a"), 503, "keys of the issuer")
		if took := time.Since(start); took != fetchTimeout {
			t.Errorf("took %v, want %v", took, fetchTimeout)
		}
	})
}

func TestCachedTokenEndsWithItsExp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{keys: []map[string]any{jwk("a", edKey(), nil)}}
		v := b.verifier(t)
		defer v.Close()
		token := mint(jwt.SigningMethodEdDSA, edKey(), "a", jwt.MapClaims{
			"iss": bubbleIssuer, "sub": "alice", "aud": testResource, "exp": time.Now().Add(time.Minute).Unix(),
		}, nil)
		first := accepted(t, v, token)
		time.Sleep(time.Minute - time.Nanosecond)
		if accepted(t, v, token) != first {
			t.Error("not from the cache")
		}
		time.Sleep(time.Nanosecond)
		if accepted(t, v, token) == first {
			t.Error("from the cache at exp; within the skew the token is verified each time")
		}
		if n := v.cache.len(); n != 0 {
			t.Errorf("%d tokens cached past exp", n)
		}
		time.Sleep(DefaultClockSkew)
		refusalOf(t, v, token, 401, "exp")
	})
}

// awaitEnd waits until no goroutine runs these functions, or was started by them. One that has
// done all is seen for a moment yet.
func awaitEnd(t *testing.T, functions ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !slices.ContainsFunc(functions, func(name string) bool { return bytes.Contains(stacks, []byte(name)) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("one of %q still runs:\n%s", functions, stacks)
		}
	}
}
