// Package integration_test holds the black-box tests: they build the real binaries, run
// Caddy as a process of its own with a generated configuration, and look at it from
// outside only, by its TLS port, its logs, its files and /proc.
package integration_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

// The binaries under test, built once, with the race detector if the tests have it.
var (
	caddyBinary     string
	snapshotdBinary string
	standinBinary   string
	raceFlags       []string
)

// promptExit, in GORACE, keeps the race detector from holding up the end of a process by its
// usual second.
const promptExit = "atexit_sleep_ms=0"

// issuer is the authorization server of all tests. It knows each gateway's resource.
var issuer *devauth.Server

// atOnce is how many tests run at the same time where nobody says otherwise with
// -parallel. They wait for processes and timeouts more than they compute.
const atOnce = 6

func TestMain(m *testing.M) {
	if client := os.Getenv(earlyVar); client != "" {
		if err := runEarlyClient(client); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(prepareAndRun(m))
}

func prepareAndRun(m *testing.M) int {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // devauth's library logs there
	folder, err := os.MkdirTemp("", "snapgate-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	for binary, from := range map[*string]string{
		&caddyBinary:     "../caddymodule/cmd/caddy",
		&snapshotdBinary: "../snapshotd",
		&standinBinary:   "./internal/standin",
	} {
		*binary = filepath.Join(folder, filepath.Base(from))
		if runtime.GOOS == "windows" {
			*binary += ".exe"
		}
		build := exec.Command("go", append(append([]string{"build"}, raceFlags...), "-o", *binary, from)...)
		if text, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", from, err, text)
			return 1
		}
	}
	issuer, err = devauth.New(devauth.Config{Algorithm: "ES256", Scopes: []string{"tools:use", "tools:more"}})
	if err == nil {
		err = issuer.Start("127.0.0.1:0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := issuer.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// requireAll is the value of SNAPGATE_REQUIRE with which nothing may be skipped for
// want of a program.
const requireAll = "all"

// lacking skips a test that needs what this machine has not, and says how to run it.
// With SNAPGATE_REQUIRE=all it fails instead, so that a pipeline which is to run
// everything cannot go green by running less.
func lacking(t testing.TB, what, remedy string) {
	t.Helper()
	if os.Getenv("SNAPGATE_REQUIRE") == requireAll {
		t.Fatalf("SNAPGATE_REQUIRE=all, but %s; %s", what, remedy)
	}
	t.Skipf("skipped: %s; to run it: %s", what, remedy)
}
