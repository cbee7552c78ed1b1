package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/snapgate/snapgate/integration/devauth"
)

// eras are the versions that go-sdk's client is asked to speak; "" is its own choice,
// which is the newest.
var eras = map[string]string{"modern": "", "legacy": legacyVersion}

// negotiated is what must come of it.
var negotiated = map[string]string{"": modernVersion, legacyVersion: legacyVersion}

// bearer sends a token with each request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// dial connects go-sdk's client with a token that it has already.
func (g *gateway) dial(t testing.TB, token, version string, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	return g.connect(t, &mcp.StreamableClientTransport{Endpoint: g.url, HTTPClient: bearerClient(g, token)}, version, options)
}

func bearerClient(g *gateway, token string) *http.Client {
	return &http.Client{Transport: bearer{token, g.client.Transport}}
}

// connect ends the session with the test.
func (g *gateway) connect(t testing.TB, transport *mcp.StreamableClientTransport, version string, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "integration", Version: "1"}, options)
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return session
}

// browser logs in as a user who allows all that is asked for.
func browser(subject string) auth.AuthorizationCodeFetcher {
	return func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		redirect, err := devauth.Login(ctx, nil, args.URL, subject, nil)
		if err != nil {
			return nil, err
		}
		query := redirect.Query()
		if fault := query.Get("error"); fault != "" {
			return nil, fmt.Errorf("%s: %s", fault, query.Get("error_description"))
		}
		return &auth.AuthorizationResult{Code: query.Get("code"), State: query.Get("state"), Iss: query.Get("iss")}, nil
	}
}

// login is what go-sdk's client needs to go through the whole flow.
func login(t testing.TB, subject string, client *http.Client) *auth.AuthorizationCodeHandler {
	t.Helper()
	const redirect = "http://127.0.0.1:1/callback" // the browser stops before it
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		RedirectURL:              redirect,
		RequestRefreshToken:      true,
		AuthorizationCodeFetcher: browser(subject),
		Client:                   client,
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "integration", RedirectURIs: []string{redirect}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// trace remembers method, path and status of each request.
type trace struct {
	next http.RoundTripper

	mu    sync.Mutex
	steps []string
}

func (tr *trace) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := tr.next.RoundTrip(r)
	if err == nil {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.steps = append(tr.steps, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, response.StatusCode))
	}
	return response, err
}

func (tr *trace) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.steps, "\n")
}

// use calls a tool by go-sdk's client and returns its text.
func use(t testing.TB, session *mcp.ClientSession, tool string, arguments any) string {
	t.Helper()
	text, err := tryUse(session, tool, arguments)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return text
}

// tryUse is use for goroutines other than the test's own.
func tryUse(session *mcp.ClientSession, tool string, arguments any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return "", err
	}
	if len(result.Content) == 0 {
		return "", fmt.Errorf("no content")
	}
	text, ok := result.Content[0].(*mcp.TextContent)
	if !ok {
		return "", fmt.Errorf("content is a %T", result.Content[0])
	}
	return text.Text, nil
}
