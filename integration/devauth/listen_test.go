package devauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOnlyLoopbackAddresses(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0", "localhost.example.com:0", "*:0"} {
		srv, err := New(Config{Algorithm: "ES256"})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Start(address); !errors.Is(err, ErrNotLoopback) {
			_ = srv.Close()
			t.Errorf("%s: %v", address, err)
		}
	}
	srv, err := New(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start("127.0.0.1"); err == nil || errors.Is(err, ErrNotLoopback) {
		t.Errorf("no port: %v", err)
	}
	if err := srv.Start("localhost:0"); err != nil {
		t.Fatal(err)
	}
	if err := srv.Start("localhost:0"); err == nil {
		t.Error("started twice")
	}
	if !strings.HasPrefix(srv.Issuer(), "http://") || !strings.HasSuffix(srv.Issuer(), srv.Addr()) {
		t.Errorf("issuer %q at %q", srv.Issuer(), srv.Addr())
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPortInUse(t *testing.T) {
	first := startServer(t, nil)
	second, err := New(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(first.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("started: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestIssuers(t *testing.T) {
	for issuer, good := range map[string]bool{
		"http://localhost:9000": true, "http://127.0.0.1:9000": true, "http://[::1]:9000": true, "https://localhost:9443": true, "http://localhost:9000/tenant": true,
		"http://localhost:9000/": false, "http://localhost:9000?x": false, "http://localhost:9000#x": false, "http://a@localhost:9000": false,
		"http://auth.example.com": false, "https://auth.example.com": false, "localhost:9000": false, "ftp://localhost": false,
		"http://localhost/a/../b": false, "http://localhost/{x}": false, "http://localhost/a%2fb": false, "http://%zz": false,
	} {
		if _, err := New(Config{Issuer: issuer, Algorithm: "ES256"}); (err == nil) != good {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	if _, err := New(Config{Issuer: "https://auth.example.com"}); !errors.Is(err, ErrNotLoopback) {
		t.Errorf("public issuer: %v", err)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for want, config := range map[string]Config{
		"resource":  {Resources: []string{"mcp"}},
		"fragment":  {Resources: []string{"https://localhost/mcp#x"}},
		"algorithm": {Algorithm: "HS256"},
		"scope":     {Scopes: []string{"two words"}},
		"lifetimes": {TokenTTL: -time.Second},
	} {
		if config.Algorithm == "" {
			config.Algorithm = "ES256"
		}
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestHandlerWithoutIssuerSaysSo(t *testing.T) {
	srv, err := New(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	srv.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/jwks.json", nil))
	if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), "issuer") {
		t.Errorf("answered %d %s", answer.Code, answer.Body)
	}
}

func TestCloseEndsTheGoroutine(t *testing.T) {
	srv, err := New(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	before := serving()
	if err := srv.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if response, err := http.Get(srv.Issuer() + "/jwks.json"); err != nil {
		t.Fatal(err)
	} else if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	// One that has done all is seen for a moment yet.
	for deadline := time.Now().Add(30 * time.Second); serving() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d serving goroutines before, %d after", before, serving())
		}
	}
	if err := srv.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// serving counts the goroutines that Start made.
func serving() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "devauth.(*Server).Start.func")
}

func TestResourcesCompareInCanonicalForm(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"https://LOCALHOST:8443/mcp", "https://localhost:8443/mcp", true},
		{"HTTPS://localhost:8443/mcp", "https://localhost:8443/mcp", true},
		{"https://localhost:8443", "https://localhost:8443/", true},
		{"https://localhost:8443/mcp/", "https://localhost:8443/mcp", false},
		{"https://localhost:8443/MCP", "https://localhost:8443/mcp", false},
		{"https://localhost:8443/mcp?x", "https://localhost:8443/mcp", false},
		{"http://localhost:8443/mcp", "https://localhost:8443/mcp", false},
		{"mcp", "mcp", false},
	} {
		if got := sameResource(test.a, test.b); got != test.same {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

func TestResourceOfAToken(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	verifier := strings.Repeat("v", 43)
	request := authorizationRequest(clientID, verifier)
	audience := func(want string) {
		t.Helper()
		form := codeForm(clientID, obtainCode(t, srv, request, "alice"), verifier)
		form.Del("resource")
		_, claims := decodeToken(t, postForm(t, srv.Issuer()+"/token", form).text(t, "access_token"))
		if claims["aud"] != want {
			t.Errorf("aud %v, want %s", claims["aud"], want)
		}
	}
	request.Set("resource", "HTTPS://LocalHost:8443/mcp")
	audience(testResource) // in the spelling that the resource server compares with
	request.Del("resource")
	audience(testResource) // the only one there is
	if err := srv.AllowResource("https://localhost:8443/second"); err != nil {
		t.Fatal(err)
	}
	if got := errorRedirect(t, srv, request); got.Get("error") != "invalid_target" {
		t.Errorf("two resources and none named: %v", got)
	}
	request.Set("resource", "https://localhost:8443/second")
	audience("https://localhost:8443/second")
}
