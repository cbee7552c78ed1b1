package devauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"
)

func TestWholeFlowForARegisteredPublicClient(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	redirect, err := Login(t.Context(), nil, authorizeURL(srv, authorizationRequest(clientID, verifier)), "bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	query := redirect.Query()
	if query.Get("state") != "the state" || query.Get("iss") != srv.Issuer() {
		t.Errorf("state %q, iss %q", query.Get("state"), query.Get("iss"))
	}
	tokens := postForm(t, srv.Issuer()+"/token", codeForm(clientID, query.Get("code"), verifier))
	members := tokens.json(t)
	if tokens.status != http.StatusOK || members["token_type"] != "Bearer" || members["expires_in"] != 900.0 ||
		members["scope"] != "snapshot:read snapshot:write" || members["refresh_token"] == "" || members["id_token"] != nil {
		t.Fatalf("answered %d %v", tokens.status, members)
	}
	if tokens.header.Get("Cache-Control") != "no-store" || tokens.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", tokens.header)
	}

	header, claims := decodeToken(t, tokens.text(t, "access_token"))
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] != srv.KeyID() {
		t.Errorf("header %v", header)
	}
	for name, want := range map[string]any{
		"iss": srv.Issuer(), "sub": "bob", "aud": testResource, "client_id": clientID, "scope": "snapshot:read snapshot:write",
	} {
		if claims[name] != want {
			t.Errorf("claim %s is %v, want %v", name, claims[name], want)
		}
	}
	if claims["exp"].(float64)-claims["iat"].(float64) != 900 || claims["jti"] == "" {
		t.Errorf("claims %v", claims)
	}
	verifySignature(t, srv, tokens.text(t, "access_token"))
}

// verifySignature checks a token against the JWKS as published.
func verifySignature(t *testing.T, srv *Server, token string) {
	t.Helper()
	if err := signatureError(t, srv, token); err != nil {
		t.Fatal(err)
	}
}

func signatureError(t *testing.T, srv *Server, token string) error {
	t.Helper()
	var set jose.JSONWebKeySet
	keys := get(t, srv.Issuer()+"/jwks.json")
	if strings.Contains(keys.body, `"d":`) {
		t.Fatal("the JWKS has a private key")
	}
	unmarshal(t, keys.body, &set)
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return err
	}
	return parsed.Claims(set, &jwt.Claims{})
}

func TestUserNarrowsScopes(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	redirect, err := Login(t.Context(), nil, authorizeURL(srv, authorizationRequest(clientID, verifier)), "alice", []string{ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	tokens := postForm(t, srv.Issuer()+"/token", codeForm(clientID, redirect.Query().Get("code"), verifier))
	if tokens.text(t, "scope") != ScopeRead {
		t.Fatalf("answered %s", tokens.body)
	}
	_, claims := decodeToken(t, tokens.text(t, "access_token"))
	if claims["scope"] != ScopeRead {
		t.Errorf("scope claim %v", claims["scope"])
	}
}

func TestCancelIsAccessDenied(t *testing.T) {
	srv := startServer(t, nil)
	request := authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier())
	redirect, err := Cancel(t.Context(), nil, authorizeURL(srv, request))
	if err != nil {
		t.Fatal(err)
	}
	query := redirect.Query()
	if query.Get("error") != "access_denied" || query.Get("state") != "the state" || query.Get("iss") != srv.Issuer() || query.Get("code") != "" {
		t.Fatalf("redirect %s", redirect)
	}
}

func TestAuthorizationErrorsGoToTheClient(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	for name, test := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"no challenge":         {func(r url.Values) { r.Del("code_challenge") }, "invalid_request"},
		"plain challenge":      {func(r url.Values) { r.Set("code_challenge_method", "plain") }, "invalid_request"},
		"no challenge method":  {func(r url.Values) { r.Del("code_challenge_method") }, "invalid_request"},
		"unknown method":       {func(r url.Values) { r.Set("code_challenge_method", "S512") }, "invalid_request"},
		"short challenge":      {func(r url.Values) { r.Set("code_challenge", "short") }, "invalid_request"},
		"no response type":     {func(r url.Values) { r.Del("response_type") }, "invalid_request"},
		"implicit":             {func(r url.Values) { r.Set("response_type", "token") }, "unauthorized_client"},
		"fragment":             {func(r url.Values) { r.Set("response_mode", "fragment") }, "invalid_request"},
		"unknown scopes":       {func(r url.Values) { r.Set("scope", "profile admin") }, "invalid_scope"},
		"unknown resource":     {func(r url.Values) { r.Set("resource", "https://other.example/mcp") }, "invalid_target"},
		"relative resource":    {func(r url.Values) { r.Set("resource", "/mcp") }, "invalid_target"},
		"resource fragment":    {func(r url.Values) { r.Set("resource", testResource+"#x") }, "invalid_target"},
		"one of two resources": {func(r url.Values) { r.Add("resource", "https://other.example/mcp") }, "invalid_target"},
		"no page wanted":       {func(r url.Values) { r.Set("prompt", "none") }, "login_required"},
		"request object":       {func(r url.Values) { r.Set("request", "e30.e30.") }, "request_not_supported"},
		"request by address":   {func(r url.Values) { r.Set("request_uri", "https://other.example/r") }, "request_uri_not_supported"},
	} {
		t.Run(name, func(t *testing.T) {
			request := authorizationRequest(clientID, oauth2.GenerateVerifier())
			test.change(request)
			if got := errorRedirect(t, srv, request); got.Get("error") != test.want {
				t.Fatalf("error %q (%s), want %q", got.Get("error"), got.Get("error_description"), test.want)
			}
		})
	}
}

func TestWhatCannotGoToTheClientIsAPage(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	for name, change := range map[string]func(url.Values){
		"no client":         func(r url.Values) { r.Del("client_id") },
		"unknown client":    func(r url.Values) { r.Set("client_id", "nobody") },
		"no redirect":       func(r url.Values) { r.Del("redirect_uri") },
		"other path":        func(r url.Values) { r.Set("redirect_uri", "http://127.0.0.1:7777/other") },
		"other host":        func(r url.Values) { r.Set("redirect_uri", "http://localhost:7777/callback") },
		"other scheme":      func(r url.Values) { r.Set("redirect_uri", "https://127.0.0.1:7777/callback") },
		"more query":        func(r url.Values) { r.Set("redirect_uri", testRedirect+"?x=1") },
		"user in redirect":  func(r url.Values) { r.Set("redirect_uri", "http://127.0.0.1@evil.example/callback") },
		"foreign site":      func(r url.Values) { r.Set("redirect_uri", "https://evil.example/callback") },
		"repeated redirect": func(r url.Values) { r.Add("redirect_uri", "https://evil.example/callback") },
		"repeated state":    func(r url.Values) { r.Add("state", "another") },
	} {
		t.Run(name, func(t *testing.T) {
			request := authorizationRequest(clientID, oauth2.GenerateVerifier())
			change(request)
			got := get(t, authorizeURL(srv, request))
			if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
				t.Fatalf("answered %d, Location %q", got.status, got.header.Get("Location"))
			}
			if !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") || !strings.Contains(got.body, "This login cannot go on") {
				t.Errorf("page %s", got.body)
			}
		})
	}
}

func TestLoopbackPortIsFree(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	request := authorizationRequest(clientID, verifier)
	request.Set("redirect_uri", "http://127.0.0.1:50123/callback")
	code := obtainCode(t, srv, request, "alice")

	form := codeForm(clientID, code, verifier)
	form.Set("redirect_uri", "http://127.0.0.1:50123/callback")
	if got := postForm(t, srv.Issuer()+"/token", form); got.status != http.StatusOK {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	srv := startServer(t, nil)
	other := publicClient(t, srv)
	for name, test := range map[string]struct {
		change func(url.Values)
		status int
		want   string
	}{
		"wrong verifier":     {func(f url.Values) { f.Set("code_verifier", oauth2.GenerateVerifier()) }, 400, "invalid_grant"},
		"no verifier":        {func(f url.Values) { f.Del("code_verifier") }, 400, "invalid_request"},
		"short verifier":     {func(f url.Values) { f.Set("code_verifier", "short") }, 400, "invalid_request"},
		"other redirect":     {func(f url.Values) { f.Set("redirect_uri", "http://127.0.0.1:7778/callback") }, 400, "invalid_grant"},
		"no redirect":        {func(f url.Values) { f.Del("redirect_uri") }, 400, "invalid_request"},
		"other client":       {func(f url.Values) { f.Set("client_id", other) }, 400, "invalid_grant"},
		"unknown client":     {func(f url.Values) { f.Set("client_id", "nobody") }, 401, "invalid_client"},
		"no client":          {func(f url.Values) { f.Del("client_id") }, 400, "invalid_request"},
		"secret of no one":   {func(f url.Values) { f.Set("client_secret", "guess") }, 401, "invalid_client"},
		"unknown code":       {func(f url.Values) { f.Set("code", "guess") }, 400, "invalid_grant"},
		"no code":            {func(f url.Values) { f.Del("code") }, 400, "invalid_request"},
		"other resource":     {func(f url.Values) { f.Set("resource", "https://other.example/mcp") }, 400, "invalid_target"},
		"malformed resource": {func(f url.Values) { f.Set("resource", "mcp") }, 400, "invalid_target"},
		"no grant type":      {func(f url.Values) { f.Del("grant_type") }, 400, "invalid_request"},
		"unknown grant type": {func(f url.Values) { f.Set("grant_type", "magic") }, 400, "unsupported_grant_type"},
		"password":           {func(f url.Values) { f.Set("grant_type", "password") }, 400, "unsupported_grant_type"},
		"client credentials": {func(f url.Values) { f.Set("grant_type", "client_credentials") }, 400, "unauthorized_client"},
		"repeated code":      {func(f url.Values) { f.Add("code", "x") }, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			clientID := publicClient(t, srv)
			verifier := oauth2.GenerateVerifier()
			form := codeForm(clientID, obtainCode(t, srv, authorizationRequest(clientID, verifier), "alice"), verifier)
			test.change(form)
			postForm(t, srv.Issuer()+"/token", form).wantError(t, test.status, test.want)
		})
	}
}

func TestTokenEndpointTakesFormsOnly(t *testing.T) {
	srv := startServer(t, nil)
	token := srv.Issuer() + "/token"
	post(t, token, "application/json", `{"grant_type":"authorization_code"}`, nil).wantError(t, 400, "invalid_request")
	post(t, token+"?grant_type=authorization_code", "application/x-www-form-urlencoded", "", nil).wantError(t, 400, "invalid_request")
	if got := get(t, token); got.status != http.StatusMethodNotAllowed || !strings.Contains(got.header.Get("Allow"), "POST") {
		t.Errorf("GET answered %d, Allow %q", got.status, got.header.Get("Allow"))
	}
	got := post(t, token, "application/x-www-form-urlencoded", "grant_type=refresh_token", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer x")
	})
	got.wantError(t, 401, "invalid_client")
	if !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
	}
}

func TestCodeLivesAMinute(t *testing.T) {
	clock := newClock()
	srv := startServer(t, func(c *Config) { c.Now = clock.Now })
	clientID := publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	code := obtainCode(t, srv, authorizationRequest(clientID, verifier), "alice")
	clock.advance(60 * time.Second)
	postForm(t, srv.Issuer()+"/token", codeForm(clientID, code, verifier)).wantError(t, 400, "invalid_grant")
}

func TestReusedCodeRevokesItsTokens(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	form := codeForm(clientID, obtainCode(t, srv, authorizationRequest(clientID, verifier), "alice"), verifier)
	first := postForm(t, srv.Issuer()+"/token", form)
	_, claims := decodeToken(t, first.text(t, "access_token"))
	if srv.Revoked(claims["jti"].(string)) {
		t.Fatal("revoked from the start")
	}
	postForm(t, srv.Issuer()+"/token", form).wantError(t, 400, "invalid_grant")
	if !srv.Revoked(claims["jti"].(string)) {
		t.Error("the access token is not revoked")
	}
	postForm(t, srv.Issuer()+"/token", refreshForm(clientID, first.text(t, "refresh_token"))).wantError(t, 400, "invalid_grant")
}

func TestIDTokenOnlyWhenAsked(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	request := authorizationRequest(clientID, verifier)
	request.Set("scope", "openid snapshot:read")
	request.Set("nonce", "n-1")
	tokens := postForm(t, srv.Issuer()+"/token", codeForm(clientID, obtainCode(t, srv, request, "alice"), verifier))
	header, claims := decodeToken(t, tokens.text(t, "id_token"))
	if header["typ"] != "JWT" || claims["aud"] != clientID || claims["nonce"] != "n-1" || claims["sub"] != "alice" {
		t.Errorf("header %v, claims %v", header, claims)
	}
	verifySignature(t, srv, tokens.text(t, "id_token"))
	if _, access := decodeToken(t, tokens.text(t, "access_token")); access["scope"] != ScopeRead {
		t.Errorf("scope claim %v", access["scope"])
	}
}
