package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/snapgate/snapgate/caddymodule"
)

// gateway is Caddy in this process.
type gateway struct {
	opts   *options
	url    string
	issuer string
	caFile string
	log    string
}

func newGateway(opts *options) *gateway {
	return &gateway{
		opts:   opts,
		url:    fmt.Sprintf("https://localhost:%d/mcp", opts.port),
		caFile: filepath.Join(opts.data, "caddy", "pki", "authorities", "local", "root.crt"),
		log:    filepath.Join(opts.data, "caddy.log"),
	}
}

// caddyfile is the configuration, which is also left in the data folder to be read.
// Caddy's admin endpoint would be reachable from the server behind the gateway, so it is
// off.
func (g *gateway) caddyfile() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{
	admin off
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system %q
	log {
		output file %q
	}
}

https://localhost:%d {
	bind 127.0.0.1 ::1
	mcp /mcp {
		stdio %s {
			start_timeout 90s
		}
		oauth %s
`, filepath.Join(g.opts.data, "caddy"), g.log, g.opts.port, g.opts.stdio, g.issuer)
	if g.opts.snapshotd {
		// Without base scopes, clients are told all of these at the first login. The page
		// there leaves it to the person to tick snapshot:admin.
		b.WriteString(`		scopes {
			tool save_snapshot snapshot:write
			tool delete_snapshot snapshot:delete
			tool export_snapshots snapshot:export
			resource snapshot://export/* snapshot:export
			tool list_users snapshot:admin
			tool admin_* snapshot:admin
			tool * snapshot:read
		}
`)
	}
	if len(g.opts.origins) > 0 {
		fmt.Fprintf(&b, "\t\torigins %s\n", strings.Join(g.opts.origins, " "))
	}
	b.WriteString("\t}\n\trespond \"The MCP endpoint is /mcp\" 404\n}\n")
	return b.String()
}

// plainLog is loaded first: Caddy tells its log on standard error, a line of JSON, that all goes to
// another from then on. What is worse than that is still told there.
const plainLog = `{
	"admin": {"disabled": true, "config": {"persist": false}},
	"logging": {"logs": {"default": {"level": "WARN", "exclude": ["admin"]}}}
}`

// start runs Caddy and waits until a client could connect.
func (g *gateway) start() error {
	text := []byte(g.caddyfile())
	file := filepath.Join(g.opts.data, "Caddyfile")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("writing the Caddyfile: %w", err)
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": file})
	if err != nil {
		return fmt.Errorf("reading the Caddyfile %s: %w", file, err)
	}
	for _, warning := range warnings {
		fmt.Fprintln(os.Stderr, "quickstart:", warning.String())
	}
	// What Caddy keeps beside its storage, a number for this machine, it puts into its folder below
	// this one.
	if err := os.Setenv("XDG_DATA_HOME", g.opts.data); err != nil {
		return fmt.Errorf("keeping Caddy's data in the data folder: %w", err)
	}
	for _, config := range [][]byte{[]byte(plainLog), config} {
		if err := caddy.Load(config, true); err != nil {
			return fmt.Errorf("starting Caddy: %w", err)
		}
	}
	return g.await(30 * time.Second)
}

// await asks for the metadata, as a client does first, until it is there.
func (g *gateway) await(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	address := strings.TrimSuffix(g.url, "/mcp") + "/.well-known/oauth-protected-resource/mcp"
	var last error
	for {
		if last = g.probe(ctx, address); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not answer within %v (its log is %s): %w", timeout, g.log, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (g *gateway) probe(ctx context.Context, address string) error {
	pem, err := os.ReadFile(g.caFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("the CA file holds no certificate yet")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return nil
}
