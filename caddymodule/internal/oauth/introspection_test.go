package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestOpaqueTokenIsVerifiedByItsIssuer(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.answer = active(time.Now(), map[string]any{"iss": bubbleIssuer, "email": "a@example.com"})
		p := accepted(t, v, opaqueToken)
		if p.Issuer != bubbleIssuer || p.Subject != "alice" || p.ClientID != "inspector" || !slices.Equal(p.Scopes, []string{"read", "write"}) || p.Claims["email"] != "a@example.com" {
			t.Errorf("principal %+v", p)
		}
		if _, ok := p.Claims["active"]; ok {
			t.Error("active is taken for a claim of the token")
		}
		if want := time.Now().Add(time.Hour).Truncate(time.Second); !p.Expires.Equal(want) {
			t.Errorf("expires at %v, want %v", p.Expires, want)
		}
		q := d.asked()
		if len(q) != 1 || q[0].url != bubbleEndpoint || q[0].form.Get("token") != opaqueToken || q[0].form.Get("token_type_hint") != "access_token" ||
			q[0].header.Get("Content-Type") != "application/x-www-form-urlencoded" || q[0].header.Get("Accept") != "application/json" {
			t.Errorf("asked %+v", q)
		}
		if d.fetches() != 0 {
			t.Error("keys were fetched for it")
		}
	})
}

func TestAnswersOfTheIssuerAreHeldToTheRulesOfAToken(t *testing.T) {
	tests := []struct {
		name   string
		more   map[string]any
		status int // 0 for accepted
		reason string
	}{
		{"RFC 7662 2.2: not active", map[string]any{"active": false}, 401, "active"},
		{"RFC 7662 2.2: not active, and no more", map[string]any{"active": false, "sub": nil, "aud": nil, "exp": nil}, 401, "active"},
		{"RFC 7662 2.2: active a string", map[string]any{"active": "true"}, 503, "introspection"},
		{"RFC 7662 2.2: active a number", map[string]any{"active": 1}, 503, "introspection"},
		{"RFC 7662 2.2: active missing", map[string]any{"active": nil}, 503, "introspection"},
		{"RFC 7662 2.2: another issuer", map[string]any{"iss": "https://evil.example.com"}, 401, "iss"},
		{"RFC 7662 2.2: issuer with a slash more", map[string]any{"iss": bubbleIssuer + "/"}, 401, "iss"},
		{"RFC 7662 2.2: issuer a list", map[string]any{"iss": []string{bubbleIssuer}}, 401, "iss"},
		{"RFC 7662 2.2: issuer null", map[string]any{"iss": json.RawMessage("null")}, 401, "iss"},
		{"RFC 8707 2: no audience", map[string]any{"aud": nil}, 401, "aud"},
		{"RFC 8707 2: another audience", map[string]any{"aud": "https://other.example.com/mcp"}, 401, "aud"},
		{"RFC 8707 2: audience is the client", map[string]any{"aud": "gate"}, 401, "aud"},
		{"RFC 8707 2: audience in a list", map[string]any{"aud": []string{"https://other.example.com", testResource}}, 0, ""},
		{"RFC 7519 4.1.4: no end", map[string]any{"exp": nil}, 401, "exp: missing"},
		{"RFC 7519 4.1.4: ended, though active", map[string]any{"exp": 946684799 - 60}, 401, "exp: the token has expired"},
		{"RFC 7519 4.1.5: begins later", map[string]any{"nbf": 946684800 + 3600}, 401, "nbf"},
		{"RFC 9068 2.2: no subject", map[string]any{"sub": nil}, 401, "sub"},
		{"user key: subject with a line feed", map[string]any{"sub": "alice\nbob"}, 401, "sub"},
		{"user key: client with a line feed", map[string]any{"client_id": "a\nb"}, 401, "client_id"},
		{"RFC 6749 1.5: refresh token by token_type", map[string]any{"token_type": "refresh_token"}, 401, "token_type"},
		{"RFC 6749 1.5: refresh token by token_use", map[string]any{"token_use": "refresh_token"}, 401, "token_use"},
		{"RFC 6749 1.5: refresh token by typ", map[string]any{"typ": "Refresh"}, 401, "typ"},
		{"RFC 9068 5: id token", map[string]any{"typ": "ID"}, 401, "typ"},
		{"RFC 9449 6.2: bound to a key", map[string]any{"cnf": map[string]any{"jkt": "x"}}, 401, "cnf"},
		{"RFC 8705 3.2: bound to a certificate", map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}, 401, "cnf"},
		{"scope a number", map[string]any{"scope": 7}, 401, "scope"},
		{"no scope", map[string]any{"scope": nil}, 0, ""},
		{"a claim that is required", map[string]any{"tenant": "other"}, 403, "require tenant"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require := func(c *Config) { c.Require = []Requirement{{"tenant", []string{"acme"}}} }
			atDesk(t, require, func(t *testing.T, d *desk, v *Verifier) {
				more := map[string]any{"tenant": "acme"}
				for name, value := range test.more {
					more[name] = value
				}
				d.answer = active(time.Now(), more)
				if test.status == 0 {
					accepted(t, v, opaqueToken)
					return
				}
				refusalOf(t, v, opaqueToken, test.status, test.reason)
				if v.cache.len() != 0 {
					t.Error("it is among the good tokens")
				}
			})
		})
	}
}

// What a hostile, broken or misconfigured issuer may do: none of it opens anything, and
// none is the client's fault.
func TestIssuerThatCannotBeAsked(t *testing.T) {
	good := active(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), nil)
	tests := []struct {
		name  string
		spoil func(*desk)
		want  string
	}{
		{"out of reach", func(d *desk) { d.silent = io.ErrUnexpectedEOF }, "unexpected EOF"},
		{"down", func(d *desk) { d.status = 503 }, "answered 503"},
		{"too many questions", func(d *desk) { d.status = 429 }, "answered 429"},
		{"does not know the gateway", func(d *desk) { d.status = 401 }, "how the gateway authenticates"},
		{"does not let the gateway ask", func(d *desk) { d.status = 403 }, "how the gateway authenticates"},
		{"RFC 7662 2.3: error of the request", func(d *desk) { d.status = 400 }, "how the gateway authenticates"},
		{"redirect that keeps the form", func(d *desk) {
			d.status, d.header = 307, http.Header{"Location": {"https://evil.example.com/introspect"}}
		}, "answered 307"},
		{"redirect within the origin", func(d *desk) {
			d.status, d.header = 308, http.Header{"Location": {"/elsewhere"}}
		}, "answered 308"},
		{"a good answer of another status", func(d *desk) { d.status = 201 }, "answered 201"},
		{"a web page", func(d *desk) { d.answer = "<html>" }, "not one JSON object"},
		{"a list", func(d *desk) { d.answer = "[" + good + "]" }, "not one JSON object"},
		{"true", func(d *desk) { d.answer = "true" }, "not one JSON object"},
		{"nothing", func(d *desk) { d.answer = "" }, "not one JSON object"},
		{"active twice", func(d *desk) { d.answer = `{"active":false,` + good[1:] }, "unique names"},
		{"subject twice", func(d *desk) { d.answer = `{"sub":"bob",` + good[1:] }, "unique names"},
		{"two answers", func(d *desk) { d.answer = good + good }, "after the JSON object"},
		{"an endless answer", func(d *desk) { d.answer = `{"x":"` + strings.Repeat("x", maxDocumentBytes) + `"}` }, "larger than 1 MiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
				test.spoil(d)
				e := refusalOf(t, v, opaqueToken, 503, "introspection")
				if !strings.Contains(e.Error(), test.want) || e.Code != CodeTemporarilyUnavailable || e.RetryAfter < time.Second {
					t.Errorf("refused with %q, retry after %v: %v", e.Code, e.RetryAfter, e)
				}
				if strings.Contains(e.Error(), "s3cret") || strings.Contains(e.Error(), opaqueToken) {
					t.Errorf("a secret stands in the error: %v", e)
				}
				for _, q := range d.asked() {
					if q.url != bubbleEndpoint {
						t.Errorf("the token went to %s", q.url)
					}
				}
			})
		})
	}
}

func TestOnlyTokensThatAreNoJWTsAreAskedAbout(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		accepted(t, v, bubbleToken("a"))
		refusalOf(t, v, mint(jwt.SigningMethodHS256, []byte("x"), "a", jwt.MapClaims{"iss": bubbleIssuer}, nil), 401, "alg")
		refusalOf(t, v, mint(jwt.SigningMethodEdDSA, edKey(), "gone", jwt.MapClaims{"iss": bubbleIssuer}, nil), 401, "kid")
		if q := d.asked(); len(q) != 0 {
			t.Errorf("%d JWTs were shown to the issuer", len(q))
		}
		for _, opaque := range []string{opaqueToken, "a.b.c", "v1.public.token", "a.b.c.d.e", "eyJhbGciOiJub25lIn0.x", "W10.W10.W10"} {
			accepted(t, v, opaque)
		}
		if q := d.asked(); len(q) != 6 {
			t.Errorf("%d of 6 opaque tokens were asked about", len(q))
		}
	})
}

// An issuer that revokes JWTs is asked about them as well, and is alone believed.
func TestIssuerIsAskedAboutAllTokens(t *testing.T) {
	atDesk(t, func(c *Config) { c.Introspection.All = true }, func(t *testing.T, d *desk, v *Verifier) {
		token := bubbleToken("a")
		accepted(t, v, token)
		d.answer = `{"active":false}`
		accepted(t, v, token) // it is remembered
		time.Sleep(DefaultCacheTTL)
		refusalOf(t, v, token, 401, "active")
		if len(d.asked()) != 2 || d.fetches() != 0 {
			t.Errorf("asked %d times, keys fetched %d times", len(d.asked()), d.fetches())
		}
	})
}

func TestGoodAnswerIsRememberedUntilTheTokenEnds(t *testing.T) {
	atDesk(t, func(c *Config) { c.CacheTTL = time.Minute }, func(t *testing.T, d *desk, v *Verifier) {
		d.answer = active(time.Now(), map[string]any{"exp": time.Now().Add(90 * time.Second).Unix()})
		for _, step := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {29 * time.Second, 2}, {time.Second, 3}} {
			time.Sleep(step.after)
			accepted(t, v, opaqueToken)
			if n := len(d.asked()); n != step.asked {
				t.Errorf("after %v more: asked %d times, want %d", step.after, n, step.asked)
			}
		}
		time.Sleep(DefaultClockSkew)
		refusalOf(t, v, opaqueToken, 401, "exp")
	})
}

func TestRefusalIsRememberedForAMoment(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		good := d.answer
		d.answer = `{"active":false}`
		refusalOf(t, v, opaqueToken, 401, "active")
		d.answer = good // a copy of the issuer had not heard of it yet
		time.Sleep(refusedTTL - 1)
		refusalOf(t, v, opaqueToken, 401, "active")
		if n := len(d.asked()); n != 1 {
			t.Errorf("asked %d times about a token that was refused", n)
		}
		time.Sleep(time.Nanosecond)
		accepted(t, v, opaqueToken)

		d.status = 500
		refusalOf(t, v, "another", 503, "introspection")
		d.status = 200
		refusalOf(t, v, "another", 503, "introspection")
		accepted(t, v, "third") // one token's failure is no other's
		time.Sleep(failedTTL)
		accepted(t, v, "another")
		if n := len(d.asked()); n != 5 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestInventedTokensDoNotPushOutGoodOnes(t *testing.T) {
	atDesk(t, func(c *Config) { c.CacheSize = 10 }, func(t *testing.T, d *desk, v *Verifier) {
		accepted(t, v, opaqueToken)
		d.answer = `{"active":false}`
		for i := range maxRefused + 100 {
			refusalOf(t, v, fmt.Sprint("invented", i), 401, "active")
		}
		if n := v.asks.refused.len(); n != maxRefused {
			t.Errorf("%d refused tokens are remembered, want %d", n, maxRefused)
		}
		before := len(d.asked())
		accepted(t, v, opaqueToken)
		if len(d.asked()) != before {
			t.Error("the good token was forgotten")
		}
	})
}

func TestRequestsWithOneTokenShareOneQuestion(t *testing.T) {
	atDesk(t, func(c *Config) { c.CacheSize = -1 }, func(t *testing.T, d *desk, v *Verifier) {
		d.open = make(chan struct{})
		wait := verifyMany(t.Context(), v, opaqueToken, 100)
		synctest.Wait()
		close(d.open)
		principals, errs := wait()
		for i := range principals {
			if errs[i] != nil || principals[i] != principals[0] {
				t.Fatalf("request %d: %v", i, errs[i])
			}
		}
		if n := len(d.asked()); n != 1 {
			t.Errorf("asked %d times", n)
		}
		accepted(t, v, opaqueToken) // without a cache each is asked about
		if n := len(d.asked()); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestFloodOfOpaqueTokensIsBounded(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.open = make(chan struct{})
		const over = 50
		var all sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := range maxWaiting + over {
			all.Go(func() {
				_, err := v.Verify(t.Context(), fmt.Sprint("flood", i))
				status := 200
				if e, ok := err.(*Error); ok {
					status = e.Status
				}
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		synctest.Wait()
		if n := len(d.asked()); n != maxAsking {
			t.Errorf("%d questions are on their way, want %d", n, maxAsking)
		}
		close(d.open)
		all.Wait()
		if statuses[200] != maxWaiting || statuses[503] != over || d.most != maxAsking {
			t.Errorf("answered %v, %d questions at the same time", statuses, d.most)
		}
	})
}

func TestClientThatHangsUpDoesNotWasteTheQuestion(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.open = make(chan struct{})
		ctx, hangUp := context.WithCancel(t.Context())
		wait := verifyMany(ctx, v, opaqueToken, 1)
		synctest.Wait()
		hangUp()
		if _, errs := wait(); errs[0] == nil || errs[0].(*Error).Status != 503 {
			t.Errorf("the client that hung up got %v", errs[0])
		}
		close(d.open)
		accepted(t, v, opaqueToken)
		if n := len(d.asked()); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestIssuerThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.open = make(chan struct{})
		start := time.Now()
		refusalOf(t, v, opaqueToken, 503, "introspection")
		if took := time.Since(start); took != introspectTimeout {
			t.Errorf("took %v, want %v", took, introspectTimeout)
		}
	})
}

// In a bubble every goroutine must have ended when the test does.
func TestCloseEndsQuestions(t *testing.T) {
	atDesk(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.open = make(chan struct{})
		wait := verifyMany(context.Background(), v, opaqueToken, 3)
		synctest.Wait()
		v.Close()
		_, errs := wait()
		for _, err := range errs {
			if e, ok := err.(*Error); !ok || e.Status != 503 {
				t.Errorf("got %v", err)
			}
		}
		before := len(d.asked())
		refusalOf(t, v, "after that", 503, "introspection")
		if len(d.asked()) != before {
			t.Error("asked after Close")
		}
	})
}

func TestQuestionsAreCounted(t *testing.T) {
	counts := newTally()
	atDesk(t, func(c *Config) { c.Meter = counts }, func(t *testing.T, d *desk, v *Verifier) {
		accepted(t, v, opaqueToken)
		accepted(t, v, opaqueToken)
		d.answer = `{"active":false}`
		refusalOf(t, v, "unknown", 401, "active")
		d.status = 500
		refusalOf(t, v, "unlucky", 503, "introspection")
		if counts.asked[true] != 2 || counts.asked[false] != 1 || counts.of(LookupMiss) != 3 || counts.of(LookupHit) != 1 {
			t.Errorf("asked %v, looked up %v", counts.asked, counts.lookups)
		}
	})
}
