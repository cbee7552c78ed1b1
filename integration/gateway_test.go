package integration_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/snapgate/snapgate/integration/devauth"
)

// patience is how long a test waits for what must happen. Nothing that works comes near
// it, even on a machine that is busy with something else.
const patience = time.Minute

// gateway is Caddy with the module in it, as a process.
type gateway struct {
	url    string
	host   string // host and port
	folder string
	logs   *logbook
	roots  *x509.CertPool
	client *http.Client

	sockets     string // folder of the admin socket
	port, spare int
	mark        string // in the environment of each process that the gateway starts
	cmd         *exec.Cmd
	exited      chan struct{}
}

// start runs a gateway until the end of the test, which then holds that it ended in time,
// that nothing of it is left, and that it met no race and no panic.
func start(t testing.TB, s site) *gateway {
	t.Helper()
	g := &gateway{folder: t.TempDir(), mark: rand.Text(), logs: newLogbook()}
	if err := os.Mkdir(g.tempFolder(), 0o700); err != nil {
		t.Fatal(err)
	}
	// The path of a socket may have some hundred bytes only, which a test's name may fill.
	var err error
	if g.sockets, err = os.MkdirTemp("", "sg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(g.sockets) })
	for attempt := 1; ; attempt++ {
		g.port, g.spare = freePorts(t)
		g.host = fmt.Sprintf("localhost:%d", g.port)
		g.url = s.scheme() + "://" + g.host + s.endpoint()
		err := g.run(t, s)
		if err == nil && !s.plain {
			if err = g.trust(t); err != nil {
				g.end()
			}
		}
		if err == nil {
			break
		}
		// Somebody else may have taken the port since it was found to be free, at another address
		// of this machine, too: then connections to it end elsewhere.
		if attempt == 3 || !errors.Is(err, errElsewhere) && !strings.Contains(g.logs.text(), "address already in use") {
			t.Fatalf("start: %v\n%s", err, g.logs.text())
		}
	}
	t.Cleanup(func() { g.stop(t) })
	if err := issuer.AllowResource(g.url); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64}
	if !s.plain {
		transport.TLSClientConfig = &tls.Config{RootCAs: g.roots}
	}
	t.Cleanup(transport.CloseIdleConnections)
	g.client = &http.Client{Transport: transport}
	return g
}

func (g *gateway) adminSocket() string { return filepath.Join(g.sockets, "admin") }
func (g *gateway) tempFolder() string  { return filepath.Join(g.folder, "tmp") }
func (g *gateway) rootFile() string {
	return filepath.Join(g.folder, "home", "data", "caddy", "pki", "authorities", "local", "root.crt")
}
func (g *gateway) configFile() string { return filepath.Join(g.folder, "Caddyfile") }

// run starts the process and waits until its configuration is loaded: caddy run then
// sends what it reads on standard input to the address that it is told.
func (g *gateway) run(t testing.TB, s site) error {
	t.Helper()
	ready, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	if err := os.WriteFile(g.configFile(), []byte(s.caddyfile(g)), 0o600); err != nil {
		t.Fatal(err)
	}
	g.cmd = exec.Command(caddyBinary, "run", "--config", g.configFile(), "--adapter", "caddyfile", "--pingback", ready.Addr().String())
	g.cmd.Env = g.environment()
	g.cmd.Dir = g.folder
	g.cmd.Stdin = strings.NewReader("ready")
	g.cmd.Stdout, g.cmd.Stderr = g.logs, g.logs
	endWithTests(g.cmd)
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.exited = make(chan struct{})
	go func() {
		defer close(g.exited)
		_ = g.cmd.Wait() // the state says how it ended
	}()
	loaded := make(chan struct{})
	go func() {
		if conn, err := ready.Accept(); err == nil {
			conn.Close()
			close(loaded)
		}
	}()
	select {
	case <-loaded:
		return nil
	case <-g.exited:
		return fmt.Errorf("caddy ended: %v", g.cmd.ProcessState)
	case <-time.After(patience):
		g.end()
		return fmt.Errorf("caddy was not ready in time")
	}
}

// environment keeps Caddy away from the files of whoever runs the tests.
func (g *gateway) environment() []string {
	home := filepath.Join(g.folder, "home")
	return []string{
		"HOME=" + home, "XDG_DATA_HOME=" + filepath.Join(home, "data"), "XDG_CONFIG_HOME=" + filepath.Join(home, "config"),
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + g.tempFolder(),
		"GORACE=halt_on_error=0 exitcode=0 " + promptExit, // [faults] tells our races from those of Caddy
	}
}

// errElsewhere says that what answers at the port is not known to be the gateway.
var errElsewhere = errors.New("no certificate of the gateway's at its port")

// trust reads the gateway's own certificate authority, and waits for the certificate,
// which is made after the start.
func (g *gateway) trust(t testing.TB) error {
	t.Helper()
	pem, err := os.ReadFile(g.rootFile())
	if err != nil {
		t.Fatal(err)
	}
	g.roots = x509.NewCertPool()
	if !g.roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate of the local authority")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: g.roots}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := dialer.DialContext(ctx, "tcp", g.host)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", errElsewhere, err)
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// end ends a process of which nothing came.
func (g *gateway) end() {
	_ = g.cmd.Process.Kill() // it may have ended
	<-g.exited
}

// await polls where there is no event to wait for.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(3 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// exitTime is how long Caddy may take to end: three steps of the stop ladder, fifteen seconds
// where nothing else is configured, and far more for a machine that is busy.
const exitTime = 15*time.Second + patience

// stop ends the process as a service manager would.
func (g *gateway) stop(t testing.TB) {
	t.Helper()
	g.signal(t, syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(exitTime):
		t.Errorf("caddy did not end within %v", exitTime)
		g.end()
	}
	await(t, "the end of all processes", func() bool { return len(g.processes(t)) == 0 })
	if g.cmd.ProcessState.Exited() { // and was not killed
		if left, err := os.ReadDir(g.tempFolder()); err != nil || len(left) != 0 {
			t.Errorf("temporary folders are left: %v %v", left, err)
		}
	}
	log := g.logs.text()
	for _, fault := range faults(log) {
		t.Errorf("in the log:\n%s", fault)
	}
	if t.Failed() && testing.Verbose() {
		t.Logf("log of the gateway:\n%s", log)
	}
}

func (g *gateway) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	select {
	case <-g.exited:
		return
	default:
	}
	if err := g.cmd.Process.Signal(signal); err != nil && !strings.Contains(err.Error(), "finished") {
		t.Errorf("%v: %v", signal, err)
	}
}

// load sends a Caddyfile to the admin endpoint, returns its answer, and waits until one
// configuration alone listens: Caddy answers before the old one has closed its sockets, and
// what connects to those meanwhile is served by the old one, or reset.
func (g *gateway) load(t testing.TB, caddyfile string) (int, string) {
	t.Helper()
	return g.loadAs(t, "text/caddyfile", caddyfile)
}

func (g *gateway) loadAs(t testing.TB, contentType, config string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/load", strings.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Cache-Control", "must-revalidate") // load it even if nothing has changed
	status, body := g.askAdmin(t, request)
	await(t, "the old configuration to listen no more", func() bool { return g.listeners(t) <= 1 })
	return status, string(bytes.TrimSpace(body))
}

// askAdmin sends a request to Caddy's admin endpoint.
func (g *gateway) askAdmin(t testing.TB, request *http.Request) (int, []byte) {
	t.Helper()
	admin := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.adminSocket())
	}}
	response, err := admin.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// reload replaces the configuration, and holds that Caddy took it.
func (g *gateway) reload(t testing.TB, s site) {
	t.Helper()
	if status, text := g.load(t, s.caddyfile(g)); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, text)
	}
}

// token is a good one for a user, with all scopes if none are named.
func (g *gateway) token(t testing.TB, subject string, scopes ...string) string {
	t.Helper()
	return g.mint(t, devauth.MintOptions{Subject: subject, Scopes: scopes})
}

func (g *gateway) mint(t testing.TB, options devauth.MintOptions) string {
	t.Helper()
	if options.Audience == nil {
		options.Audience = []string{g.url}
	}
	token, err := issuer.Mint(options)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// mintFor is a good token that ends soon.
func (g *gateway) mintFor(t testing.TB, subject string, life time.Duration) string {
	t.Helper()
	return g.mint(t, devauth.MintOptions{Subject: subject, TTL: life})
}
