package devauth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func unmarshal(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
}

func refreshForm(clientID, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}, "resource": {testResource}}
}

func TestRefreshRotates(t *testing.T) {
	srv := startServer(t, nil)
	clientID, tokens := obtainTokens(t, srv, "bob")
	first := tokens.text(t, "refresh_token")
	next := postForm(t, srv.Issuer()+"/token", refreshForm(clientID, first))
	second := next.text(t, "refresh_token")
	if next.status != http.StatusOK || second == "" || second == first {
		t.Fatalf("answered %d %s", next.status, next.body)
	}
	_, claims := decodeToken(t, next.text(t, "access_token"))
	if claims["sub"] != "bob" || claims["aud"] != testResource || claims["scope"] != "snapshot:read snapshot:write" {
		t.Errorf("claims %v", claims)
	}
	if again := postForm(t, srv.Issuer()+"/token", refreshForm(clientID, second)); again.status != http.StatusOK {
		t.Fatalf("third answered %d %s", again.status, again.body)
	}
}

func TestReusedRefreshTokenRevokesTheFamily(t *testing.T) {
	srv := startServer(t, nil)
	clientID, tokens := obtainTokens(t, srv, "alice")
	first := tokens.text(t, "refresh_token")
	next := postForm(t, srv.Issuer()+"/token", refreshForm(clientID, first))
	_, claims := decodeToken(t, next.text(t, "access_token"))

	postForm(t, srv.Issuer()+"/token", refreshForm(clientID, first)).wantError(t, 400, "invalid_grant")
	postForm(t, srv.Issuer()+"/token", refreshForm(clientID, next.text(t, "refresh_token"))).wantError(t, 400, "invalid_grant")
	if !srv.Revoked(claims["jti"].(string)) {
		t.Error("the access token is not revoked")
	}
}

func TestRefreshTokenIsSpentOnceUnderConcurrency(t *testing.T) {
	srv := startServer(t, nil)
	clientID, tokens := obtainTokens(t, srv, "alice")
	form := refreshForm(clientID, tokens.text(t, "refresh_token")).Encode()
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			response, err := http.Post(srv.Issuer()+"/token", "application/x-www-form-urlencoded", strings.NewReader(form))
			if err != nil {
				t.Error(err)
				return
			}
			statuses[i] = response.StatusCode
			_ = response.Body.Close()
		})
	}
	all.Wait()
	good := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			good++
		}
	}
	if good > 1 {
		t.Fatalf("%d of %d succeeded", good, len(statuses))
	}
}

func TestRefreshMayNarrowAndNotWiden(t *testing.T) {
	srv := startServer(t, nil)
	clientID, tokens := obtainTokens(t, srv, "alice")
	form := refreshForm(clientID, tokens.text(t, "refresh_token"))
	form.Set("scope", ScopeDelete)
	postForm(t, srv.Issuer()+"/token", form).wantError(t, 400, "invalid_scope")
	form.Set("scope", ScopeRead)
	form.Set("resource", "https://other.example/mcp")
	postForm(t, srv.Issuer()+"/token", form).wantError(t, 400, "invalid_target")
	form.Set("resource", testResource)
	got := postForm(t, srv.Issuer()+"/token", form) // the refusals did not spend it
	if got.status != http.StatusOK || got.text(t, "scope") != ScopeRead {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
}

func TestRefreshTokenIsTheClientsOwn(t *testing.T) {
	srv := startServer(t, nil)
	clientID, tokens := obtainTokens(t, srv, "alice")
	token := tokens.text(t, "refresh_token")
	postForm(t, srv.Issuer()+"/token", refreshForm(publicClient(t, srv), token)).wantError(t, 400, "invalid_grant")
	if got := postForm(t, srv.Issuer()+"/token", refreshForm(clientID, token)); got.status != http.StatusOK {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
}

func TestRefreshTokenExpires(t *testing.T) {
	clock := newClock()
	srv := startServer(t, func(c *Config) { c.Now, c.RefreshTTL = clock.Now, time.Hour })
	clientID, tokens := obtainTokens(t, srv, "alice")
	clock.advance(time.Hour)
	postForm(t, srv.Issuer()+"/token", refreshForm(clientID, tokens.text(t, "refresh_token"))).wantError(t, 400, "invalid_grant")
}

func TestNoRefreshTokenWithoutTheGrantOrTheTick(t *testing.T) {
	srv := startServer(t, nil)
	verifier := oauth2.GenerateVerifier()
	plain := registerJSON(t, srv, `{"redirect_uris":["`+testRedirect+`"],"token_endpoint_auth_method":"none"}`).text(t, "client_id")
	code := obtainCode(t, srv, authorizationRequest(plain, verifier), "alice")
	if got := postForm(t, srv.Issuer()+"/token", codeForm(plain, code, verifier)); got.status != 200 || got.text(t, "refresh_token") != "" {
		t.Errorf("client without the grant: %d %s", got.status, got.body)
	}
	postForm(t, srv.Issuer()+"/token", refreshForm(plain, "guess")).wantError(t, 400, "unauthorized_client")

	able := publicClient(t, srv)
	request := authorizationRequest(able, verifier)
	request.Set("scope", "snapshot:read offline_access")
	for ticked, want := range map[string]bool{"snapshot:read": false, "offline_access": true} {
		redirect, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", []string{ScopeRead, ticked})
		if err != nil {
			t.Fatal(err)
		}
		got := postForm(t, srv.Issuer()+"/token", codeForm(able, redirect.Query().Get("code"), verifier))
		if (got.text(t, "refresh_token") != "") != want {
			t.Errorf("with %s ticked: %s", ticked, got.body)
		}
	}
}

func TestRevocation(t *testing.T) {
	srv := startServer(t, nil)
	revoke := srv.Issuer() + "/revoke"
	clientID, tokens := obtainTokens(t, srv, "alice")
	access, refresh := tokens.text(t, "access_token"), tokens.text(t, "refresh_token")
	_, claims := decodeToken(t, access)

	postForm(t, revoke, url.Values{"client_id": {publicClient(t, srv)}, "token": {access}}).wantError(t, 400, "invalid_grant")
	postForm(t, revoke, url.Values{"client_id": {clientID}}).wantError(t, 400, "invalid_request")
	if got := postForm(t, revoke, url.Values{"client_id": {clientID}, "token": {"unknown"}}); got.status != http.StatusOK {
		t.Errorf("unknown token answered %d %s", got.status, got.body)
	}
	if srv.Revoked(claims["jti"].(string)) {
		t.Fatal("revoked too early")
	}
	if got := postForm(t, revoke, url.Values{"client_id": {clientID}, "token": {access}}); got.status != http.StatusOK || !srv.Revoked(claims["jti"].(string)) {
		t.Fatalf("access token: answered %d %s", got.status, got.body)
	}
	next := postForm(t, srv.Issuer()+"/token", refreshForm(clientID, refresh)) // an access token alone was revoked
	if got := postForm(t, revoke, url.Values{"client_id": {clientID}, "token": {next.text(t, "refresh_token")}}); got.status != http.StatusOK {
		t.Fatalf("refresh token: answered %d %s", got.status, got.body)
	}
	postForm(t, srv.Issuer()+"/token", refreshForm(clientID, next.text(t, "refresh_token"))).wantError(t, 400, "invalid_grant")
}
