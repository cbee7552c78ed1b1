package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
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

// gateway is Caddy with the module, serving the echo server over HTTP and over TLS.
type gateway struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	auth   *devauth.Server
	folder string
	urls   map[string]string // by scheme
	tokens map[string]string
	roots  *x509.CertPool
}

func startGateway() (*gateway, error) {
	folder, err := os.MkdirTemp("", "snapgate-bench-")
	if err != nil {
		return nil, err
	}
	g := &gateway{folder: folder, urls: map[string]string{}, tokens: map[string]string{}}
	if err := g.start(); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

func (g *gateway) start() error {
	binary := filepath.Join(g.folder, "gateway")
	if text, err := exec.Command("go", "build", "-o", binary, "github.com/snapgate/snapgate/caddymodule/cmd/caddy").CombinedOutput(); err != nil {
		return fmt.Errorf("building caddy: %w\n%s", err, text)
	}
	for _, scheme := range []string{"http", "https"} {
		port, err := freePort()
		if err != nil {
			return err
		}
		g.urls[scheme] = fmt.Sprintf("%s://localhost:%d/mcp", scheme, port)
	}
	var err error
	g.auth, err = devauth.New(devauth.Config{Algorithm: "ES256", Resources: []string{g.urls["http"], g.urls["https"]}})
	if err != nil {
		return err
	}
	if err := g.auth.Start("127.0.0.1:0"); err != nil {
		return err
	}
	for scheme, url := range g.urls {
		if g.tokens[scheme], err = g.auth.Mint(devauth.MintOptions{Subject: "alice", Audience: []string{url}, ClientID: "bench", TTL: time.Hour}); err != nil {
			return err
		}
	}
	return g.serve(binary)
}

func (g *gateway) serve(binary string) error {
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

// caddyfile lets one user have as many sessions as there are, and writes audit records as
// an operator would.
func (g *gateway) caddyfile() string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\tadmin off\n\tpersist_config off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tlog {\n\t\toutput file %q\n\t}\n}\n", filepath.Join(g.folder, "caddy.log"))
	for _, scheme := range []string{"http", "https"} {
		fmt.Fprintf(&b, `%s {
	bind 127.0.0.1
	mcp /mcp {
		stdio %q {
			env %s 1
			max_processes 4096
		}
		oauth %s
		limits {
			sessions 1000
			concurrent 1000
		}
	}
}
`, strings.TrimSuffix(g.urls[scheme], "/mcp"), os.Args[0], childVar, g.auth.Issuer())
	}
	return b.String()
}

// await asks for the metadata until it is there.
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
	for scheme := range g.urls {
		c := g.client(scheme, http.Header{})
		_, response, err := c.post([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		c.close()
		if err != nil && response == nil {
			return err
		}
	}
	return nil
}

func (g *gateway) client(scheme string, header http.Header) *client {
	header.Set("Authorization", "Bearer "+g.tokens[scheme])
	return newClient(g.urls[scheme], g.roots, header)
}

// legacy begins a session, with a process of its own.
func (g *gateway) legacy(scheme string) way {
	return way{"legacy, " + scheme, func() (func(int, string) (string, error), func(), error) {
		c := g.client(scheme, http.Header{})
		_, response, err := c.post([]byte(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`))
		if err != nil {
			return nil, nil, err
		}
		c.header.Set("Mcp-Session-Id", response.Header.Get("Mcp-Session-Id"))
		c.header.Set("Mcp-Protocol-Version", "2025-11-25")
		if _, _, err := c.post([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)); err != nil {
			return nil, nil, err
		}
		return c.echo(""), c.end, nil
	}}
}

// modern has no session: all calls go to the one process of the user.
func (g *gateway) modern(scheme string) way {
	return way{"modern, " + scheme, func() (func(int, string) (string, error), func(), error) {
		c := g.client(scheme, http.Header{
			"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"echo"},
		})
		return c.echo(`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`), c.close, nil
	}}
}

func (g *gateway) stop() {
	if g.ended != nil {
		_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-g.ended
	}
	if g.auth != nil {
		_ = g.auth.Close()
	}
	_ = os.RemoveAll(g.folder)
}

// resident is the gateway's own memory; "?" where the system does not tell.
func (g *gateway) resident() string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}

// processes are the gateway's children.
func (g *gateway) processes() int {
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", g.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	n := 0
	for _, file := range children {
		if list, err := os.ReadFile(file); err == nil {
			n += len(strings.Fields(string(list)))
		}
	}
	return n
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// client is one connection's worth of HTTP.
type client struct {
	url    string
	header http.Header
	http   *http.Client
}

func newClient(url string, roots *x509.CertPool, header http.Header) *client {
	header.Set("Content-Type", "application/json")
	header.Set("Accept", "application/json, text/event-stream")
	return &client{url, header, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, TLSClientConfig: &tls.Config{RootCAs: roots}}}}
}

// post returns the body of an answer. After an error response may be set.
func (c *client) post(body []byte) ([]byte, *http.Response, error) {
	r, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header = c.header
	response, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", response.Status, raw)
	}
	return raw, response, err
}

func (c *client) echo(meta string) func(int, string) (string, error) {
	return func(id int, text string) (string, error) {
		raw, _, err := c.post(toolCall(id, text, meta))
		if err != nil {
			return "", err
		}
		return echoed(raw, id)
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// end ends the session.
func (c *client) end() {
	defer c.close()
	r, err := http.NewRequest(http.MethodDelete, c.url, nil)
	if err != nil {
		return
	}
	r.Header = c.header
	if response, err := c.http.Do(r); err == nil {
		response.Body.Close()
	}
}
