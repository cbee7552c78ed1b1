package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// IssuerMetadataPath is where clients of MCP 2025-03-26 look for the metadata of the
// authorization server: at the root of the server that they want to use, since that
// version takes both to be one (section 2.3.1). Where a resource has an issuer of its own,
// they find it only if the resource's server has a copy there.
const IssuerMetadataPath = "/.well-known/oauth-authorization-server"

// documentTTL is how long a copy is served before it is fetched anew.
const documentTTL = 5 * time.Minute

// IssuerDocument serves a copy of an issuer's metadata, byte for byte, to anyone. It is
// fetched when it is first asked for, and again when the copy is older than five minutes;
// if the issuer is out of reach, the copy is good for an hour. Fetches are bounded and
// checked as those of the verifier are, shared by all who wait, and detached from them.
type IssuerDocument struct {
	issuer   string
	fetch    *fetcher
	now      func() time.Time
	log      *slog.Logger
	lifetime context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu       sync.Mutex
	copied   *document
	fetched  time.Time
	inflight *fetchRun // the fetch under way, if there is one
	lastErr  error     // of the last fetch
	nextTry  time.Time // after a failure
}

// NewIssuerDocument returns the document of the one issuer of a configuration. Of that it
// uses Logger, Transport and Now as well. Nothing is fetched.
func NewIssuerDocument(cfg Config) (*IssuerDocument, error) {
	if len(cfg.Issuers) != 1 {
		return nil, fmt.Errorf("issuer_metadata: there are %d issuers, and a client that looks at this address can be told of one only", len(cfg.Issuers))
	}
	cfg = cfg.withDefaults()
	if err := checkEndpoint(cfg.Issuers[0]); err != nil {
		return nil, fmt.Errorf("issuer %q: %w", cfg.Issuers[0], err)
	}
	d := &IssuerDocument{issuer: cfg.Issuers[0], fetch: newFetcher(cfg.Transport), now: cfg.Now, log: cfg.Logger}
	d.lifetime, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

// ServeHTTP answers with the copy, or with 503 and Retry-After.
func (d *IssuerDocument) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serveDocument(w, r, func() *document {
		copied, err := d.current(r.Context())
		if err != nil {
			w.Header().Set("Retry-After", "10")
			http.Error(w, "The authorization server is out of reach", http.StatusServiceUnavailable)
		}
		return copied
	})
}

// Close ends a fetch under way. A document that would have to be fetched is answered 503
// from then on.
func (d *IssuerDocument) Close() {
	d.mu.Lock()
	d.cancel()
	d.mu.Unlock()
	d.running.Wait()
	d.fetch.close()
}

// current returns the copy, if it is good, and else waits for one.
func (d *IssuerDocument) current(ctx context.Context) (*document, error) {
	d.mu.Lock()
	age := d.now().Sub(d.fetched)
	if d.copied != nil && age < documentTTL {
		defer d.mu.Unlock()
		return d.copied, nil
	}
	run, err := d.startLocked()
	stale := d.copied
	d.mu.Unlock()
	switch {
	case stale != nil && age < keepKeys:
		return stale, nil // the next one gets what is fetched now
	case err != nil:
		return nil, err
	}
	select {
	case <-run.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if run.err != nil {
		return nil, run.err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.copied, nil
}

// startLocked begins a fetch, or joins the one under way; d.mu is held. Soon after a
// failure the issuer is left alone.
func (d *IssuerDocument) startLocked() (*fetchRun, error) {
	switch {
	case d.lifetime.Err() != nil:
		return nil, errClosed
	case d.inflight != nil:
		return d.inflight, nil
	case d.lastErr != nil && d.now().Before(d.nextTry):
		return nil, fmt.Errorf("%w; it failed: %w", errTooSoon, d.lastErr)
	}
	run := &fetchRun{done: make(chan struct{})}
	d.inflight = run
	d.running.Go(func() {
		ctx, cancel := context.WithTimeout(d.lifetime, fetchTimeout)
		defer cancel()
		body, err := d.load(ctx)
		d.mu.Lock()
		defer d.mu.Unlock()
		if err == nil {
			d.copied, d.fetched = newDocument(body), d.now()
		} else {
			d.nextTry = d.now().Add(lookAgainInterval)
			if d.lifetime.Err() == nil {
				d.log.Warn("the issuer's metadata cannot be served at this address", "issuer", d.issuer, "error", err)
			}
		}
		d.inflight, d.lastErr, run.err = nil, err, err
		close(run.done)
	})
	return run, nil
}

// load returns the metadata from the first place that has it. It must be the issuer's own
// (RFC 8414 section 3.3).
func (d *IssuerDocument) load(ctx context.Context) ([]byte, error) {
	var failures []error
	for _, address := range metadataURLs(d.issuer) {
		body, err := d.fetch.get(ctx, address)
		if err == nil {
			var members map[string]any
			if members, err = decodeObject(body); err == nil && members["issuer"] == d.issuer {
				return body, nil
			}
			if err == nil {
				err = errors.New("names another issuer than is configured; they must be identical, a trailing slash included")
			}
			err = fmt.Errorf("%s: %w", address, err)
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("no metadata of issuer %s: %w", d.issuer, errors.Join(failures...))
}
