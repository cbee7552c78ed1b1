package devauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

func TestRegistrationAnswer(t *testing.T) {
	srv := startServer(t, nil)
	got := registerJSON(t, srv, `{
		"redirect_uris": ["http://localhost:3118/callback", "cursor://anysphere.cursor-mcp/oauth/callback"],
		"token_endpoint_auth_method": "none",
		"grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
		"response_types": ["code"], "client_name": "Cursor", "unknown_member": {"a": 1}}`)
	members := got.json(t)
	if got.status != http.StatusCreated || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	if members["client_id"] == "" || members["client_secret"] != nil || members["token_endpoint_auth_method"] != "none" || members["client_name"] != "Cursor" {
		t.Errorf("answer %v", members)
	}
	if grants := members["grant_types"].([]any); len(grants) != 2 {
		t.Errorf("grant types %v", grants)
	}
}

func TestRegistrationRedirectURIs(t *testing.T) {
	srv := startServer(t, nil)
	for uri, good := range map[string]bool{
		"https://claude.ai/api/mcp/auth_callback":      true,
		"http://127.0.0.1/":                            true,
		"http://127.0.0.1:33418/":                      true,
		"http://[::1]:9/cb":                            true,
		"http://localhost:6274/oauth/callback":         true,
		"vscode://vscode.github-authentication/x":      true,
		"cursor://anysphere.cursor-retrieval/callback": true,
		"com.example.app:/oauth":                       true,
		"http://example.com/cb":                        false,
		"http://localhost.example.com/cb":              false,
		"http://127.0.0.1.nip.io/cb":                   false,
		"javascript:alert(1)":                          false,
		"JavaScript://x/%0aalert(1)":                   false,
		"data:text/html,x":                             false,
		"file:///etc/passwd":                           false,
		"https://example.com/cb#part":                  false,
		"https://user@example.com/cb":                  false,
		"https:///cb":                                  false,
		"/callback":                                    false,
		"":                                             false,
		"http://127.0.0.1:bad/":                        false,
	} {
		got := registerJSON(t, srv, `{"redirect_uris":["`+uri+`"],"token_endpoint_auth_method":"none"}`)
		if good && got.status != http.StatusCreated {
			t.Errorf("%q: answered %d %s", uri, got.status, got.body)
		}
		if !good && (got.status != http.StatusBadRequest || got.text(t, "error") != "invalid_redirect_uri") {
			t.Errorf("%q: answered %d %s", uri, got.status, got.body)
		}
	}
	registerJSON(t, srv, `{}`).wantError(t, 400, "invalid_redirect_uri")
	registerJSON(t, srv, `{"redirect_uris":[`+strings.Repeat(`"https://a.example/",`, 20)+`"https://a.example/"]}`).wantError(t, 400, "invalid_redirect_uri")
}

func TestRegistrationRefusesBadMetadata(t *testing.T) {
	srv := startServer(t, nil)
	redirects := `"redirect_uris":["` + testRedirect + `"]`
	for name, body := range map[string]string{
		"not JSON":       `redirect_uris=x`,
		"wrong type":     `{"redirect_uris":"` + testRedirect + `"}`,
		"implicit only":  `{` + redirects + `,"grant_types":["implicit"]}`,
		"response type":  `{` + redirects + `,"response_types":["token"]}`,
		"key method":     `{` + redirects + `,"token_endpoint_auth_method":"private_key_jwt"}`,
		"script as page": `{` + redirects + `,"client_uri":"javascript:alert(1)"}`,
		"name too long":  `{` + redirects + `,"client_name":"` + strings.Repeat("n", 201) + `"}`,
		"body too long":  `{` + redirects + `,"software_id":"` + strings.Repeat("s", maxRequestBody) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			registerJSON(t, srv, body).wantError(t, 400, "invalid_client_metadata")
		})
	}
	post(t, srv.Issuer()+"/register", "text/plain", `{`+redirects+`}`, nil).wantError(t, 400, "invalid_client_metadata")
}

func TestConfidentialClientsNeedTheirSecret(t *testing.T) {
	srv := startServer(t, nil)
	for _, method := range []string{"", "client_secret_basic", "client_secret_post"} {
		registered := registerJSON(t, srv, `{"redirect_uris":["`+testRedirect+`"],"token_endpoint_auth_method":"`+method+`"}`)
		clientID, secret := registered.text(t, "client_id"), registered.text(t, "client_secret")
		if secret == "" || registered.json(t)["client_secret_expires_at"] != 0.0 {
			t.Fatalf("%q: %s", method, registered.body)
		}
		verifier := oauth2.GenerateVerifier()
		form := codeForm(clientID, obtainCode(t, srv, authorizationRequest(clientID, verifier), "alice"), verifier)
		postForm(t, srv.Issuer()+"/token", form).wantError(t, 401, "invalid_client")

		if method == "client_secret_post" {
			form.Set("client_secret", "wrong")
			postForm(t, srv.Issuer()+"/token", form).wantError(t, 401, "invalid_client")
			form.Set("client_secret", secret)
			if got := postForm(t, srv.Issuer()+"/token", form); got.status != http.StatusOK {
				t.Fatalf("%q: answered %d %s", method, got.status, got.body)
			}
			continue
		}
		form.Del("client_id")
		basic := func(password string) func(*http.Request) {
			return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(password)) }
		}
		wrong := post(t, srv.Issuer()+"/token", "application/x-www-form-urlencoded", form.Encode(), basic("wrong"))
		wrong.wantError(t, 401, "invalid_client")
		if wrong.header.Get("WWW-Authenticate") == "" {
			t.Error("no challenge")
		}
		if got := post(t, srv.Issuer()+"/token", "application/x-www-form-urlencoded", form.Encode(), basic(secret)); got.status != http.StatusOK {
			t.Fatalf("%q: answered %d %s", method, got.status, got.body)
		}
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	clock := newClock()
	table := newBounded[int](3, 0, clock.Now)
	for i, key := range []string{"a", "b", "c", "b", "d"} {
		table.put(key, i)
	}
	for key, want := range map[string]bool{"a": false, "b": true, "c": true, "d": true} {
		if _, ok := table.get(key); ok != want {
			t.Errorf("%s: %v", key, ok)
		}
	}
}
