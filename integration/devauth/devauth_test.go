package devauth

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

const (
	testResource = "https://localhost:8443/mcp"
	testRedirect = "http://127.0.0.1:7777/callback"
)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// startServer runs a server for testResource on a free port, with a signature
// algorithm whose keys are made fast.
func startServer(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	config := Config{Resources: []string{testResource}, Algorithm: "ES256"}
	if change != nil {
		change(&config)
	}
	srv, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// serverAt runs a server whose issuer has a path, which Start cannot know.
func serverAt(t *testing.T, path string) *Server {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	srv, err := New(Config{Issuer: "http://" + listener.Listener.Addr().String() + path, Resources: []string{testResource}, Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = srv.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	return srv
}

// answer is what an endpoint said.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	return members
}

func (a answer) text(t *testing.T, member string) string {
	t.Helper()
	text, _ := a.json(t)[member].(string)
	return text
}

// wantError checks an error answer of RFC 6749 section 5.2.
func (a answer) wantError(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.text(t, "error") != code {
		t.Fatalf("answered %d %s, want %d %s", a.status, a.body, status, code)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
}

func send(t *testing.T, request *http.Request) answer {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func get(t *testing.T, target string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, request)
}

func post(t *testing.T, target, contentType, body string, change func(*http.Request)) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if change != nil {
		change(request)
	}
	return send(t, request)
}

func postForm(t *testing.T, target string, form url.Values) answer {
	t.Helper()
	return post(t, target, "application/x-www-form-urlencoded", form.Encode(), nil)
}

func registerJSON(t *testing.T, srv *Server, metadata string) answer {
	t.Helper()
	return post(t, srv.Issuer()+"/register", "application/json", metadata, nil)
}

// publicClient registers a client that may refresh, and returns its id.
func publicClient(t *testing.T, srv *Server) string {
	t.Helper()
	got := registerJSON(t, srv, `{"redirect_uris":["`+testRedirect+`"],"token_endpoint_auth_method":"none","client_name":"Test <b>client</b>","grant_types":["authorization_code","refresh_token"]}`)
	if got.status != http.StatusCreated {
		t.Fatalf("registration answered %d %s", got.status, got.body)
	}
	return got.text(t, "client_id")
}

// authorizationRequest is a good request; tests change it.
func authorizationRequest(clientID, verifier string) url.Values {
	return url.Values{
		"response_type":         {"code"},
		"client_id":             {clientID},
		"redirect_uri":          {testRedirect},
		"state":                 {"the state"},
		"scope":                 {"snapshot:read snapshot:write"},
		"resource":              {testResource},
		"code_challenge":        {oauth2.S256ChallengeFromVerifier(verifier)},
		"code_challenge_method": {"S256"},
	}
}

func authorizeURL(srv *Server, request url.Values) string {
	return srv.Issuer() + "/authorize?" + request.Encode()
}

// obtainCode logs in and returns the code.
func obtainCode(t *testing.T, srv *Server, request url.Values, user string) string {
	t.Helper()
	redirect, err := Login(t.Context(), nil, authorizeURL(srv, request), user, nil)
	if err != nil {
		t.Fatal(err)
	}
	code := redirect.Query().Get("code")
	if code == "" {
		t.Fatalf("no code in %s", redirect)
	}
	return code
}

func codeForm(clientID, code, verifier string) url.Values {
	return url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {clientID},
		"code":          {code},
		"redirect_uri":  {testRedirect},
		"code_verifier": {verifier},
		"resource":      {testResource},
	}
}

// obtainTokens is the whole flow for a new public client.
func obtainTokens(t *testing.T, srv *Server, user string) (clientID string, tokens answer) {
	t.Helper()
	clientID = publicClient(t, srv)
	verifier := oauth2.GenerateVerifier()
	code := obtainCode(t, srv, authorizationRequest(clientID, verifier), user)
	tokens = postForm(t, srv.Issuer()+"/token", codeForm(clientID, code, verifier))
	if tokens.status != http.StatusOK {
		t.Fatalf("token endpoint answered %d %s", tokens.status, tokens.body)
	}
	return clientID, tokens
}

// decodeToken reads a JWT without looking at its signature.
func decodeToken(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWT", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// errorRedirect sends the request and returns the error that came to the client.
func errorRedirect(t *testing.T, srv *Server, request url.Values) url.Values {
	t.Helper()
	redirect, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	query := redirect.Query()
	if query.Get("code") != "" {
		t.Fatalf("got a code: %s", redirect)
	}
	if query.Get("iss") != srv.Issuer() || query.Get("state") != request.Get("state") {
		t.Errorf("iss %q, state %q in %s", query.Get("iss"), query.Get("state"), redirect)
	}
	return query
}
