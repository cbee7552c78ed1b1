package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// App is loaded by the handlers of this module and has no configuration of its own. It
// does what needs the whole configuration: it looks at the routes that lead to each
// handler, for the default resource and to say what cannot be reached, and it ends open
// streams when Caddy exits.
type App struct {
	ctx    caddy.Context
	logger *slog.Logger

	mu       sync.Mutex
	handlers []starter
	checked  map[*caddyhttp.Server]bool // for two handlers at one address; see [addresses]
}

// starter is a handler that has to know how it is reached before it can serve.
type starter interface {
	caddyhttp.MiddlewareHandler
	// start prepares the handler to serve. It is called once. carriers are the mcp_stdio
	// handlers by resource: they enter themselves.
	start(paths []trail, carriers map[string][]*Stdio)
	// guard keeps the secrets of the handler's requests out of logs; nil outside of Caddy's http app.
	guard() *redactor
	// stopping is called when the process exits.
	stopping()
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mcp", New: func() caddy.Module { return new(App) }}
}

// Provision registers the metrics and subscribes to two events: "started", which no
// failure of another app can follow, and "stopping", since Caddy waits for open requests
// before it cancels the contexts of modules, so that streams which never end by themselves
// must be told before.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Slogger()
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	events, ok := app.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("the events app is a %T", app)
	}
	if err := events.On("started", a); err != nil {
		return err
	}
	return events.On("stopping", a)
}

// Handle takes the "started" event of this configuration, and the "stopping" event: of
// this configuration, or of the process.
func (a *App) Handle(_ context.Context, event caddy.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if event.Name() == "started" {
		recognize(a.handlers)
		return nil
	}
	if !caddy.Exiting() {
		return nil
	}
	exit()
	for _, h := range a.handlers {
		h.stopping()
	}
	return nil
}

// Start prepares the handlers. Servers may already be accepting requests: handlers let
// them wait for this moment.
func (a *App) Start() error {
	app, err := a.ctx.App("http")
	if err != nil {
		return err
	}
	httpApp, ok := app.(*caddyhttp.App)
	if !ok {
		return fmt.Errorf("the http app is a %T", app)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	all := place(httpApp, a.handlers)
	if err := checkTwice(all); err != nil {
		return err
	}
	confine(all)
	startAll(all)
	warnOfAdmin(a.logger)
	return nil
}

// placed is a handler with all ways that lead to it.
type placed struct {
	handler starter
	trails  []trail
}

func place(app *caddyhttp.App, handlers []starter) []placed {
	all := make([]placed, len(handlers))
	for i, h := range handlers {
		all[i] = placed{h, trailsTo(app, h)}
	}
	return all
}

// startAll starts the mcp_stdio handlers first: those of mcp_oauth let nothing in before they
// know whose sessions their clients may have.
func startAll(all []placed) {
	carriers := map[string][]*Stdio{}
	findWholeHosts(all)
	for _, first := range []bool{true, false} {
		for _, h := range all {
			if _, carries := h.handler.(*Stdio); carries == first {
				h.handler.start(h.trails, carriers)
			}
		}
	}
}

// Stop does nothing: what must end does so in the handlers' Cleanup.
func (a *App) Stop() error { return nil }

// register enters a handler in its Provision.
func register(ctx caddy.Context, h starter) error {
	a, err := appOf(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checkAddresses(ctx)
	a.handlers = append(a.handlers, h)
	return nil
}

// appOf is the App of a configuration.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App("mcp")
	if err != nil {
		return nil, err
	}
	a, ok := app.(*App)
	if !ok {
		return nil, fmt.Errorf("the mcp app is a %T", app)
	}
	return a, nil
}

// gatekeeper lets requests wait until a handler is started, and refuses them if it
// cannot serve.
type gatekeeper struct {
	ready chan struct{} // closed by open
	fault error         // valid once ready is closed
}

func newGatekeeper() *gatekeeper { return &gatekeeper{ready: make(chan struct{})} }

func (g *gatekeeper) open(fault error) {
	g.fault = fault
	close(g.ready)
}

// startWait bounds how long a request that came before the start waits for it.
const startWait = 10 * time.Second

func (g *gatekeeper) wait(ctx context.Context) error {
	select {
	case <-g.ready:
		return g.fault
	default:
	}
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case <-g.ready:
		return g.fault
	case <-timer.C:
		return fmt.Errorf("the configuration is not started")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Interface guards
var (
	_ caddy.App           = (*App)(nil)
	_ caddy.Provisioner   = (*App)(nil)
	_ caddyevents.Handler = (*App)(nil)
)
