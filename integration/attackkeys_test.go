package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// hostile is an issuer that may answer otherwise than it should.
type hostile struct {
	*devauth.Server
	url  string
	keys atomic.Int64 // how often they were asked for

	mu      sync.Mutex
	answers map[string]http.HandlerFunc // in place of its own, by path
}

const (
	issuerDocument = "/.well-known/oauth-authorization-server"
	keySet         = "/jwks.json"
)

func hostileIssuer(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{answers: map[string]http.HandlerFunc{}}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == keySet {
			h.keys.Add(1)
		}
		h.mu.Lock()
		answer := h.answers[r.URL.Path]
		h.mu.Unlock()
		if answer == nil {
			answer = h.Handler().ServeHTTP
		}
		answer(w, r)
	}))
	h.url = "http://" + front.Listener.Addr().String()
	var err error
	if h.Server, err = devauth.New(devauth.Config{Algorithm: "ES256", Issuer: h.url}); err != nil {
		t.Fatal(err)
	}
	front.Start()
	t.Cleanup(front.Close)
	return h
}

// answer makes it answer so at a path; nil is its own way.
func (h *hostile) answer(path string, answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[path] = answer
}

// describes makes it say this of itself.
func (h *hostile) describes(members object) {
	h.answer(issuerDocument, func(w http.ResponseWriter, _ *http.Request) {
		document := object{"issuer": h.url, "jwks_uri": h.url + keySet, "code_challenge_methods_supported": []string{"S256"}}
		for name, value := range members {
			document[name] = value
		}
		_ = json.NewEncoder(w).Encode(document)
	})
	h.answer("/.well-known/openid-configuration", http.NotFound)
}

// publishes makes it give out this text as its keys.
func (h *hostile) publishes(text string) {
	h.answer(keySet, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

func (h *hostile) token(t *testing.T, g *gateway, options devauth.MintOptions) string {
	t.Helper()
	options.Audience = []string{g.url}
	token, err := h.Mint(options)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// keyAttack is an issuer that answers wrongly. A token that it has signed well gets nobody
// in, and is not called bad where that is not known.
type keyAttack struct {
	holds  string // the section that is held
	name   string
	spoil  func(h *hostile)
	status int // 503 where the keys are out of reach
}

// endless is an answer of more than anybody would read.
func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprint(w, `{"x":"`+strings.Repeat("x", 4<<20)) // whoever gives up reading is right
}

// keyAttacks are tried all at one gateway. A row an issuer; elsewhere is another origin.
func keyAttacks(elsewhere *hostile) []keyAttack {
	redirect := func(to string) func(*hostile) {
		return func(h *hostile) { h.answer(keySet, http.RedirectHandler(to, http.StatusFound).ServeHTTP) }
	}
	describes := func(members object) func(*hostile) { return func(h *hostile) { h.describes(members) } }
	publishes := func(text string) func(*hostile) { return func(h *hostile) { h.publishes(text) } }
	return []keyAttack{
		{"RFC 8414 section 3.3", "as it should be", func(*hostile) {}, 200},
		{"RFC 8414 section 3.3", "metadata of another issuer", describes(object{"issuer": elsewhere.url}), 503},
		{"RFC 8414 section 3.3", "issuer with a slash more", func(h *hostile) { h.describes(object{"issuer": h.url + "/"}) }, 503},
		{"RFC 8414 section 3.2", "metadata without end", func(h *hostile) {
			h.answer(issuerDocument, endless)
			h.answer("/.well-known/openid-configuration", endless)
		}, 503},
		{"RFC 8414 section 6.2", "metadata at another origin", func(h *hostile) {
			h.answer(issuerDocument, http.RedirectHandler(elsewhere.url+issuerDocument, http.StatusFound).ServeHTTP)
			h.answer("/.well-known/openid-configuration", http.NotFound)
		}, 503},
		{"RFC 8414 section 2", "no place for the keys", describes(object{"jwks_uri": nil}), 503},
		{"RFC 8414 section 2", "keys in the clear elsewhere", describes(object{"jwks_uri": "http://keys.example.com/"}), 503},
		{"RFC 8414 section 2", "keys in a file", describes(object{"jwks_uri": "file:///etc/passwd"}), 503},
		{"RFC 8414 section 6.2", "redirect to another origin", redirect(elsewhere.url + keySet), 503},
		{"RFC 9110 section 15.4", "redirect in a circle", redirect(keySet), 503},
		{"RFC 9110 section 17.5", "endless answer", publishes(`{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`), 503},
		{"RFC 7517 section 5", "web page", publishes("<html>"), 503},
		{"RFC 7517 section 5", "error", func(h *hostile) { h.answer(keySet, http.NotFound) }, 503},
		{"RFC 7517 section 5", "no keys member", publishes("{}"), 503},
		{"RFC 7517 section 5", "more keys than anybody has", publishes(`{"keys":[` + strings.Repeat("{},", 1000) + `{}]}`), 503},
		{"RFC 7517 section 5", "all keys withdrawn", publishes(`{"keys":[]}`), 401},
		{"RFC 7517 section 4.1", "symmetric key only", publishes(`{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0","alg":"HS256"}]}`), 401},
	}
}

func TestKeysOfHostileIssuersOpenNothing(t *testing.T) {
	t.Parallel()
	elsewhere := hostileIssuer(t)
	attacks := keyAttacks(elsewhere)
	issuers := make([]*hostile, len(attacks))
	var names []string
	for i, attack := range attacks {
		issuers[i] = hostileIssuer(t)
		attack.spoil(issuers[i])
		names = append(names, issuers[i].url)
	}
	s := standin()
	s.issuer = strings.Join(names, " ")
	g := start(t, s)
	for i, attack := range attacks {
		holding(t, attack.holds, attack.name, func(t *testing.T) {
			p := g.anyone(t, issuers[i].token(t, g, devauth.MintOptions{}))
			a := p.post(initializeMessage(legacyVersion))
			if a.status != attack.status {
				t.Errorf("%d %s", a.status, a.body)
			}
			// RFC 6750 section 3.1 has 401 for a bad token: a client would throw a good one away.
			if a.status == http.StatusServiceUnavailable && (a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("headers %v", a.header)
			}
		})
	}
	if n := elsewhere.keys.Load(); n != 0 {
		t.Errorf("another origin was asked %d times", n)
	}
	holding(t, "RFC 8725 section 3.8", "key of another issuer", func(t *testing.T) {
		forged := issuers[0].token(t, g, devauth.MintOptions{Issuer: issuers[len(issuers)-1].url})
		if a := g.anyone(t, forged).post(initializeMessage(legacyVersion)); a.status != http.StatusUnauthorized {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// RFC 7517 section 4.5 lets a kid stand for a key that is new. Asking what it stands for
// must cost no more for a thousand names than for one.
func TestNewKeyIsSeenAtOnceAndInventedOnesCostOneFetch(t *testing.T) {
	t.Parallel()
	h := hostileIssuer(t)
	s := standin()
	s.issuer = h.url
	g := start(t, s)
	began := time.Now()
	first := h.token(t, g, devauth.MintOptions{})
	if a := g.anyone(t, first).post(initializeMessage(legacyVersion)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := h.RotateKey(); err != nil {
		t.Fatal(err)
	}
	h.RetireKeys() // the old ones are published no longer
	if a := g.anyone(t, h.token(t, g, devauth.MintOptions{})).post(initializeMessage(legacyVersion)); a.status != http.StatusOK {
		t.Errorf("a new key: %d %s", a.status, a.body)
	}
	if a := g.anyone(t, first).post(initializeMessage(legacyVersion)); a.status != http.StatusUnauthorized {
		t.Errorf("a withdrawn key: %d %s", a.status, a.body)
	}
	before := h.keys.Load()
	// An unknown name is looked for once in ten seconds, however many those are on a machine that is busy.
	if most := 2 + int64(time.Since(began)/(10*time.Second)); before > most {
		t.Errorf("the keys were fetched %d times", before)
	}
	const flood = 200
	for range flood {
		if a := g.anyone(t, h.token(t, g, devauth.MintOptions{Sign: devauth.SignUnknownKey})).post("{"); a.status != http.StatusUnauthorized {
			t.Fatalf("an invented key: %d %s", a.status, a.body)
		}
	}
	// One fetch an interval of ten seconds, however long this machine took.
	if n := h.keys.Load() - before; n > flood/10 {
		t.Errorf("%d invented keys cost %d fetches", flood, n)
	}
}

// An issuer that is down keeps no configuration from loading, is no fault of a token (RFC
// 6750 section 3.1), and is asked again by itself. Once its keys are known they serve while
// it is down.
func TestIssuerMayBeDown(t *testing.T) {
	t.Parallel()
	h := hostileIssuer(t)
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	h.answer(keySet, down)
	s := standin()
	s.issuer = h.url
	g := start(t, s)
	p := g.anyone(t, h.token(t, g, devauth.MintOptions{}))
	a := p.post(initializeMessage(legacyVersion))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	h.answer(keySet, nil)
	await(t, "the keys", func() bool { return p.post(initializeMessage(legacyVersion)).status == http.StatusOK })
	h.answer(keySet, down)
	other := g.anyone(t, h.token(t, g, devauth.MintOptions{Subject: "bob"}))
	if a := other.post(initializeMessage(legacyVersion)); a.status != http.StatusOK {
		t.Errorf("a token whose key is known: %d %s", a.status, a.body)
	}
}
