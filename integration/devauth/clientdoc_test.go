package devauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
)

// documentHost serves one client metadata document. In body, ID stands for the
// document's address.
type documentHost struct {
	*httptest.Server
	fetches atomic.Int64
	down    atomic.Bool
}

const goodDocument = `{"client_id":"ID","client_name":"Documented","redirect_uris":["` + testRedirect + `","http://localhost/cb"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}`

func hostDocument(t *testing.T, contentType, body string) *documentHost {
	t.Helper()
	host := &documentHost{}
	host.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host.fetches.Add(1)
		if host.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		path := "/client.json"
		switch r.URL.Path {
		case "/moved.json":
			http.Redirect(w, r, "/elsewhere.json", http.StatusFound)
			return
		case "/elsewhere.json":
			path = "/moved.json" // good, but for the redirect
		}
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, strings.ReplaceAll(body, "ID", "http://"+r.Host+path))
	}))
	t.Cleanup(host.Close)
	return host
}

func TestWholeFlowForADocumentedClient(t *testing.T) {
	clock := newClock()
	srv := startServer(t, func(c *Config) { c.Now = clock.Now })
	host := hostDocument(t, "application/json; charset=utf-8", goodDocument)
	clientID := host.URL + "/client.json"
	verifier := oauth2.GenerateVerifier()
	request := authorizationRequest(clientID, verifier)
	request.Set("redirect_uri", "http://localhost:41000/cb")
	form := codeForm(clientID, obtainCode(t, srv, request, "bob"), verifier)
	form.Set("redirect_uri", "http://localhost:41000/cb")
	tokens := postForm(t, srv.Issuer()+"/token", form)
	_, claims := decodeToken(t, tokens.text(t, "access_token"))
	if claims["client_id"] != clientID || claims["sub"] != "bob" {
		t.Errorf("claims %v", claims)
	}
	if host.fetches.Load() != 1 {
		t.Errorf("fetched %d times", host.fetches.Load())
	}

	// Tokens outlive a document that is out of reach; new logins do not.
	host.down.Store(true)
	clock.advance(documentTTL)
	if got := postForm(t, srv.Issuer()+"/token", refreshForm(clientID, tokens.text(t, "refresh_token"))); got.status != http.StatusOK {
		t.Errorf("refresh answered %d %s", got.status, got.body)
	}
	if got := get(t, authorizeURL(srv, request)); got.status != http.StatusBadRequest {
		t.Errorf("login answered %d", got.status)
	}
}

func TestTokenEndpointFetchesNothing(t *testing.T) {
	srv := startServer(t, nil)
	host := hostDocument(t, "application/json", goodDocument)
	postForm(t, srv.Issuer()+"/token", refreshForm(host.URL+"/client.json", "guess")).wantError(t, 401, "invalid_client")
	if host.fetches.Load() != 0 {
		t.Error("a stranger had a document fetched")
	}
}

func TestDocumentRedirectsAreExact(t *testing.T) {
	srv := startServer(t, nil)
	host := hostDocument(t, "application/json", goodDocument)
	request := authorizationRequest(host.URL+"/client.json", oauth2.GenerateVerifier())
	request.Set("redirect_uri", host.URL+"/other")
	if got := get(t, authorizeURL(srv, request)); got.status != http.StatusBadRequest || !strings.Contains(got.body, "redirect_uri") {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
}

func TestBadDocumentsAreRefused(t *testing.T) {
	srv := startServer(t, nil)
	change := func(old, new string) string { return strings.Replace(goodDocument, old, new, 1) }
	for name, test := range map[string]struct{ contentType, body, path string }{
		"another id":      {"application/json", change(`"ID"`, `"https://other.example/client.json"`), "/client.json"},
		"no id":           {"application/json", change(`"client_id":"ID",`, ``), "/client.json"},
		"longer address":  {"application/json", goodDocument, "/client.json?x=1"},
		"a secret":        {"application/json", change(`{`, `{"client_secret":"s",`), "/client.json"},
		"secret method":   {"application/json", change(`"none"`, `"client_secret_post"`), "/client.json"},
		"no redirects":    {"application/json", `{"client_id":"ID"}`, "/client.json"},
		"script redirect": {"application/json", change(testRedirect, "javascript:alert(1)"), "/client.json"},
		"not JSON":        {"application/json", "<html>", "/client.json"},
		"another type":    {"text/html", goodDocument, "/client.json"},
		"too large":       {"application/json", goodDocument + strings.Repeat(" ", maxDocument), "/client.json"},
		"a redirect":      {"application/json", goodDocument, "/moved.json"},
		"no path":         {"application/json", goodDocument, ""},
		"dot segment":     {"application/json", goodDocument, "/a/../client.json"},
		"fragment":        {"application/json", goodDocument, "/client.json#x"},
	} {
		t.Run(name, func(t *testing.T) {
			host := hostDocument(t, test.contentType, test.body)
			got := get(t, authorizeURL(srv, authorizationRequest(host.URL+test.path, oauth2.GenerateVerifier())))
			if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
				t.Fatalf("answered %d %s", got.status, got.body)
			}
			if host.fetches.Load() > 1 {
				t.Errorf("fetched %d times", host.fetches.Load())
			}
		})
	}
}

func TestDocumentsComeFromPublicOrLoopbackAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:443": true, "[::1]:443": true, "93.184.216.34:443": true, "[2606:4700::1111]:443": true,
		"10.0.0.1:443": false, "192.168.1.1:443": false, "172.16.0.1:80": false, "169.254.169.254:80": false, "0.0.0.0:80": false,
		"[::]:80": false, "[fe80::1]:80": false, "[fd00::1]:80": false, "224.0.0.1:80": false, "[::ffff:10.0.0.1]:80": false, "name:80": false,
	} {
		if err := refusePrivateAddress("tcp", address, nil); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
	for id, good := range map[string]bool{
		"https://client.example/oauth.json": true, "http://localhost:1/c": true,
		"http://client.example/oauth.json": false, "https://client.example": false, "https://u@client.example/c": false, "https://:1/c": false,
	} {
		if err := checkDocumentURL(id); (err == nil) != good {
			t.Errorf("%s: %v", id, err)
		}
	}
}
