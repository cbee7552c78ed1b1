package integration_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ready is the line of JSON that the quickstart prints.
type ready struct {
	URL      string            `json:"url"`
	Issuer   string            `json:"issuer"`
	CAFile   string            `json:"ca_file"`
	Resource string            `json:"resource"`
	Tokens   map[string]string `json:"tokens"`
}

// TestQuickstart does what a newcomer does: starts it, connects a client that logs in by
// the browser, in either era, and ends it by Ctrl-C.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the gateway runs on Unix systems only")
	}
	data := t.TempDir()
	home := t.TempDir()
	cmd, lines, r := startQuickstart(t, buildPlain(t, "./quickstart"), home, data)
	g := trusting(t, r)
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			session := g.connect(t, &mcp.StreamableClientTransport{Endpoint: r.URL, HTTPClient: g.client, OAuthHandler: login(t, "alice", g.client)}, version, nil)
			if got := session.InitializeResult().ProtocolVersion; got != negotiated[version] {
				t.Errorf("version %s", got)
			}
			saveAndResume(t, session, "snapshot of "+era)
		})
	}
	t.Run("printed tokens", func(t *testing.T) {
		if got := use(t, g.dial(t, r.Tokens["bob"], "", nil), "list_snapshots", nil); got != "No snapshots found." {
			t.Errorf("bob reads %s", got)
		}
		if got := use(t, g.dial(t, r.Tokens["alice"], "", nil), "list_snapshots", nil); !strings.Contains(got, "snapshot of ") {
			t.Errorf("alice reads %s", got)
		}
	})
	g.client.CloseIdleConnections()
	endByCtrlC(t, cmd, lines, r, data)
	seeItKeptToItsFolder(t, home, data)
}

// goSetting is a setting of the go command that would follow from the home folder.
func goSetting(t *testing.T, name string) string {
	t.Helper()
	value, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return name + "=" + strings.TrimSpace(string(value))
}

// seeItKeptToItsFolder holds that nothing is left outside of it, and that the gateway warns of
// nothing in a configuration of ours.
func seeItKeptToItsFolder(t *testing.T, home, data string) {
	t.Helper()
	err := filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		// The go command counts what it does below its own folder.
		if err == nil && !entry.IsDir() && !strings.Contains(path, filepath.Join("go", "telemetry")) {
			t.Errorf("it left %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(filepath.Join(data, "caddy.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), `"msg":"protecting"`) {
		t.Errorf("the log does not say what is protected:\n%s", log)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"level":"warn"`) && strings.Contains(line, `"logger":"http.handlers.mcp_`) {
			t.Errorf("it warns: %s", line)
		}
	}
}

// startQuickstart returns when it is ready, with what else it will print.
func startQuickstart(t *testing.T, binary, home, data string) (*exec.Cmd, *bufio.Reader, ready) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		cmd := exec.Command(binary, "-json", "-port", "0", "-auth-port", "0", "-data", data)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=", goSetting(t, "GOCACHE"), goSetting(t, "GOMODCACHE"))
		endWithTests(cmd)
		progress := newLogbook()
		cmd.Stderr = progress
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewReader(stdout)
		line, err := lines.ReadString('\n')
		started.Stop()
		if err != nil {
			_ = cmd.Wait() // what it said tells why it ended
			if said := progress.text(); attempt == 3 || !strings.Contains(said, "in use") {
				t.Fatalf("it is not ready: %v\n%s", err, said)
			}
			continue // somebody else has taken a port since it was found to be free
		}
		var r ready
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Resource != r.URL || r.Tokens["alice"] == "" || r.Tokens["bob"] == "" {
			t.Fatalf("%v in %s", err, line)
		}
		for line := range strings.Lines(progress.text()) {
			if strings.HasPrefix(line, "{") {
				t.Errorf("it says to people %s", line)
			}
		}
		return cmd, lines, r
	}
}

func saveAndResume(t *testing.T, session *mcp.ClientSession, name string) {
	t.Helper()
	if got := use(t, session, "save_snapshot", object{"summary": name, "context": "c", "name": name}); !strings.Contains(got, name) {
		t.Errorf("saved %s", got)
	}
	if got := use(t, session, "load_snapshot", object{"name": name}); !strings.Contains(got, "Resuming: "+name) {
		t.Errorf("loaded %s", got)
	}
	if got := use(t, session, "list_snapshots", nil); !strings.Contains(got, name) {
		t.Errorf("listed %s", got)
	}
	saved := use(t, session, "save_snapshot", object{"summary": "to be deleted", "context": "c"})
	id := strings.TrimPrefix(saved, "Saved snapshot #")
	if got := use(t, session, "delete_snapshot", object{"id": json.Number(id)}); got != "Deleted snapshot #"+id {
		t.Errorf("%s, then %s", saved, got)
	}
}

// buildPlain compiles without the race detector: the command runs Caddy in its own
// process, whose start has races of its own.
func buildPlain(t *testing.T, from string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(from))
	if text, err := exec.Command("go", "build", "-o", binary, from).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", from, err, text)
	}
	return binary
}

// trusting is a client that knows the address and the certificate that were printed.
func trusting(t *testing.T, r ready) *gateway {
	t.Helper()
	pem, err := os.ReadFile(r.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", r.CAFile)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &gateway{url: r.URL, client: &http.Client{Transport: transport}}
}

// endByCtrlC holds that all of it ends: the process, its servers and their ports.
func endByCtrlC(t *testing.T, cmd *exec.Cmd, stdout io.Reader, r ready, data string) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	bound := time.AfterFunc(exitTime, func() { _ = cmd.Process.Kill() })
	defer bound.Stop()
	rest, err := io.ReadAll(stdout)
	if err != nil || len(rest) > 0 {
		t.Errorf("after the line it prints %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	for _, address := range []string{r.URL, r.Issuer} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", u.Host); !errors.Is(err, syscall.ECONNREFUSED) {
			if err == nil {
				conn.Close()
			}
			t.Errorf("something still listens at %s: %v", u.Host, err)
		}
	}
	executables, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, exe := range executables {
		if path, err := os.Readlink(exe); err == nil && strings.HasPrefix(path, data) {
			t.Errorf("%s is left: %s", path, exe)
		}
	}
}
