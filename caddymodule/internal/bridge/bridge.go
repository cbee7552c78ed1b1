// Package bridge carries admitted calls between Streamable HTTP and stdio servers.
//
// A legacy client (MCP 2025-11-25 and before) gets a session, and the session a
// child process of its own, nearly a pipe, or shares one with the other sessions of its
// user or of all users, as [Per] says. A modern client (2026-07-28) has no session; its
// calls go to a process that its user's key names, or to the one that all share, which is
// started for the first of them, whatever era the server is of.
//
//	POST ─▶ exchange ─▶ session or pool entry ─▶ backend.Conn ─▶ child
//	     ◀─ stream   ◀──────────── events ◀──────
//
// What the child says about a call goes to the call's own stream, and the HTTP
// handler that waits there writes it. No goroutine of a child ever waits for a
// client, and none of a client for another's child.
//
// A Bridge outlives the configuration that made it: calls bring their [Settings] along,
// so that after a reload the same Bridge serves by new ones, and its sessions go on.
package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/limit"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
	"github.com/snapgate/snapgate/caddymodule/internal/seal"
	"github.com/snapgate/snapgate/caddymodule/internal/timeout"
)

// Defaults of [Settings].
const (
	DefaultMaxProcesses  = 256
	DefaultIdleTimeout   = 10 * time.Minute
	DefaultStartTimeout  = 30 * time.Second
	DefaultStopTimeout   = process.DefaultStopTimeout
	DefaultCallTimeout   = 10 * time.Minute
	DefaultMaxConcurrent = 32
	DefaultMaxSessions   = 16
	DefaultQueueTimeout  = 10 * time.Second
	DefaultParkTimeout   = 5 * time.Minute
)

const (
	silence   = 5 * time.Second  // before an answer becomes an event stream
	keepalive = 15 * time.Second // between comments on an event stream
	writeTime = 30 * time.Second // for one write to a client
	lifespan  = 4 * time.Minute  // before an event stream ends to be resumed
	settling  = time.Minute      // until a cancelled call is taken to have ended
)

// Per says who shares a process.
type Per int

// The values of [Per]. Modern clients have no session: what is PerSession for others is
// PerUser for them.
const (
	PerSession Per = iota // each legacy session has its own
	PerUser               // all sessions and calls of one principal share
	PerShared             // all principals share: for servers that keep them apart by identity
)

// Launch is how to start a process for a principal.
type Launch struct {
	Process process.Config
	// Digest is equal for principals whose launches are: a session whose launch
	// changes has ended.
	Digest string
}

// Settings are what a reload may change while sessions go on.
type Settings struct {
	// Launch says how to start a process for a principal, nil for an anonymous
	// one. The error is for the operator's log.
	Launch func(p *oauth.Principal) (Launch, error)

	MaxProcesses  int           // at once, of this bridge; default 256
	Prewarm       int           // processes kept ready for the next comer; default none
	IdleTimeout   time.Duration // until an unused process ends; default 10 m
	StartTimeout  time.Duration // for the first answer of a process, or to a ping; default 30 s
	StopTimeout   time.Duration // for each step of ending one; default 5 s
	CallTimeout   time.Duration // for one call; default 10 m
	QueueTimeout  time.Duration // to wait for a process while all are taken; default 10 s
	ParkTimeout   time.Duration // to wait for the client's input in mid-call; default 5 m
	MaxConcurrent int           // calls in flight of one user; default 32
	MaxSessions   int           // of one user; default 16

	StampMeta   bool     // identity into _meta
	StampClaims []string // further claims in it

	Audit  *audit.Log
	Logger *slog.Logger

	memo *memo
}

// Prepared returns the settings with defaults filled in, for [Bridge.ServeCall].
func (s Settings) Prepared() *Settings {
	s.MaxProcesses = orDefault(s.MaxProcesses, DefaultMaxProcesses)
	s.IdleTimeout = orDefault(s.IdleTimeout, DefaultIdleTimeout)
	s.StartTimeout = orDefault(s.StartTimeout, DefaultStartTimeout)
	s.StopTimeout = orDefault(s.StopTimeout, DefaultStopTimeout)
	s.CallTimeout = orDefault(s.CallTimeout, DefaultCallTimeout)
	s.QueueTimeout = orDefault(s.QueueTimeout, DefaultQueueTimeout)
	s.ParkTimeout = orDefault(s.ParkTimeout, DefaultParkTimeout)
	s.MaxConcurrent = orDefault(s.MaxConcurrent, DefaultMaxConcurrent)
	s.MaxSessions = orDefault(s.MaxSessions, DefaultMaxSessions)
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.memo = &memo{of: map[*oauth.Principal]*made{}}
	return &s
}

func orDefault[T int | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

// Bridge carries calls to processes that it owns. See the package documentation.
type Bridge struct {
	per        Per
	settings   atomic.Pointer[Settings]
	concurrent limit.Gauge // calls, by user
	perUser    limit.Gauge // processes, by user
	breaker    breaker     // of starts, by kind
	seats      limit.Gauge // sessions that share a process, by user

	lifespan time.Duration // of one event stream that a client resumes
	settling time.Duration // of calls that were cancelled
	hush     time.Duration // of a call that waits to be sent
	silences *timeout.Queue
	writes   *timeout.Queue // of answers

	stopping chan struct{} // closed when the gateway goes down
	stopOnce sync.Once

	// sealer makes each requestState, and states knows those that stand for a server's.
	sealer *seal.Sealer
	states states

	recognition atomic.Pointer[recognition] // nil until it is known

	mu         sync.Mutex
	closed     bool
	sessions   map[string]*session
	pool       map[kind][]*pooled
	spares     spares
	parked     map[string]*relay // by the id in their requestState
	freed      chan struct{}     // closed, and made anew, when a process is free again
	headers    map[kind]*sharedTable
	processes  int
	generation int            // of the process that was started last
	running    sync.WaitGroup // processes
	// legacyServer says that the server behind speaks legacy versions only, so that a
	// process for modern clients need not be probed.
	legacyServer bool
	modernServer bool // a process of it was found modern
	initialized  bool // a process of it has taken initialize, and none refused one since
	initializes  bool // a process of it has ever taken initialize
	modernOnly   bool // one that refused it was found modern
	asks         bool // a process of it has asked the client of a call something
}

// New makes a bridge. Nothing is started before the first call.
func New(per Per) *Bridge {
	sealer, err := seal.New()
	if err != nil {
		panic("bridge: " + err.Error()) // the system has no random numbers
	}
	b := &Bridge{
		per:      per,
		lifespan: lifespan,
		settling: settling,
		hush:     silence,
		silences: timeout.NewQueue(silence),
		writes:   timeout.NewQueue(writeTime),
		stopping: make(chan struct{}),
		sealer:   sealer,
		sessions: map[string]*session{},
		pool:     map[kind][]*pooled{},
		parked:   map[string]*relay{},
		freed:    make(chan struct{}),
		headers:  map[kind]*sharedTable{},
	}
	b.settings.Store(Settings{}.Prepared())
	return b
}

// Shutdown ends open streams at once, lets calls in flight finish within the stop
// timeout, and refuses new ones. It returns at once.
func (b *Bridge) Shutdown() {
	b.stopOnce.Do(func() { close(b.stopping) })
}

// Close ends all sessions and processes, and waits until nothing is left of them or
// the context ends.
func (b *Bridge) Close(ctx context.Context) {
	b.Shutdown()
	b.mu.Lock()
	b.closed = true
	b.dismissAll()
	sessions, pool := b.sessions, b.pool
	b.sessions, b.pool = map[string]*session{}, map[kind][]*pooled{}
	b.mu.Unlock()
	for _, s := range sessions {
		s.end("the gateway closes")
	}
	for _, members := range pool {
		for _, p := range members {
			p.end("the gateway closes")
		}
	}
	b.expireAll()
	gone := make(chan struct{})
	go func() {
		b.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// ServeCall answers an admitted request by these settings, which also become those of
// what belongs to no request, such as idle timeouts.
func (b *Bridge) ServeCall(w http.ResponseWriter, r *http.Request, call *admission.Call, settings *Settings) {
	if b.settings.Load() != settings {
		b.settings.Store(settings)
	}
	select {
	case <-b.stopping:
		call.Refuse(w, closing())
		return
	default:
	}
	if b.barred(ownerOf(call.Principal)) {
		call.Refuse(w, servedNoMore())
		return
	}
	if call.Era == protocol.Modern {
		b.serveModern(w, r, call, settings)
	} else {
		b.serveLegacy(w, r, call, settings)
	}
	if call.Afterwards == nil {
		return
	}
	if r.ProtoMajor == 1 { // later versions would write the answer's end separately
		_ = b.writes.Write(w, http.NewResponseController(w).Flush) // a client that has gone is told nothing
	}
	call.Afterwards()
}

// user is the key that limits are counted by. All anonymous callers are one.
func user(p *oauth.Principal) string {
	if p == nil {
		return ""
	}
	return p.User
}
