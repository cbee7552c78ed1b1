package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/policy"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// OAuth makes what stands behind it an OAuth 2.1 protected resource, as the Model
// Context Protocol asks of HTTP servers: it serves the protected resource metadata (RFC
// 9728), verifies the access token, reads the one message in the body, and checks that
// the token's scopes allow it. What stands behind sees the verified user in placeholders
// and never the token.
type OAuth struct {
	// The issuers whose tokens are accepted: https URLs, exactly as in the token's iss
	// claim. Loopback hosts may use http. Required.
	Issuers []string `json:"issuers,omitempty"`

	// The canonical URI of the protected resource: the address that clients use. Default:
	// the one host and path that lead here.
	Resource string `json:"resource,omitempty"`

	// The exact path of the endpoint as clients write it, where the matchers cannot tell:
	// those of Caddy ignore case, and forget it.
	Path string `json:"path,omitempty"`

	MetadataSettings

	// Values of the aud claim of which a token must have one. Default: the resource.
	Audience []string `json:"audience,omitempty"`

	// Where the key set is. Only with one issuer. Default: what its metadata says.
	JWKS string `json:"jwks,omitempty"`

	// Accepted signature algorithms. Default: RS, PS and ES with 256 to 512, EdDSA.
	Algorithms []string `json:"algorithms,omitempty"`

	// The claim that names the user. Default: sub.
	Subject string `json:"subject,omitempty"`

	// The claims that grant scopes, by name or dotted path. Default: scope and scp.
	ScopeClaims []string `json:"scope_claims,omitempty"`

	TokenSettings

	// How far the clocks of the issuer and of this machine may differ, up to 5m. A
	// negative value means not at all. Default: 30s.
	ClockSkew caddy.Duration `json:"clock_skew,omitempty"`

	SenderSettings

	// What scopes requests need. Default: none.
	Scopes *Scopes `json:"scopes,omitempty"`

	// Origins that web pages may call from, beside the resource's own.
	Origins []string `json:"origins,omitempty"`

	// The largest request body in bytes. Default: 4 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// Whether a server behind a proxy gives out session ids that are good for any user. Only
	// for several gateways that share sessions: each binds by a key of its own.
	BindSessionsOff bool `json:"bind_sessions_off,omitempty"`

	// Whether calls that are refused are left out of the audit log.
	AuditOff bool `json:"audit_off,omitempty"`

	logger   *slog.Logger
	log      *slog.Logger // of the endpoint, from the start on
	audit    *audit.Log
	policy   *policy.Policy
	grants   *expansion
	cuts     []visibility.List // of which there may be entries that are not shown to all
	keeper   *gatekeeper
	redactor *redactor // or nil

	carriers  []*Stdio   // of this resource, on whatever route
	carried   bool       // an mcp_stdio comes next, and answers every call
	mu        sync.Mutex // start and Cleanup
	poolKey   string     // set while a verifier is held
	proofsKey string     // set while its memory of proofs is
	verifier  *oauth.Verifier
	senders   *oauth.Authenticator
	gate      *admission.Gate
	metadata  http.Handler
	served    metadataPaths
	whole     *OAuth // whose resource is the whole host, or nil; see [findWholeHosts]
	address   string // of the metadata

	issuerDocument *oauth.IssuerDocument // nil if it is not served
}

// CaddyModule returns the Caddy module information.
func (*OAuth) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mcp_oauth", New: func() caddy.Module { return new(OAuth) }}
}

// Provision checks the configuration. Nothing is fetched.
func (o *OAuth) Provision(ctx caddy.Context) error {
	o.logger = ctx.Slogger()
	o.keeper = newGatekeeper()
	if !o.AuditOff {
		o.audit = newAuditLog(ctx)
	}
	if err := o.expand(); err != nil {
		return err
	}
	if err := o.TokenSettings.load(); err != nil {
		return err
	}
	var err error
	if o.policy, err = o.tryOut(o.config()); err != nil {
		return err
	}
	o.grants = &expansion{policy: o.policy}
	o.cuts = o.cutLists()
	if o.redactor, err = redactLogs(ctx, o.TokenHeader); err != nil {
		return err
	}
	return register(ctx, o)
}

// tryOut refuses what could not serve. Nothing is fetched.
func (o *OAuth) tryOut(cfg oauth.Config) (*policy.Policy, error) {
	if o.MaxBody < 0 {
		return nil, fmt.Errorf("max_body: %d is negative", o.MaxBody)
	}
	rules, err := o.Scopes.compile()
	if err != nil {
		return nil, err
	}
	if err := o.checkMetadata(); err != nil {
		return nil, err
	}
	if cfg.Resource == "" { // it may be known only at the start
		cfg.Resource = "https://unknown.invalid/mcp"
	}
	verifier, err := oauth.NewVerifier(cfg)
	if err != nil {
		return nil, err
	}
	defer verifier.Close()
	if _, err := oauth.NewAuthenticator(verifier, o.presentation()); err != nil {
		return nil, err
	}
	_, err = admission.New(admission.Settings{Origins: o.Origins})
	return rules, err
}

// expand fills in global placeholders, such as {env.ISSUER}.
func (o *OAuth) expand() error {
	repl := caddy.NewReplacer()
	var err error
	expand := func(s *string) {
		if err == nil {
			*s, err = repl.ReplaceOrErr(*s, true, true)
		}
	}
	for _, s := range o.values() {
		if *s != "" {
			expand(s)
		}
	}
	if err == nil && o.Resource != "" {
		o.Resource, err = oauth.CanonicalResource(o.Resource)
	}
	return err
}

// values are those in which global placeholders may stand, the secret for introspection apart.
func (o *OAuth) values() []*string {
	values := append(o.TokenSettings.values(), &o.Resource, &o.JWKS, &o.ResourceName, &o.ResourceDocumentation)
	for _, list := range [][]string{o.Issuers, o.Audience, o.Origins} {
		for i := range list {
			values = append(values, &list[i])
		}
	}
	return values
}

func (o *OAuth) config() oauth.Config {
	cfg := oauth.Config{
		Issuers: o.Issuers, Resource: o.Resource, Audience: o.Audience, JWKS: o.JWKS, Algorithms: o.Algorithms,
		Subject: o.Subject, ScopeClaims: o.ScopeClaims, ClockSkew: time.Duration(o.ClockSkew), Logger: cmp.Or(o.log, o.logger), Meter: metrics,
	}
	o.TokenSettings.apply(&cfg)
	return cfg
}

// start finds the resource, takes a verifier and looks whether the metadata can be
// reached.
func (o *OAuth) start(trails []trail, carriers map[string][]*Stdio) {
	err := o.begin(trails)
	o.carriers = carriers[o.Resource]
	o.carried = slices.ContainsFunc(trails, func(t trail) bool {
		if len(t.behind) == 0 {
			return false
		}
		_, ok := t.behind[0].(*Stdio)
		return ok
	})
	if err != nil {
		o.logger.Error("this handler cannot serve", "issuers", o.Issuers, "error", err)
	}
	o.keeper.open(err)
}

func (o *OAuth) begin(trails []trail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Resource == "" {
		resource, err := deriveResource(trails, o.Path)
		if err != nil {
			return err
		}
		o.Resource = resource
	}
	// From here on what is logged says which endpoint it is about.
	o.log, o.audit = o.logger.With("resource", o.Resource), o.audit.About(o.Resource)
	o.address = oauth.MetadataURL(o.Resource)
	if err := o.holdVerifier(o.config()); err != nil {
		return err
	}
	var err error
	if o.senders, err = oauth.NewAuthenticator(o.verifier, o.presentation()); err != nil {
		return err
	}
	o.metadata = o.metadataHandler(oauth.Metadata{
		Resource: o.Resource, AuthorizationServers: o.Issuers, ScopesSupported: o.policy.ScopesSupported(),
		ResourceName: o.ResourceName, ResourceDocumentation: o.ResourceDocumentation,
	}, trails)
	o.gate, err = admission.New(admission.Settings{
		Resource: o.Resource, Origins: o.Origins, MaxBody: o.MaxBody, ClockSkew: max(0, o.verifier.Config().ClockSkew),
		Authenticate: o.authenticate, Authorize: o.authorize,
	})
	if err != nil {
		return err
	}
	if err := o.publish(trails); err != nil {
		return err
	}
	o.selfCheck(trails)
	o.checkSenders(trails)
	o.checkIssuerMetadata(trails)
	return nil
}

// selfCheck says plainly what clients will not find, and what protects nothing.
func (o *OAuth) selfCheck(trails []trail) {
	if methods := o.Scopes.unheardOf(); len(methods) > 0 {
		o.log.Warn("scopes: no version of MCP has these methods, so unless they are of an extension their rules protect nothing", "methods", methods,
			"hint", "write methods as the protocol does, such as tools/call")
	}
	if len(trails) == 0 {
		o.log.Warn("no route is seen that leads here; if the metadata is not reachable, clients cannot log in", "metadata", o.address)
		return
	}
	if ok, blocked := reaches(trails, o, o.address); !ok && o.TokenHeader == "" {
		o.log.Warn("the protected resource metadata cannot be reached, so clients cannot log in: let requests for its path come to the same handler, outside of any handle, handle_path or matcher that leaves it out",
			"metadata", o.address, "instead", blocked, "path", o.served.inserted)
		return
	}
	if proxy, path := around(trails, o); proxy != "" {
		o.log.Warn("what this handler protects is reached without a token, too: write the same path, or none, beside both",
			"handler", proxy, "path", path)
	}
	o.log.Info("protecting", "metadata", o.address, "issuers", o.Issuers)
}

func (o *OAuth) stopping() {}

func (o *OAuth) guard() *redactor { return o.redactor }

// Cleanup gives back what was taken.
func (o *OAuth) Cleanup() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.issuerDocument != nil {
		o.issuerDocument.Close()
	}
	return o.releaseVerifier()
}

// ServeHTTP admits the request, or answers it.
func (o *OAuth) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	unguarded := o.redactor.unguarded(r, o.logger)
	err := o.serve(w, r, next)
	if err != nil && unguarded {
		return settle(w, err, o.logger)
	}
	return err
}

func (o *OAuth) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if err := o.keeper.wait(r.Context()); err != nil {
		unready().Write(w, nil)
		return nil
	}
	// Nothing else passes without a token, whatever its path looks like.
	if document := o.document(r); document != nil {
		document.ServeHTTP(w, r)
		return nil
	}
	call, refusal := o.gate.Admit(w, r)
	if call == nil {
		return nil
	}
	call.RequestID = requestID(r)
	if name := o.senders.TokenHeader(); name != "" {
		assertion := r.Header.Get(name)
		withhold(r.Header, name)
		withholdCopies(r.Header, strings.TrimSpace(assertion))
	}
	handed := handOver(r, call, refusal == nil)
	if refusal != nil {
		o.refuse(w, call, refusal)
		return nil
	}
	return o.pass(w, handed, admitted(handed), next)
}

func (o *OAuth) refuse(w http.ResponseWriter, call *admission.Call, refusal *answer.Refusal) {
	bridge.Refuse(w, call, refusal, o.log, o.audit)
}

func unready() *answer.Refusal {
	return answer.New(http.StatusServiceUnavailable, protocol.CodeInternal, "This endpoint is not configured: the gateway's log says why").With("Retry-After", "30")
}

// challenge turns an error of the verifier into an answer.
func (o *OAuth) challenge(err error) *answer.Refusal {
	var fault *oauth.Error
	if !errors.As(err, &fault) {
		fault = &oauth.Error{Status: http.StatusServiceUnavailable, Reason: err.Error()}
	}
	text := fault.Description
	if text == "" {
		text = http.StatusText(fault.Status)
	}
	refusal := answer.New(fault.Status, protocol.CodeInvalidRequest, "%s", text)
	refusal.Reason, refusal.Claim = fault.Error(), fault.Claim()
	refusal.Header = http.Header{}
	fault.WriteChallenge(refusal.Header, o.address, o.policy.ScopesSupported(), o.senders.Schemes())
	return refusal
}

// Interface guards
var (
	_ caddy.Provisioner           = (*OAuth)(nil)
	_ caddy.CleanerUpper          = (*OAuth)(nil)
	_ caddyhttp.MiddlewareHandler = (*OAuth)(nil)
	_ starter                     = (*OAuth)(nil)
)
