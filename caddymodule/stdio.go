package caddymodule

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	"github.com/snapgate/snapgate/caddymodule/internal/bridge"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Stdio carries MCP over Streamable HTTP to a server that speaks it on standard input and
// output, for clients of the protocol versions 2025-03-26 to 2026-07-28. It owns the
// sessions and the processes, and tells the server on every message who the verified user
// is.
//
// It serves requests that an mcp_oauth handler before it has let through, and no others
// unless anonymous is written.
type Stdio struct {
	// The command and its arguments. No shell is involved. Required.
	Command []string `json:"command,omitempty"`

	// Environment variables of the process. Beside these and pass_env it gets PATH, HOME,
	// LANG, TZ, the proxy and CA variables, and a TMPDIR of its own.
	Env map[string]string `json:"env,omitempty"`

	// Names of variables that the process gets from Caddy's own environment.
	PassEnv []string `json:"pass_env,omitempty"`

	// The working folder of the process. Default: its own temporary folder.
	Dir string `json:"dir,omitempty"`

	// Who shares a process: "session", each session of a client has one of its own (and
	// each user one for all clients without sessions, those of 2026-07-28); "user", all
	// sessions and clients of one user; "shared", all users, for servers that keep them
	// apart by the identity on each message. Default: session.
	Per string `json:"per,omitempty"`

	// How many processes may run at once. Default: 256.
	MaxProcesses int `json:"max_processes,omitempty"`

	// How many processes are started before anyone asks for them. Each serves the next
	// comer, and nobody else. Only where a process is told nothing of its user. Default: 0.
	Prewarm int `json:"prewarm,omitempty"`

	// How long a process may be unused before it is ended. Default: 10m.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// How long a process may take to its first answer, or to a sign of life once it is silent.
	// Default: 30s.
	StartTimeout caddy.Duration `json:"start_timeout,omitempty"`

	// How long each step of ending a process may take: end of input, SIGTERM, SIGKILL.
	// Default: 5s.
	StopTimeout caddy.Duration `json:"stop_timeout,omitempty"`

	// How long a call may take. A process that had so long for all that it was asked, is silent,
	// and answers no ping, hangs and is replaced. Default: 10m.
	CallTimeout caddy.Duration `json:"call_timeout,omitempty"`

	// How long a call waits for a process while all of its user are taken. Default: 10s.
	QueueTimeout caddy.Duration `json:"queue_timeout,omitempty"`

	// How the process learns who the user is. Default: both ways.
	Identity *Identity `json:"identity,omitempty"`

	// Whether requests that no mcp_oauth let through are served: "loopback", on loopback
	// listeners only, or "public". Default: never.
	Anonymous string `json:"anonymous,omitempty"`

	// Origins that web pages may call from, with anonymous; otherwise mcp_oauth decides.
	Origins []string `json:"origins,omitempty"`

	// The canonical URI under which clients reach this server: the same as in mcp_oauth.
	// Default: the one host and path that lead here.
	Resource string `json:"resource,omitempty"`

	// The exact path of the endpoint as clients write it, where the matchers cannot tell:
	// those of Caddy ignore case, and forget it.
	Path string `json:"path,omitempty"`

	// What one user may use at once.
	Limits *Limits `json:"limits,omitempty"`

	// Whether no audit record is written.
	AuditOff bool `json:"audit_off,omitempty"`

	logger    *slog.Logger
	log       *slog.Logger // of the endpoint, from the start on
	keeper    *gatekeeper
	redactor  *redactor // or nil
	templates launchTemplates
	settings  *bridge.Settings

	mu      sync.Mutex // start and Cleanup
	poolKey string     // set while a bridge is held
	bridge  *bridge.Bridge
	forget  func()          // takes back what the bridge was told of whom to serve; or nil
	gate    *admission.Gate // for anonymous requests
	exposed bool            // anonymous, and listening beyond this machine without leave
}

// Identity says how a process learns who the verified user is.
type Identity struct {
	// "meta" in the _meta of each message, "env" in its environment, "both" or "off".
	Mode string `json:"mode,omitempty"`
	// Further claims of the token in _meta. Default: none.
	Claims []string `json:"claims,omitempty"`
}

// Limits are what one user may use at once.
type Limits struct {
	// Calls in flight. Default: 32.
	Concurrent int `json:"concurrent,omitempty"`
	// Sessions. Default: 16.
	Sessions int `json:"sessions,omitempty"`
	// The largest request body in bytes, with anonymous; otherwise mcp_oauth decides.
	// Default: 4 MiB.
	Body int64 `json:"body,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Stdio) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mcp_stdio", New: func() caddy.Module { return new(Stdio) }}
}

// Provision checks the configuration. Nothing is started.
func (s *Stdio) Provision(ctx caddy.Context) error {
	s.logger = ctx.Slogger()
	s.keeper = newGatekeeper()
	var err error
	if s.templates, err = s.tryOut(caddy.NewReplacer()); err != nil {
		return err
	}
	if s.Resource != "" {
		resource, err := caddy.NewReplacer().ReplaceOrErr(s.Resource, true, true)
		if err != nil {
			return err
		}
		if s.Resource, err = oauth.CanonicalResource(resource); err != nil {
			return err
		}
	}
	settings := bridge.Settings{
		Launch:       s.templates.launch,
		MaxProcesses: s.MaxProcesses,
		Prewarm:      s.Prewarm,
		IdleTimeout:  time.Duration(s.IdleTimeout),
		StartTimeout: time.Duration(s.StartTimeout),
		StopTimeout:  time.Duration(s.StopTimeout),
		CallTimeout:  time.Duration(s.CallTimeout),
		QueueTimeout: time.Duration(s.QueueTimeout),
		StampMeta:    s.tellsIn("meta"),
		Logger:       s.logger,
	}
	if s.Identity != nil {
		settings.StampClaims = s.Identity.Claims
	}
	if s.Limits != nil {
		settings.MaxConcurrent, settings.MaxSessions = s.Limits.Concurrent, s.Limits.Sessions
	}
	if !s.AuditOff {
		settings.Audit = newAuditLog(ctx)
	}
	s.settings = settings.Prepared()
	if s.redactor, err = redactLogs(ctx); err != nil {
		return err
	}
	return register(ctx, s)
}

// check refuses values out of range, and says what would be right.
func (s *Stdio) check() error {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return errors.New("no command: write the stdio server to run, such as \"stdio snapshotd\"")
	}
	if _, ok := sharings[s.Per]; !ok {
		return fmt.Errorf("per %q: use one of session, user, shared", s.Per)
	}
	if !slices.Contains(identityModes, s.mode()) {
		return fmt.Errorf("identity %q: use one of %s", s.mode(), strings.Join(identityModes, ", "))
	}
	if s.Identity != nil && len(s.Identity.Claims) > 0 && s.mode() != "meta" && s.mode() != "both" {
		return fmt.Errorf("identity %s: claims stand in _meta only; write \"identity meta\" or \"identity both\", or leave claims out", s.mode())
	}
	if s.Per == perShared && s.mode() == "env" {
		return errors.New("identity env: a process that all users share (per shared) learns who calls from each message only; write \"identity meta\" or leave it out")
	}
	if s.Anonymous != "" && s.Anonymous != anonymousLoopback && s.Anonymous != anonymousPublic {
		return fmt.Errorf("anonymous %q: use %s or %s", s.Anonymous, anonymousLoopback, anonymousPublic)
	}
	for name, d := range map[string]caddy.Duration{"idle_timeout": s.IdleTimeout, "start_timeout": s.StartTimeout, "stop_timeout": s.StopTimeout, "call_timeout": s.CallTimeout, "queue_timeout": s.QueueTimeout} {
		if d < 0 {
			return fmt.Errorf("%s: %v is negative", name, time.Duration(d))
		}
	}
	limits := Limits{}
	if s.Limits != nil {
		limits = *s.Limits
	}
	for name, n := range map[string]int64{
		"max_processes": int64(s.MaxProcesses), "prewarm": int64(s.Prewarm), "limits concurrent": int64(limits.Concurrent),
		"limits sessions": int64(limits.Sessions), "limits body": limits.Body,
	} {
		if n < 0 {
			return fmt.Errorf("%s: %d is negative", name, n)
		}
	}
	if processes := cmp.Or(s.MaxProcesses, bridge.DefaultMaxProcesses); s.Prewarm > processes-processes/4 {
		return fmt.Errorf("prewarm: %d is more than three quarters of max_processes, which is %d", s.Prewarm, processes)
	}
	_, err := admission.New(admission.Settings{Origins: s.Origins})
	return err
}

const perShared = "shared"

// sharings are the values of per.
var sharings = map[string]bridge.Per{"": bridge.PerSession, "session": bridge.PerSession, "user": bridge.PerUser, perShared: bridge.PerShared}

// identityModes are the values of [Identity.Mode].
var identityModes = []string{"meta", "env", "both", "off"}

func (s *Stdio) mode() string {
	if s.Identity == nil || s.Identity.Mode == "" {
		return "both"
	}
	return s.Identity.Mode
}

// tellsIn says whether a process learns in this way who the user is.
func (s *Stdio) tellsIn(way string) bool { return s.mode() == way || s.mode() == "both" }

// start finds the resource and takes the bridge that belongs to it and to the child.
func (s *Stdio) start(trails []trail, carriers map[string][]*Stdio) {
	err := s.begin(trails)
	carriers[s.Resource] = append(carriers[s.Resource], s)
	if err != nil {
		s.logger.Error("this handler cannot serve", "command", s.Command[0], "error", err)
	}
	s.keeper.open(err)
}

func (s *Stdio) begin(trails []trail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Resource == "" {
		resource, err := deriveResource(trails, s.Path)
		if err != nil && s.Anonymous == "" {
			return err
		}
		s.Resource = resource // "" does for anonymous: nobody is told a resource
	}
	// From here on what is logged says which endpoint it is about.
	s.log = s.logger.With("resource", s.Resource)
	s.settings.Logger, s.settings.Audit = s.log, s.settings.Audit.About(s.Resource)
	settings := admission.Settings{Resource: s.Resource, Origins: s.Origins}
	if s.Limits != nil {
		settings.MaxBody = s.Limits.Body
	}
	gate, err := admission.New(settings)
	if err != nil {
		return err
	}
	s.gate = gate
	if s.Anonymous == anonymousLoopback && slices.ContainsFunc(trails, func(t trail) bool { return !t.loopback() }) {
		s.exposed = true
		s.log.Error("anonymous is for loopback listeners: requests from elsewhere are refused; write \"bind 127.0.0.1 ::1\" in the site, or \"anonymous public\" to serve everyone")
	}
	s.selfCheck()
	key := s.childKey()
	value, _, err := bridges.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &pooledBridge{bridge.New(sharings[s.Per]), s.settings.StopTimeout}, nil
	})
	if err != nil {
		return err
	}
	s.poolKey, s.bridge = key, value.(*pooledBridge).Bridge
	s.bridge.Prewarm(s.settings)
	return nil
}

// childKey names the resource and all that makes the child what it is. Whatever else a
// reload changes, sessions with the same key go on.
func (s *Stdio) childKey() string {
	parts, err := json.Marshal([]any{s.Resource, s.Command, s.Env, s.PassEnv, s.Dir, s.Per, s.tellsIn("env"), s.Anonymous != ""})
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	sum := sha256.Sum256(parts)
	return hex.EncodeToString(sum[:])
}

func (s *Stdio) guard() *redactor { return s.redactor }

// knows says whether this handler has the session that a call names, and it is the caller's.
func (s *Stdio) knows(call *admission.Call) bool {
	return s.bridge != nil && s.bridge.Knows(call.SessionID, call.Principal)
}

func (s *Stdio) stopping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bridge != nil {
		s.bridge.Shutdown()
	}
}

// Cleanup gives the bridge back, if it was taken: Cleanup also runs after a failed
// Provision.
func (s *Stdio) Cleanup() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poolKey == "" {
		return nil
	}
	if s.forget != nil {
		s.forget()
	}
	_, err := bridges.Delete(s.poolKey)
	s.poolKey = ""
	return err
}

// ServeHTTP carries what mcp_oauth has admitted.
func (s *Stdio) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	s.redactor.unguarded(r, s.logger)
	if err := s.keeper.wait(r.Context()); err != nil {
		unready().Write(w, nil)
		return nil
	}
	var call *admission.Call
	passage := admitted(r)
	if passage != nil {
		call = passage.call
	}
	switch {
	case call == nil && s.Anonymous != "":
		call = s.admitAnonymous(w, r)
		if call == nil {
			return nil
		}
	case call == nil:
		s.log.Error("a request came that no mcp_oauth has let through: put mcp_oauth before mcp_stdio in every route that leads here")
		answer.New(http.StatusForbidden, protocol.CodeInvalidRequest, "Forbidden").Write(w, nil)
		return nil
	case call.Resource != s.Resource || call.Principal == nil:
		s.log.Error("a request came that mcp_oauth has let through for another resource", "its", call.Resource)
		answer.New(http.StatusForbidden, protocol.CodeInvalidRequest, "Forbidden").Write(w, nil)
		return nil
	}
	if passage != nil {
		passage.carry()
	}
	s.bridge.ServeCall(w, r, call, s.settings)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Stdio)(nil)
	_ caddy.CleanerUpper          = (*Stdio)(nil)
	_ caddyhttp.MiddlewareHandler = (*Stdio)(nil)
	_ starter                     = (*Stdio)(nil)
)
