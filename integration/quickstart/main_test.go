package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

func TestOptionsHaveUsefulDefaults(t *testing.T) {
	opts, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if opts.port != 8443 || opts.authPort != 9000 || opts.stdio != "" || opts.json {
		t.Errorf("defaults: %+v", opts)
	}
	if !filepath.IsAbs(opts.data) {
		t.Errorf("data folder %q is not absolute", opts.data)
	}
	if got := strings.Join(opts.origins, " "); got != "http://localhost:6274 http://127.0.0.1:6274" {
		t.Errorf("origins: %s", got)
	}
}

func TestOptionsRefuseWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"is not a port":                  {"-port", "70000"},
		"-auth-port -1":                  {"-auth-port", "-1"},
		"both 9000":                      {"-port", "9000"},
		"on one line":                    {"-stdio", "server\nmcp"},
		"unexpected argument \"server\"": {"server"},
		"not defined":                    {"-admin"},
		"names no folder":                {"-data", ""},
		"names no command":               {"-stdio", " "},
		"quotes are not closed":          {"-stdio", `npx "unterminated`},
		"\"no-such-server\" cannot be run: executable file not found":           {"-stdio", "no-such-server mcp"},
		"\"/no/such/server\" cannot be run: stat /no/such/server: no such file": {"-stdio", "/no/such/server"},
	} {
		if _, err := parseOptions(args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error = %v, want it to say %q", args, err, want)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var out bytes.Buffer
	if _, err := parseOptions([]string{"-help"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error = %v", err)
	}
	for _, name := range []string{"-port", "-auth-port", "-data", "-origins", "-stdio", "-json"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("help does not name %s:\n%s", name, out.String())
		}
	}
}

func TestADataFolderInUseIsSaidPlainly(t *testing.T) {
	data := t.TempDir()
	release, err := lock(data)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := lock(data); err == nil || !strings.Contains(err.Error(), "in use by another quickstart") || !strings.Contains(err.Error(), "-data") {
		t.Errorf("error = %v", err)
	}
}

func TestAPortInUseIsSaidPlainly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	opts := &options{port: l.Addr().(*net.TCPAddr).Port}
	err = opts.choosePorts()
	if err == nil || !strings.Contains(err.Error(), "is in use") || !strings.Contains(err.Error(), "-port") {
		t.Errorf("error = %v", err)
	}
}

func TestPortZeroPicksAFreeOne(t *testing.T) {
	opts := &options{}
	if err := opts.choosePorts(); err != nil {
		t.Fatal(err)
	}
	if opts.port == 0 || opts.authPort == 0 {
		t.Errorf("ports %d and %d", opts.port, opts.authPort)
	}
}

func TestCaddyfileIsValidForAnyServer(t *testing.T) {
	for _, stdio := range []string{"", `npx -y "some server" --flag`} {
		opts := &options{port: 8443, data: t.TempDir() + "/with a space", origins: []string{"http://localhost:6274"}, stdio: stdio}
		if stdio == "" {
			opts.stdio, opts.snapshotd = `"/path to/snapshotd" --auth trusted-meta`, true
		}
		g := newGateway(opts)
		g.issuer = "http://127.0.0.1:9000"
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(g.caddyfile()), nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, g.caddyfile())
		}
		config := &caddy.Config{}
		if err := json.Unmarshal(adapted, config); err != nil {
			t.Fatal(err)
		}
		if config.Admin == nil || !config.Admin.Disabled {
			t.Error("the admin endpoint is not off")
		}
		if got := strings.Contains(string(adapted), "snapshot:delete"); got != opts.snapshotd {
			t.Errorf("scopes of snapshotd in the configuration: %v", got)
		}
	}
}

func TestGuideNamesEverythingToPaste(t *testing.T) {
	r := readiness{URL: "https://localhost:8443/mcp", Issuer: "http://127.0.0.1:9000", CAFile: "/data/root.crt", Tokens: map[string]string{"alice": "TOKEN-A", "bob": "TOKEN-B"}}
	var out bytes.Buffer
	if err := r.writeGuide(&out, &options{data: "/data", snapshotd: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"claude mcp add --transport http snapgate https://localhost:8443/mcp", "code --add-mcp", "@modelcontextprotocol/inspector", "curl --cacert '/data/root.crt'", "TOKEN-A", "TOKEN-B", "http://127.0.0.1:9000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the guide does not hold %q", want)
		}
	}
}
