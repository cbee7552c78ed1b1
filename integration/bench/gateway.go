package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// endpoint is one server behind the gateway, at two sites of its own.
type endpoint struct {
	name    string
	command string
	lines   []string // of the stdio block
}

// echoes are the echo server behind each kind of process.
func echoes() []endpoint {
	var all []endpoint
	for _, per := range []string{"session", "user", "shared"} {
		all = append(all, endpoint{per, fmt.Sprintf("%q", os.Args[0]), []string{"env " + childVar + " 1", "per " + per}})
	}
	return all
}

// gateway is Caddy with the module, serving its endpoints over HTTP and over TLS.
type gateway struct {
	cmd       *exec.Cmd
	ended     chan struct{}
	auth      *devauth.Server
	folder    string
	endpoints []endpoint
	urls      map[site]string
	token     string
	roots     *x509.CertPool
	admin     *http.Client
}

// site is where an endpoint is.
type site struct{ scheme, endpoint string }

// startGateway starts one that nobody has used yet.
func startGateway(binary string, endpoints []endpoint) (*gateway, error) {
	folder, err := os.MkdirTemp("", "snapgate-bench-")
	if err != nil {
		return nil, err
	}
	g := &gateway{folder: folder, endpoints: endpoints, urls: map[site]string{}}
	g.admin = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", g.socket())
	}}}
	if err := g.start(binary); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

func (g *gateway) start(binary string) error {
	var resources []string
	for _, e := range g.endpoints {
		for _, scheme := range []string{"http", "https"} {
			port, err := freePort()
			if err != nil {
				return err
			}
			url := fmt.Sprintf("%s://localhost:%d/mcp", scheme, port)
			g.urls[site{scheme, e.name}] = url
			resources = append(resources, url)
		}
	}
	var err error
	if g.auth, err = devauth.New(devauth.Config{Algorithm: "ES256", Resources: resources}); err != nil {
		return err
	}
	if err := g.auth.Start("127.0.0.1:0"); err != nil {
		return err
	}
	if g.token, err = g.auth.Mint(devauth.MintOptions{Subject: "alice", Audience: resources, ClientID: "bench", TTL: 2 * time.Hour}); err != nil {
		return err
	}
	config := filepath.Join(g.folder, "Caddyfile")
	if err := os.WriteFile(config, []byte(g.caddyfile()), 0o600); err != nil {
		return err
	}
	g.cmd = exec.Command(binary, "run", "--config", config, "--adapter", "caddyfile")
	g.cmd.Dir = g.folder
	g.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+g.folder)
	if err := g.cmd.Start(); err != nil {
		return err
	}
	g.ended = make(chan struct{})
	go func() {
		_ = g.cmd.Wait() // how it ended stands in its log
		close(g.ended)
	}()
	return g.await(30 * time.Second)
}

func (g *gateway) socket() string { return filepath.Join(g.folder, "admin") }

// caddyfile lets one user have as many sessions as there are, and writes audit records as
// an operator would; what is full is not compressed, which would be measured with it. The
// identity is told in messages only, since a process that waits for a user has no other.
func (g *gateway) caddyfile() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{
	admin "unix/%s"
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	log {
		output file %q {
			roll_keep 1
			roll_uncompressed
		}
	}
}
`, g.socket(), filepath.Join(g.folder, "caddy.log"))
	for _, e := range g.endpoints {
		for _, scheme := range []string{"http", "https"} {
			fmt.Fprintf(&b, `%s {
	bind 127.0.0.1
	mcp /mcp {
		stdio %s {
			max_processes 4096
			%s
		}
		oauth %s
		identity meta
		limits {
			sessions 100000
			concurrent 1000
		}
	}
}
`, strings.TrimSuffix(g.urls[site{scheme, e.name}], "/mcp"), e.command, strings.Join(e.lines, "\n\t\t\t"), g.auth.Issuer())
		}
	}
	return b.String()
}

// await waits until all sites answer.
func (g *gateway) await(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		err := g.probe()
		if err == nil {
			return nil
		}
		select {
		case <-g.ended:
			log, _ := os.ReadFile(filepath.Join(g.folder, "caddy.log")) // without it there is still the error
			return fmt.Errorf("the gateway ended at once:\n%s", log)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the gateway does not answer: %w", err)
		}
	}
}

func (g *gateway) probe() error {
	pem, err := os.ReadFile(filepath.Join(g.folder, "caddy", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		return err
	}
	g.roots = x509.NewCertPool()
	g.roots.AppendCertsFromPEM(pem)
	for _, url := range g.urls {
		c, err := connect(url, g.roots)
		if err != nil {
			return err
		}
		defer c.close()
		// Without a token: 401 is an answer.
		if r, err := c.do(http.MethodPost, []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)); r.status != http.StatusUnauthorized {
			return fmt.Errorf("status %d: %w", r.status, err)
		}
	}
	return nil
}

func (g *gateway) bearer() string { return "Authorization: Bearer " + g.token }

// legacy begins sessions.
func (g *gateway) legacy(scheme, endpoint string) way {
	w := legacy("legacy, per "+endpoint+", "+scheme, g.urls[site{scheme, endpoint}], g.roots, g.bearer())
	w.gateway, w.pid = true, g.cmd.Process.Pid
	return w
}

// modern has no sessions: all calls go to the one process of the user, or of all.
func (g *gateway) modern(scheme, endpoint string) way {
	return way{name: "modern, per " + endpoint + ", " + scheme, gateway: true, pid: g.cmd.Process.Pid, open: func(dial dialer) (*session, error) {
		c, err := dial(g.urls[site{scheme, endpoint}], g.roots, g.bearer(), "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo")
		if err != nil {
			return nil, err
		}
		return &session{c.echo(`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`), c.close}, nil
	}}
}

func (g *gateway) stop() error {
	if g.ended != nil {
		_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-g.ended
	}
	if g.auth != nil {
		_ = g.auth.Close()
	}
	return os.RemoveAll(g.folder)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
