// Package devauth is an OAuth 2.1 authorization server for development: the
// quickstart logs in with it and black-box tests get their tokens from it. It
// has two users with no password, keeps everything in memory, and serves
// loopback addresses only. It must never stand in front of anything real, and
// the Caddy module does not link it.
//
// It speaks what MCP clients speak: the authorization code grant with PKCE S256
// (RFC 7636, required), resource indicators (RFC 8707), dynamic registration
// (RFC 7591), Client ID Metadata Documents, refresh tokens that rotate, JWT
// access tokens (RFC 9068), the issuer in the authorization response (RFC 9207),
// revocation (RFC 7009), introspection (RFC 7662), and metadata by RFC 8414 and OpenID Connect Discovery.
//
//	srv, err := devauth.New(devauth.Config{Resources: []string{"https://localhost:8443/mcp"}})
//	if err != nil {
//		return err
//	}
//	if err := srv.Start("127.0.0.1:0"); err != nil {
//		return err
//	}
//	defer srv.Close()
//	token, err := srv.Mint(devauth.MintOptions{Subject: "alice"})
//
// The endpoints are those of github.com/zitadel/oidc (package op): it parses
// requests, orders their checks, matches redirect URIs, verifies PKCE and writes
// errors. That library knows no resource parameter for this grant, no iss in the
// answer, no at+jwt and no registration, so its token creation is replaced here
// by go-jose signers over claims of our own, and the rest stands around it.
package devauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// The scopes of the snapshot server, always supported. ScopeAdmin lets its holder at the
// snapshots of all users, so nobody gets it who has not asked for it and ticked it.
const (
	ScopeRead   = "snapshot:read"
	ScopeWrite  = "snapshot:write"
	ScopeDelete = "snapshot:delete"
	ScopeExport = "snapshot:export"
	ScopeAdmin  = "snapshot:admin"
)

// Defaults of [Config].
const (
	DefaultTokenTTL   = 15 * time.Minute
	DefaultRefreshTTL = 24 * time.Hour
	DefaultAlgorithm  = "RS256"
)

// How long things live and how many of each are kept. When a table is full its
// oldest entry goes.
const (
	codeTTL     = 60 * time.Second // RFC 6749 section 4.1.2 allows ten minutes at most
	codeMemory  = 10 * time.Minute // a used code is remembered, to notice its reuse
	pendingTTL  = 10 * time.Minute // a login page left open
	documentTTL = time.Minute      // a metadata document is not fetched again before

	maxPending   = 1000
	maxCodes     = 1000
	maxRefreshes = 10000
	maxTokens    = 10000
	maxClients   = 1000
	maxDocuments = 200
)

// Config says what the server answers. The zero value is a server for alice and
// bob that knows no resource yet.
type Config struct {
	// Issuer is the issuer identifier (RFC 8414 section 2): http or https, a
	// loopback host, optionally a path, no trailing slash, no query or fragment.
	// If it is empty, Start makes it of the address it listens on.
	Issuer string
	// Resources are the resource identifiers (RFC 8707) that tokens may be made
	// for. A request that names none gets the only one there is.
	Resources []string
	// Scopes are supported in addition to the five of the snapshot server.
	Scopes []string
	// Users are the subjects a person can log in as. Default: alice and bob.
	Users []string
	// ResourceServers may ask about tokens at the introspection endpoint (RFC 7662), by
	// their id and with this secret. Default: nobody may.
	ResourceServers map[string]string
	// TokenTTL is the life of an access token. Default: [DefaultTokenTTL].
	TokenTTL time.Duration
	// RefreshTTL is the life of a refresh token. Default: [DefaultRefreshTTL].
	RefreshTTL time.Duration
	// Algorithm signs the tokens: RS256, PS256, ES256 or EdDSA. Default:
	// [DefaultAlgorithm].
	Algorithm string
	// HTTPClient fetches Client ID Metadata Documents. The default reaches public
	// and loopback addresses only. Redirects are never followed.
	HTTPClient *http.Client
	// Logger gets one record for each decision, never a token. Default: silence.
	// The OAuth library logs to [slog.Default], whatever is set here.
	Logger *slog.Logger
	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

// Server is one authorization server. Its methods are safe for concurrent use,
// Start and Close aside.
type Server struct {
	config  Config
	issuer  string // set by New or, once, by Start
	path    string // path of the issuer, "" or "/x"
	scopes  []string
	logger  *slog.Logger
	now     func() time.Time
	handler http.Handler
	fetcher *http.Client

	mu        sync.Mutex
	resources []string
	clients   *bounded[*client]
	documents *bounded[*clientDocument]
	pending   *bounded[*pendingRequest]
	codes     *bounded[*authorizationCode]
	refreshes *bounded[*refreshToken]
	tokens    *bounded[*accessToken]
	opaque    *bounded[map[string]any] // claims of minted tokens

	keys keyRing

	listener net.Listener
	http     *http.Server
	served   chan struct{}
}

// New makes a server that is not listening yet. The error names the setting that
// is wrong.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	s := &Server{
		config: config,
		issuer: config.Issuer,
		scopes: supportedScopes(config.Scopes),
		logger: config.Logger,
		now:    config.Now,
	}
	if config.Issuer != "" {
		path, err := parseIssuer(config.Issuer)
		if err != nil {
			return nil, err
		}
		s.path = path
	}
	if config.TokenTTL < time.Second || config.RefreshTTL < time.Second {
		return nil, errors.New("devauth: token lifetimes must be a second or more")
	}
	for _, scope := range s.scopes {
		if !validScope(scope) {
			return nil, fmt.Errorf("devauth: scope %q is not a scope token (RFC 6749 section 3.3)", scope)
		}
	}
	for _, resource := range config.Resources {
		if err := s.AllowResource(resource); err != nil {
			return nil, err
		}
	}
	if _, err := s.keys.rotate(config.Algorithm); err != nil {
		return nil, err
	}
	s.fetcher = documentClient(config.HTTPClient)
	s.clients = newBounded[*client](maxClients, 0, s.now)
	s.documents = newBounded[*clientDocument](maxDocuments, 0, s.now)
	s.pending = newBounded[*pendingRequest](maxPending, pendingTTL, s.now)
	s.codes = newBounded[*authorizationCode](maxCodes, codeMemory, s.now)
	s.refreshes = newBounded[*refreshToken](maxRefreshes, config.RefreshTTL, s.now)
	s.tokens = newBounded[*accessToken](maxTokens, config.TokenTTL, s.now)
	s.opaque = newBounded[map[string]any](maxTokens, 0, s.now)
	s.handler = s.routes()
	return s, nil
}

func (c Config) withDefaults() Config {
	if len(c.Users) == 0 {
		c.Users = []string{"alice", "bob"}
	}
	if c.TokenTTL == 0 {
		c.TokenTTL = DefaultTokenTTL
	}
	if c.RefreshTTL == 0 {
		c.RefreshTTL = DefaultRefreshTTL
	}
	if c.Algorithm == "" {
		c.Algorithm = DefaultAlgorithm
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Handler serves the issuer's origin, well-known paths and all. Use it in place
// of Start to put the server behind a listener of your own; the configuration
// must then name the issuer.
func (s *Server) Handler() http.Handler {
	if s.issuer != "" || s.listener != nil {
		return s.handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "devauth: no issuer is configured and the server was not started", http.StatusServiceUnavailable)
	})
}

// Issuer is the issuer identifier; "" before Start if the configuration has none.
func (s *Server) Issuer() string { return s.issuer }

// AllowResource lets tokens be made for one more resource, for a resource server
// whose address is known only after this server started.
func (s *Server) AllowResource(resource string) error {
	if _, err := canonicalResource(resource); err != nil {
		return fmt.Errorf("devauth: resource %q: %w", resource, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.resources, resource) {
		s.resources = append(s.resources, resource)
	}
	return nil
}

// Scopes are those that mean something to a resource, in a stable order.
func (s *Server) Scopes() []string { return slices.Clone(s.scopes) }

// DefaultScopes are those of Scopes that are given where nobody says which: all but
// [ScopeAdmin].
func (s *Server) DefaultScopes() []string {
	return slices.DeleteFunc(s.Scopes(), func(scope string) bool { return scope == ScopeAdmin })
}

func supportedScopes(more []string) []string {
	scopes := []string{ScopeRead, ScopeWrite, ScopeDelete, ScopeExport, ScopeAdmin}
	for _, scope := range more {
		if !slices.Contains(scopes, scope) && scope != oidc.ScopeOpenID && scope != oidc.ScopeOfflineAccess {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// validScope holds a scope to the characters of RFC 6749 section 3.3.
func validScope(scope string) bool {
	for _, c := range []byte(scope) {
		if c <= 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return scope != ""
}
