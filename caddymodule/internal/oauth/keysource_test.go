package oauth

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func (i *issuer) edToken(kid string) string {
	return mint(jwt.SigningMethodEdDSA, edKey(), kid, i.claims(map[string]any{"exp": i.clock.now().Add(24 * time.Hour).Unix()}), nil)
}

func TestIssuerIsAskedWhenItsFirstTokenComes(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	if iss.metadataFetches.Load()+iss.keyFetches.Load() != 0 {
		t.Fatal("the issuer was asked before any token came")
	}
	for range 3 {
		accepted(t, v, iss.edToken("a"))
	}
	if m, k := iss.metadataFetches.Load(), iss.keyFetches.Load(); m != 1 || k != 1 {
		t.Errorf("metadata fetched %d times, keys %d times; want each once", m, k)
	}
}

func TestConfiguredKeySetNeedsNoMetadata(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	cfg := iss.config()
	cfg.JWKS = iss.URL + "/keys"
	accepted(t, newVerifier(t, cfg), iss.edToken("a"))
	if n := iss.metadataFetches.Load(); n != 0 {
		t.Errorf("metadata was fetched %d times", n)
	}
}

func TestRotationIsSeenAtOnce(t *testing.T) {
	iss := newIssuer(t, jwk("old", edKey(), nil))
	v := newVerifier(t, iss.config())
	accepted(t, v, iss.edToken("old"))

	iss.setKeys(jwk("old", edKey(), nil), jwk("new", rsaKey(), nil))
	accepted(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "new", iss.claims(nil), nil))
	accepted(t, v, iss.edToken("old"))

	// Issuers without key ids rotate too.
	iss.clock.advance(lookAgainInterval)
	iss.setKeys(jwk("", ecKey(), map[string]any{"kid": nil}))
	accepted(t, v, mint(jwt.SigningMethodES256, ecKey(), "", iss.claims(nil), map[string]any{"kid": nil}))
}

func TestWithdrawnKeyEndsItsTokensCachedOnesToo(t *testing.T) {
	iss := newIssuer(t, jwk("old", edKey(), nil))
	v := newVerifier(t, iss.config())
	token := iss.edToken("old")
	accepted(t, v, token)

	iss.setKeys(jwk("new", rsaKey(), nil))
	accepted(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "new", iss.claims(nil), nil)) // fetches
	refusalOf(t, v, token, 401, "kid")
}

// A key replaced under its own kid is a lost key as well.
func TestReplacedKeyEndsCachedTokens(t *testing.T) {
	iss := newIssuer(t, jwk("a", otherRSAKey(), nil))
	v := newVerifier(t, iss.config())
	token := mint(jwt.SigningMethodRS256, otherRSAKey(), "a", iss.claims(nil), nil)
	accepted(t, v, token)

	iss.setKeys(jwk("a", rsaKey(), nil), jwk("b", edKey(), nil))
	accepted(t, v, iss.edToken("b")) // fetches
	refusalOf(t, v, token, 401, "signature")
	accepted(t, v, mint(jwt.SigningMethodRS256, rsaKey(), "a", iss.claims(nil), nil))
}

func TestUnknownKeyFloodCostsOneFetchAnInterval(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	accepted(t, v, iss.edToken("a"))

	flood := func(round int) {
		var wg sync.WaitGroup
		for i := range 200 {
			token := iss.edToken(fmt.Sprintf("forged-%d-%d", round, i))
			wg.Go(func() { v.Verify(t.Context(), token) })
		}
		wg.Wait()
	}
	for round := range 3 {
		before := iss.keyFetches.Load()
		flood(round)
		if n := iss.keyFetches.Load() - before; n != 1 {
			t.Errorf("round %d: %d fetches, want 1", round, n)
		}
		iss.clock.advance(lookAgainInterval - time.Second)
		flood(round + 100)
		if n := iss.keyFetches.Load() - before; n != 1 {
			t.Errorf("round %d: %d fetches within the interval, want 1", round, n)
		}
		iss.clock.advance(time.Second)
	}
	accepted(t, v, iss.edToken("a"))
	if n := len(v.sources[iss.URL].unknown); n > maxUnknownKeys {
		t.Errorf("%d unknown keys are remembered, want at most %d", n, maxUnknownKeys)
	}
}

func TestUnknownKeyIsNotAskedForAgainForAWhile(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	accepted(t, v, iss.edToken("a"))
	gone := iss.edToken("gone")
	for _, step := range []struct {
		after   time.Duration
		fetches int64
	}{{0, 2}, {lookAgainInterval, 2}, {unknownKeyTTL, 3}} {
		iss.clock.advance(step.after)
		refusalOf(t, v, gone, 401, "kid")
		if n := iss.keyFetches.Load(); n != step.fetches {
			t.Errorf("after %v: %d fetches, want %d", step.after, n, step.fetches)
		}
	}
}

func TestOutageKeepsKeysForAnHourAndThenAnswers503(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	token := iss.edToken("a")
	accepted(t, v, token)
	iss.breakKeys(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })

	iss.clock.advance(keepKeys - time.Second)
	accepted(t, v, token)
	if e := refusalOf(t, v, iss.edToken("maybe-new"), 503, "keys of the issuer"); e.RetryAfter < time.Second {
		t.Errorf("retry after %v", e.RetryAfter)
	}
	refusalOf(t, v, iss.edToken("maybe-newer"), 503, "keys of the issuer") // within the backoff
	accepted(t, v, iss.edToken("a"))

	iss.clock.advance(time.Second)
	e := refusalOf(t, v, token, 503, "keys of the issuer")
	if e.Code != "temporarily_unavailable" || !strings.Contains(e.Error(), "502") {
		t.Errorf("error is %q: %v", e.Code, e)
	}
	iss.breakKeys(nil)
	iss.clock.advance(lookAgainInterval)
	accepted(t, v, token)
}

func TestIssuerDownAtTheStart(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	iss.breakKeys(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	token := iss.edToken("a")
	for i, wait := range []time.Duration{1, 2, 4, 8, 10, 10} {
		for range 3 {
			if e := refusalOf(t, v, token, 503, "keys of the issuer"); e.RetryAfter != wait*time.Second {
				t.Errorf("failure %d: retry after %v, want %d s", i+1, e.RetryAfter, wait)
			}
		}
		if n := iss.keyFetches.Load(); n != int64(i+1) {
			t.Errorf("failure %d: %d fetches", i+1, n)
		}
		iss.clock.advance(wait * time.Second)
	}
	iss.breakKeys(nil)
	accepted(t, v, token)
}

// The first client gives up on a hung issuer; what it began serves the next.
func TestClientThatHangsUpDoesNotWasteTheFetch(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	asked, answer := make(chan struct{}), make(chan struct{})
	iss.breakKeys(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answer
		iss.breakKeys(nil)
		iss.serveKeys(w, r)
	})
	v := newVerifier(t, iss.config())
	token := iss.edToken("a")

	ctx, hangUp := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := v.Verify(ctx, token)
		result <- err
	}()
	<-asked
	hangUp()
	if e, ok := (<-result).(*Error); !ok || e.Status != 503 {
		t.Fatalf("the client that hung up got %v", e)
	}
	close(answer)
	accepted(t, v, token)
	if n := iss.metadataFetches.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
}

func TestManyRequestsShareOneFetch(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	var wg sync.WaitGroup
	for range 50 {
		token := iss.edToken("a")
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
	wg.Wait()
	if n := iss.keyFetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

// What a hostile or broken issuer may answer; none of it opens anything.
func TestBadAnswersOfTheIssuer(t *testing.T) {
	other := newIssuer(t, jwk("a", edKey(), nil))
	huge := `{"keys":[],"x":"` + strings.Repeat("x", maxDocumentBytes) + `"}`
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	tests := []struct {
		name  string
		spoil func(*issuer)
		want  string
	}{
		{"metadata of another issuer", func(i *issuer) { i.describe("issuer", other.URL) }, "names issuer"},
		{"issuer with a slash more", func(i *issuer) { i.describe("issuer", i.URL+"/") }, "names issuer"},
		{"metadata without keys", func(i *issuer) { i.describe("jwks_uri", nil) }, "no jwks_uri"},
		{"keys in the clear elsewhere", func(i *issuer) { i.describe("jwks_uri", "http://keys.example.com/") }, "must be https"},
		{"keys in a file", func(i *issuer) { i.describe("jwks_uri", "file:///etc/passwd") }, "absolute URL"},
		{"redirect to another origin", func(i *issuer) { i.breakKeys(http.RedirectHandler(other.URL+"/keys", http.StatusFound).ServeHTTP) }, "another origin"},
		{"redirect for ever", func(i *issuer) { i.breakKeys(http.RedirectHandler("/keys", http.StatusFound).ServeHTTP) }, "more than 3 times"},
		{"endless body", func(i *issuer) { i.breakKeys(write(huge)) }, "larger than 1 MiB"},
		{"a web page", func(i *issuer) { i.breakKeys(write("<html>")) }, "not a JWK set"},
		{"an error page", func(i *issuer) { i.breakKeys(http.NotFound) }, "answered 404"},
		{"no keys member", func(i *issuer) { i.breakKeys(write("{}")) }, "not a JWK set"},
		{"too many keys", func(i *issuer) { i.breakKeys(write(`{"keys":[` + strings.Repeat("{},", maxKeys) + `{}]}`)) }, "101 keys"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			iss := newIssuer(t, jwk("a", edKey(), nil))
			test.spoil(iss)
			e := refusalOf(t, newVerifier(t, iss.config()), iss.edToken("a"), 503, "keys of the issuer")
			if !strings.Contains(e.Error(), test.want) {
				t.Errorf("error does not say %q: %v", test.want, e)
			}
		})
	}
	if n := other.keyFetches.Load(); n != 0 {
		t.Errorf("another origin was asked %d times", n)
	}
}

func TestRedirectWithinTheOriginIsFollowed(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	iss.breakKeys(func(w http.ResponseWriter, r *http.Request) {
		iss.breakKeys(nil)
		http.Redirect(w, r, "/keys?version=2", http.StatusFound)
	})
	accepted(t, newVerifier(t, iss.config()), iss.edToken("a"))
}

// An issuer that publishes an empty set has withdrawn all its keys.
func TestEmptyKeySetRefusesAll(t *testing.T) {
	iss := newIssuer(t)
	iss.setKeys([]map[string]any{}...)
	iss.breakKeys(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) })
	v := newVerifier(t, iss.config())
	refusalOf(t, v, iss.edToken("a"), 401, "kid")
	refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "", iss.claims(nil), map[string]any{"kid": nil}), 401, "signature")
}

func TestMissingPKCEIsWarnedOfOnce(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	iss.describe("code_challenge_methods_supported", []string{"plain"})
	var log bytes.Buffer
	cfg := iss.config()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	v := newVerifier(t, cfg)
	accepted(t, v, iss.edToken("a"))

	iss.breakKeys(http.NotFound)
	iss.clock.advance(keepKeys)
	refusalOf(t, v, iss.edToken("a"), 503, "")
	iss.breakKeys(nil)
	iss.clock.advance(lookAgainInterval)
	accepted(t, v, iss.edToken("a")) // asks for the metadata again
	v.Close()
	if n := iss.metadataFetches.Load(); n != 2 {
		t.Errorf("metadata was fetched %d times, want 2", n)
	}
	if n := strings.Count(log.String(), "PKCE"); n != 1 {
		t.Errorf("warned %d times:\n%s", n, log.String())
	}
}

// A verifier outlives the configuration that made it, whose logs are closed then.
func TestVerifierLogsWhereItIsTold(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	iss.breakKeys(http.NotFound)
	var before, after bytes.Buffer
	cfg := iss.config()
	cfg.Logger = slog.New(slog.NewTextHandler(&before, nil))
	v := newVerifier(t, cfg)
	refusalOf(t, v, iss.edToken("a"), 503, "")
	v.LogTo(slog.New(slog.NewTextHandler(&after, nil)))
	said := before.String()
	iss.clock.advance(lookAgainInterval)
	refusalOf(t, v, iss.edToken("a"), 503, "")
	v.Close()
	if said == "" || before.String() != said || !strings.Contains(after.String(), "could not be fetched") {
		t.Errorf("before: %s\nafter: %s", before.String(), after.String())
	}
}

// Tenants have a path; each kind of server has its document at another place.
func TestMetadataIsFoundAtAllItsPlaces(t *testing.T) {
	for _, place := range []string{
		"/.well-known/oauth-authorization-server/realms/one",
		"/.well-known/openid-configuration/realms/one",
		"/realms/one/.well-known/openid-configuration",
	} {
		t.Run(place, func(t *testing.T) {
			iss := newIssuer(t, jwk("a", edKey(), nil))
			mux := http.NewServeMux()
			tenant := httptest.NewServer(mux)
			t.Cleanup(tenant.Close)
			mux.HandleFunc(place, iss.serveMetadata)
			mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "<html>the root answers all with a page")
			})
			iss.describe("issuer", tenant.URL+"/realms/one")
			cfg := iss.config()
			cfg.Issuers = []string{tenant.URL + "/realms/one"}
			claims := iss.claims(map[string]any{"iss": tenant.URL + "/realms/one"})
			accepted(t, newVerifier(t, cfg), mint(jwt.SigningMethodEdDSA, edKey(), "a", claims, nil))
		})
	}
}

// An issuer on the network must not send the gateway to its own machine.
func TestKeysOfAnOutsideIssuerAreNotLookedForOnLoopback(t *testing.T) {
	_, err := parseIssuerMetadata([]byte(`{"issuer":"https://a.example","jwks_uri":"http://127.0.0.1:2019/config"}`), "https://a.example")
	if err == nil || !strings.Contains(err.Error(), "must be https") {
		t.Errorf("error is %v", err)
	}
}

func TestClosedVerifierFetchesNothing(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	v := newVerifier(t, iss.config())
	v.Close()
	refusalOf(t, v, iss.edToken("a"), 503, "keys of the issuer")
	v.Close() // may be called again
	if iss.metadataFetches.Load() != 0 {
		t.Error("fetched after Close")
	}
}

func TestCloseEndsEveryGoroutine(t *testing.T) {
	iss := newIssuer(t, jwk("a", edKey(), nil))
	asked := make(chan struct{})
	iss.breakKeys(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	v := newVerifier(t, iss.config())
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Verify(context.Background(), iss.edToken("a"))
	}()
	<-asked // a fetch is under way, and so is the refresh in the background
	v.Close()
	<-done
	awaitEnd(t, "refreshInBackground", "startLocked", "keySource).load")
}
