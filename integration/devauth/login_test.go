package devauth

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// openPage opens a login page in a browser of its own and returns both.
func openPage(t *testing.T, srv *Server, request url.Values) (*http.Client, *loginForm, answer) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if next.URL.Path == "/login" {
			return nil
		}
		return http.ErrUseLastResponse
	}}
	target, err := url.Parse(authorizeURL(srv, request))
	if err != nil {
		t.Fatal(err)
	}
	page, err := browse(t.Context(), browser, http.MethodGet, target, nil)
	if err != nil || page.document == nil {
		t.Fatalf("page %+v, %v", page, err)
	}
	form, err := findForm(page.url, page.document)
	if err != nil {
		t.Fatal(err)
	}
	raw := sendWith(t, browser, http.MethodGet, page.url.String(), "", nil)
	return browser, form, raw
}

func sendWith(t *testing.T, browser *http.Client, method, target, body string, change func(*http.Request)) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(request)
	}
	if browser.Jar != nil {
		for _, cookie := range browser.Jar.Cookies(request.URL) {
			request.AddCookie(cookie)
		}
	}
	return send(t, request)
}

// filled is the form as alice would send it.
func (f *loginForm) filled() url.Values {
	values := f.hidden()
	values.Set("user", "alice")
	values.Set("decision", "allow")
	values["scope"] = []string{ScopeRead}
	return values
}

// The scope of administrators is offered to whoever asks for it, and given to whoever
// ticks it.
func TestNobodyIsAnAdministratorByDefault(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	for asked, ticked := range map[string][]string{
		"":                                  nil, // what is asked for is then the server's to say
		ScopeRead + " " + ScopeAdmin:        nil,
		ScopeRead + " " + ScopeAdmin + "  ": {ScopeRead, ScopeAdmin},
	} {
		verifier := oauth2.GenerateVerifier()
		request := authorizationRequest(clientID, verifier)
		if request.Del("scope"); asked != "" {
			request.Set("scope", asked)
		}
		redirect, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", ticked)
		if err != nil {
			t.Fatal(err)
		}
		tokens := postForm(t, srv.Issuer()+"/token", codeForm(clientID, redirect.Query().Get("code"), verifier))
		given := strings.Fields(tokens.text(t, "scope"))
		if slices.Contains(given, ScopeAdmin) != slices.Contains(ticked, ScopeAdmin) || !slices.Contains(given, ScopeRead) {
			t.Errorf("asked for %q, ticked %q, given %q", asked, ticked, given)
		}
	}
}

func TestPageForAPerson(t *testing.T) {
	srv := startServer(t, nil)
	clientID := publicClient(t, srv)
	request := authorizationRequest(clientID, oauth2.GenerateVerifier())
	request.Set("login_hint", "bob")
	_, form, page := openPage(t, srv, request)
	if page.status != http.StatusOK || page.header.Get("Content-Type") != "text/html; charset=utf-8" || page.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answered %d %v", page.status, page.header)
	}
	for _, want := range []string{
		`<html lang="en">`, `<title>Allow access?`, "Test &lt;b&gt;client&lt;/b&gt;", "<code>" + testResource + "</code>", "<code>http://127.0.0.1:7777</code>",
		"<legend>Log in as</legend>", `value="alice" required>`, `value="bob" required checked>`, `value="cancel" formnovalidate>`, "list and load snapshots",
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q:\n%s", want, page.body)
		}
	}
	// Nothing from elsewhere and nothing that runs; each control has a label.
	for _, bad := range []string{"<script", "<img", "<link", "src=", " style=", "onclick", "ZgotmplZ"} {
		if strings.Contains(page.body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	labelled := regexp.MustCompile(`<label><input type="(radio|checkbox)"`).FindAllString(page.body, -1)
	visible := 0
	for _, input := range form.inputs {
		if input.kind != "hidden" {
			visible++
		}
	}
	if visible != 4 || len(labelled) != visible {
		t.Errorf("%d controls, %d in labels", visible, len(labelled))
	}
	policy := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self' http://127.0.0.1:7777;", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'sha256-" + styleDigest + "'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if !strings.Contains(page.body, "<style>"+pageStyle+"</style>") {
		t.Error("the style on the page is not the one whose digest is allowed")
	}
}

func TestFormActionLetsTheAnswerThrough(t *testing.T) {
	for uri, want := range map[string]string{
		"http://127.0.0.1:7777/cb":     "http://127.0.0.1:7777",
		"https://app.example/cb?x=1":   "https://app.example",
		"http://[::1]:9/cb":            "http:",
		"cursor://anysphere/callback":  "cursor:",
		"https://a.example;script-src": "https:",
	} {
		if got := redirectOrigin(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

func TestPrivateSchemeGetsTheAnswer(t *testing.T) {
	srv := startServer(t, nil)
	const uri = "cursor://anysphere.cursor-mcp/oauth/callback?user=1"
	clientID := registerJSON(t, srv, `{"redirect_uris":["`+uri+`"],"token_endpoint_auth_method":"none"}`).text(t, "client_id")
	request := authorizationRequest(clientID, oauth2.GenerateVerifier())
	request.Set("redirect_uri", uri)
	redirect, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	if redirect.Scheme != "cursor" || redirect.Query().Get("user") != "1" || redirect.Query().Get("code") == "" {
		t.Errorf("redirect %s", redirect)
	}
}

func TestForgedFormsAreRefused(t *testing.T) {
	srv := startServer(t, nil)
	request := authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier())
	for name, test := range map[string]struct {
		values func(url.Values)
		header func(*http.Request)
		status int
	}{
		"no token":       {values: func(v url.Values) { v.Del("csrf") }, status: http.StatusForbidden},
		"guessed token":  {values: func(v url.Values) { v.Set("csrf", "guess") }, status: http.StatusForbidden},
		"foreign origin": {header: func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, status: http.StatusForbidden},
		"cross site":     {header: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, status: http.StatusForbidden},
		"other request":  {values: func(v url.Values) { v.Set("request", "guess") }, status: http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			browser, form, _ := openPage(t, srv, request)
			values := form.filled()
			if test.values != nil {
				test.values(values)
			}
			got := sendWith(t, browser, http.MethodPost, form.action.String(), values.Encode(), test.header)
			if got.status != test.status || got.header.Get("Location") != "" {
				t.Fatalf("answered %d %s", got.status, got.body)
			}
			// The page itself still works.
			if got := sendWith(t, browser, http.MethodPost, form.action.String(), form.filled().Encode(), nil); got.status != http.StatusSeeOther {
				t.Errorf("the good form answered %d", got.status)
			}
		})
	}
}

func TestPageBelongsToItsBrowser(t *testing.T) {
	srv := startServer(t, nil)
	request := authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier())
	_, form, _ := openPage(t, srv, request)
	other, _, _ := openPage(t, srv, request)
	for name, browser := range map[string]*http.Client{"no cookie": {}, "another cookie": other} {
		if got := sendWith(t, browser, http.MethodPost, form.action.String(), form.filled().Encode(), nil); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s: answered %d", name, got.status)
		}
		if got := sendWith(t, browser, http.MethodGet, form.action.String()+"?request="+form.hidden().Get("request"), "", nil); got.status != http.StatusBadRequest || strings.Contains(got.body, "csrf") {
			t.Errorf("%s: page answered %d", name, got.status)
		}
	}
}

func TestTwoTabsOfOneBrowser(t *testing.T) {
	srv := startServer(t, nil)
	request := authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier())
	browser, first, _ := openPage(t, srv, request)
	target, err := url.Parse(authorizeURL(srv, request))
	if err != nil {
		t.Fatal(err)
	}
	second, err := browse(t.Context(), browser, http.MethodGet, target, nil)
	if err != nil || second.status != http.StatusOK {
		t.Fatalf("second tab %+v, %v", second, err)
	}
	if got := sendWith(t, browser, http.MethodPost, first.action.String(), first.filled().Encode(), nil); got.status != http.StatusSeeOther {
		t.Errorf("first tab answered %d", got.status)
	}
}

func TestIncompleteAnswersShowThePageAgain(t *testing.T) {
	srv := startServer(t, nil)
	browser, form, _ := openPage(t, srv, authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier()))
	for want, change := range map[string]func(url.Values){
		"Choose who you log in as": func(v url.Values) { v.Del("user") },
		"Tick at least one thing":  func(v url.Values) { v["scope"] = []string{ScopeDelete} }, // was not asked for
		"Answer with Allow":        func(v url.Values) { v.Del("decision") },
	} {
		values := form.filled()
		change(values)
		got := sendWith(t, browser, http.MethodPost, form.action.String(), values.Encode(), nil)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, want) || !strings.Contains(got.body, "<form") {
			t.Errorf("answered %d %s", got.status, got.body)
		}
	}
	mallory := form.filled()
	mallory.Set("user", "mallory")
	if got := sendWith(t, browser, http.MethodPost, form.action.String(), mallory.Encode(), nil); got.status != http.StatusBadRequest {
		t.Errorf("an unknown user: %d", got.status)
	}
}

func TestPageAnswersOnceAndEnds(t *testing.T) {
	clock := newClock()
	srv := startServer(t, func(c *Config) { c.Now = clock.Now })
	request := authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier())
	browser, form, _ := openPage(t, srv, request)
	if got := sendWith(t, browser, http.MethodPost, form.action.String(), form.filled().Encode(), nil); got.status != http.StatusSeeOther {
		t.Fatalf("answered %d", got.status)
	}
	if got := sendWith(t, browser, http.MethodPost, form.action.String(), form.filled().Encode(), nil); got.status != http.StatusBadRequest {
		t.Errorf("the second time answered %d", got.status)
	}
	browser, form, _ = openPage(t, srv, request)
	clock.advance(pendingTTL + time.Second)
	if got := sendWith(t, browser, http.MethodPost, form.action.String(), form.filled().Encode(), nil); got.status != http.StatusBadRequest {
		t.Errorf("an old page answered %d", got.status)
	}
}

func TestLoginSaysWhatThePageSaid(t *testing.T) {
	srv := startServer(t, nil)
	request := authorizationRequest(publicClient(t, srv), oauth2.GenerateVerifier())
	if _, err := Login(t.Context(), nil, authorizeURL(srv, request), "mallory", nil); err == nil || !strings.Contains(err.Error(), "Choose who you log in as") {
		t.Errorf("unknown user: %v", err)
	}
	if _, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", []string{}); err == nil || !strings.Contains(err.Error(), "Tick at least one thing") {
		t.Errorf("no scopes: %v", err)
	}
	request.Set("client_id", "nobody")
	if _, err := Login(t.Context(), nil, authorizeURL(srv, request), "alice", nil); err == nil || !strings.Contains(err.Error(), "register again") {
		t.Errorf("unknown client: %v", err)
	}
}

func TestFrontPage(t *testing.T) {
	srv := startServer(t, nil)
	got := get(t, srv.Issuer()+"/")
	if got.status != http.StatusOK || !strings.Contains(got.body, srv.Issuer()) || !strings.Contains(got.body, "/jwks.json") {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	if got := get(t, srv.Issuer()+"/nothing"); got.status != http.StatusNotFound {
		t.Errorf("unknown path answered %d", got.status)
	}
}
