package devauth

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// provider is what package op asks of an authorization server. The methods that
// it does not have answer that they are not there.
type provider struct {
	op.UnimplementedServer
	*Server
}

var _ op.Server = provider{}

// issuerEncoder writes authorization responses as the library does, with the
// issuer in each, errors too (RFC 9207 section 2).
type issuerEncoder struct {
	*Server
	inner interface {
		Encode(src any, dst map[string][]string) error
	}
}

func (e issuerEncoder) Encode(response any, parameters map[string][]string) error {
	if err := e.inner.Encode(response, parameters); err != nil {
		return err
	}
	parameters["iss"] = []string{e.issuer}
	return nil
}

// VerifyAuthRequest finds the client and checks the redirection URI. What fails
// here is shown to the person, never redirected (RFC 6749 section 4.1.2.1).
func (p provider) VerifyAuthRequest(ctx context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	request := r.Data
	if request.ClientID == "" {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("client_id is missing")
	}
	found, err := p.resolveClient(ctx, request.ClientID, true)
	if err != nil {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("%s", err), http.StatusBadRequest)
	}
	if request.RedirectURI == "" {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("redirect_uri is missing")
	}
	if !redirectRegistered(found.redirectURIs, request.RedirectURI) {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("the redirect_uri is not one that the client registered")
	}
	if len(request.Scopes) == 0 {
		request.Scopes = p.DefaultScopes() // the default of RFC 6749 section 3.3
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: found}, nil
}

// Authorize checks the rest of the request, whose failures go to the client, and
// sends the browser to the login page.
func (p provider) Authorize(_ context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	request := r.Data
	if mode := request.ResponseMode; mode != "" && mode != oidc.ResponseModeQuery {
		request.ResponseMode = "" // so that this answer goes by query
		return nil, oidc.ErrInvalidRequest().WithDescription("response_mode must be query")
	}
	if request.RequestParam != "" {
		return nil, oidc.ErrRequestNotSupported()
	}
	if r.Form.Get("request_uri") != "" {
		return nil, &oidc.Error{ErrorType: "request_uri_not_supported"}
	}
	if slices.Contains(request.Prompt, oidc.PromptNone) {
		return nil, oidc.ErrLoginRequired().WithDescription("this server has no login sessions")
	}
	if err := checkChallenge(request); err != nil {
		return nil, err
	}
	scopes, err := p.scopesToAsk(request.Scopes, r.Client.(*client))
	if err != nil {
		return nil, err
	}
	resources, err := p.resourcesToGrant(r.Form["resource"])
	if err != nil {
		return nil, err
	}
	pending := &pendingRequest{
		client:      r.Client.(*client),
		redirectURI: request.RedirectURI,
		state:       request.State,
		nonce:       request.Nonce,
		challenge:   request.CodeChallenge,
		scopes:      scopes,
		resources:   resources,
		loginHint:   request.LoginHint,
		csrf:        rand.Text(),
		browser:     browserOf(&http.Request{Header: r.Header}),
	}
	return p.openLogin(pending), nil
}

// openLogin keeps the request and returns the way to its page. The cookie binds
// the page to this browser: a page opened elsewhere is of no use.
func (s *Server) openLogin(pending *pendingRequest) *op.Redirect {
	if pending.browser == "" {
		pending.browser = rand.Text()
	}
	id := rand.Text()
	s.mu.Lock()
	s.pending.put(id, pending)
	s.mu.Unlock()
	redirect := op.NewRedirect(pending.client.LoginURL(id))
	redirect.Header.Add("Set-Cookie", s.browserCookie(pending.browser).String())
	return redirect
}

// checkChallenge holds PKCE to S256 (OAuth 2.1 section 4.1.1, RFC 7636 section
// 4.2). The library takes plain, and requests without a challenge, as good.
func checkChallenge(request *oidc.AuthRequest) error {
	switch {
	case request.CodeChallenge == "":
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is required (PKCE)")
	case request.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return oidc.ErrInvalidRequest().WithDescription("code_challenge_method must be S256")
	case len(request.CodeChallenge) != 43 || !unreserved(request.CodeChallenge):
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is not the base64url of a SHA-256 digest")
	}
	return nil
}

// unreserved holds a string to the characters of RFC 7636 section 4.1.
func unreserved(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

// scopesToAsk are the requested ones that exist here; the answer of the token
// endpoint says which those were (RFC 6749 section 3.3). offline_access means
// nothing for a client that cannot refresh.
func (s *Server) scopesToAsk(requested []string, by *client) ([]string, error) {
	var scopes []string
	for _, scope := range requested {
		known := slices.Contains(s.scopes, scope) || scope == oidc.ScopeOpenID ||
			scope == oidc.ScopeOfflineAccess && by.mayRefresh()
		if known && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, oidc.ErrInvalidScope().WithDescription("none of the requested scopes exists here")
	}
	return scopes, nil
}

// authorizationResponse is the redirection back to the client (RFC 6749 section
// 4.1.2); response is an [oidc.Error] or an [op.CodeResponseType].
func (s *Server) authorizationResponse(pending *pendingRequest, response any) (string, error) {
	return op.AuthResponseURL(pending.redirectURI, oidc.ResponseTypeCode, oidc.ResponseModeQuery, response, s.encoder())
}

func (s *Server) encoder() issuerEncoder {
	return issuerEncoder{Server: s, inner: oidc.NewEncoder()}
}

// redirectOrigin is how a redirection URI looks in a Content-Security-Policy:
// scheme and host, or the scheme alone where the host cannot be written there.
func redirectOrigin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		if host := u.Hostname(); host != "" && unreserved(host) {
			return u.Scheme + "://" + u.Host
		}
	}
	return u.Scheme + ":"
}
