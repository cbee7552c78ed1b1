package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// publisher is an authorization server whose metadata a test writes itself.
type publisher struct {
	*httptest.Server
	clock   *clock
	answer  atomic.Pointer[http.HandlerFunc]
	fetches atomic.Int64
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{clock: newClock()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != IssuerMetadataPath {
			http.NotFound(w, r)
			return
		}
		p.fetches.Add(1)
		(*p.answer.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	p.says(`{"issuer": "` + p.URL + `", "v":1}`)
	return p
}

func (p *publisher) does(h http.HandlerFunc) { p.answer.Store(&h) }

func (p *publisher) says(body string) {
	p.does(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
}

func (p *publisher) document(t *testing.T) *IssuerDocument {
	t.Helper()
	d := must(NewIssuerDocument(Config{Issuers: []string{p.URL}, Now: p.clock.now, Logger: slog.New(slog.DiscardHandler)}))
	t.Cleanup(d.Close)
	return d
}

func readDocument(d *IssuerDocument) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, IssuerMetadataPath, nil))
	return w
}

func broken(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no", http.StatusInternalServerError)
}

func TestIssuerDocumentIsACopyThatLastsAWhile(t *testing.T) {
	p := newPublisher(t)
	d := p.document(t)
	for range 3 {
		if w := readDocument(d); w.Code != 200 || w.Body.String() != `{"issuer": "`+p.URL+`", "v":1}` {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches for three readers", n)
	}
	p.says(`{"issuer":"` + p.URL + `","v":2}`)
	p.clock.advance(documentTTL)
	readDocument(d) // this one need not wait
	d.running.Wait()
	if w := readDocument(d); !strings.Contains(w.Body.String(), `"v":2`) || p.fetches.Load() != 2 {
		t.Errorf("after its time: %s, %d fetches", w.Body, p.fetches.Load())
	}
	p.does(broken)
	p.clock.advance(keepKeys - time.Second)
	readDocument(d)
	d.running.Wait()
	if w := readDocument(d); w.Code != 200 {
		t.Errorf("in an outage: %d", w.Code)
	}
	p.clock.advance(2 * time.Second)
	if w := readDocument(d); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after an hour of it: %d", w.Code)
	}
	p.clock.advance(lookAgainInterval)
	p.says(`{"issuer":"` + p.URL + `","v":3}`)
	if w := readDocument(d); w.Code != 200 || !strings.Contains(w.Body.String(), `"v":3`) {
		t.Errorf("once the issuer is back: %d %s", w.Code, w.Body)
	}
}

func TestIssuerDocumentOfAnIssuerOutOfReach(t *testing.T) {
	p := newPublisher(t)
	d := p.document(t)
	for name, answer := range map[string]string{
		"another issuer": `{"issuer":"https://evil.example"}`, "a final slash": `{"issuer":"` + p.URL + `/"}`, "no issuer": `{}`,
		"two issuers": `{"issuer":"https://evil.example","issuer":"` + p.URL + `"}`, "no object": `["issuer"]`, "no JSON": `<html>`, "nothing": ``,
	} {
		p.clock.advance(lookAgainInterval)
		p.says(answer)
		before := p.fetches.Load()
		for range 3 {
			if w := readDocument(d); w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "evil") {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if n := p.fetches.Load() - before; n != 1 {
			t.Errorf("%s: %d fetches within a moment", name, n)
		}
	}
}

// A reader that goes away neither ends the fetch nor wastes it, and all who wait share it.
func TestIssuerDocumentIsFetchedOnceForAll(t *testing.T) {
	p := newPublisher(t)
	release := make(chan struct{})
	p.does(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.Write([]byte(`{"issuer":"` + p.URL + `"}`))
	})
	d := p.document(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.current(gone); err == nil {
		t.Error("a reader that has gone was served")
	}
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			if w := readDocument(d); w.Code != 200 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	close(release)
	readers.Wait()
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestClosedIssuerDocumentEndsItsFetch(t *testing.T) {
	p := newPublisher(t)
	entered := make(chan struct{})
	p.does(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	d := p.document(t)
	answered := make(chan int)
	go func() { answered <- readDocument(d).Code }()
	<-entered
	d.Close()
	if code := <-answered; code != 503 {
		t.Errorf("%d", code)
	}
	if w := readDocument(d); w.Code != 503 || p.fetches.Load() != 1 {
		t.Errorf("afterwards: %d, %d fetches", w.Code, p.fetches.Load())
	}
}

func TestIssuerDocumentNeedsOneIssuer(t *testing.T) {
	for _, issuers := range [][]string{nil, {"https://a.example", "https://b.example"}, {"http://auth.example.com"}} {
		if _, err := NewIssuerDocument(Config{Issuers: issuers}); err == nil {
			t.Errorf("%q was taken", issuers)
		}
	}
}

func TestClaimThatWasWrong(t *testing.T) {
	for _, tc := range []struct {
		err  *Error
		want string
	}{
		{refuse("aud: not this resource"), "aud"},
		{refuse("x5t#S256: differs"), "x5t#S256"},
		{refuse("the key of the token: unknown"), ""},
		{refuse("malformed"), ""},
		{noToken("Authorization: none"), ""},
	} {
		if got := tc.err.Claim(); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.err.Reason, got, tc.want)
		}
	}
}
