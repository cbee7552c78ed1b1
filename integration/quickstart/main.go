// Command quickstart brings up all of Snapgate on this machine: Caddy with the module
// and TLS by Caddy's local CA, a development authorization server with the users alice
// and bob, and a stdio MCP server behind both, which is snapshotd unless another is named.
//
//	go run ./integration/quickstart
//
// It prints how to connect a real client, and runs until Ctrl-C. It is for trying and
// developing: the authorization server asks for no password.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/snapgate/snapgate/integration/devauth"
)

func main() {
	opts, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(2)
	}
	if err := run(opts, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
	// Caddy ends the process on Ctrl-C, once all that it runs has ended.
	select {}
}

// tokenTTL is how long the printed tokens are good. A client that logs in gets short ones
// and refreshes them.
const tokenTTL = 12 * time.Hour

// run starts everything and returns when it is ready.
func run(opts *options, stdout, progress io.Writer) error {
	if err := os.MkdirAll(opts.data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	release, err := lock(opts.data)
	if err != nil {
		return err
	}
	if opts.stdio == "" {
		fmt.Fprintln(progress, "Building snapshotd …")
		binary, err := buildSnapshotd(opts.data)
		if err != nil {
			return err
		}
		opts.stdio = fmt.Sprintf("%q --auth trusted-meta --data %q", binary, filepath.Join(opts.data, "snapshots"))
		opts.snapshotd = true
	}
	if err := opts.choosePorts(); err != nil {
		return err
	}
	gw := newGateway(opts)

	// The library behind the authorization server logs each route it registers.
	slog.SetLogLoggerLevel(slog.LevelWarn)
	auth, err := devauth.New(devauth.Config{Resources: []string{gw.url}, Algorithm: "ES256"})
	if err != nil {
		return err
	}
	if err := auth.Start(fmt.Sprintf("localhost:%d", opts.authPort)); err != nil {
		return fmt.Errorf("starting the authorization server: %w", err)
	}
	gw.issuer = auth.Issuer()

	// From here on Ctrl-C and SIGTERM end all of it in order: open streams, the server's
	// processes, then what is registered here.
	caddy.TrapSignals()
	caddy.OnExit(func(context.Context) {
		_ = auth.Close()
		release()
		fmt.Fprintln(progress, "Ended.")
	})

	fmt.Fprintln(progress, "Starting Caddy …")
	if err := gw.start(); err != nil {
		_ = auth.Close()
		return err
	}
	ready := readiness{URL: gw.url, Issuer: gw.issuer, CAFile: gw.caFile, Resource: gw.url, Tokens: map[string]string{}}
	for _, user := range []string{"alice", "bob"} {
		token, err := auth.Mint(devauth.MintOptions{Subject: user, Audience: []string{gw.url}, Scopes: auth.DefaultScopes(), ClientID: "quickstart", TTL: tokenTTL})
		if err != nil {
			return fmt.Errorf("minting a token for %s: %w", user, err)
		}
		ready.Tokens[user] = token
	}
	if opts.json {
		return ready.writeJSON(stdout)
	}
	return ready.writeGuide(stdout, opts)
}

// buildSnapshotd compiles the server of this repository.
func buildSnapshotd(data string) (string, error) {
	binary := filepath.Join(data, "bin", "snapshotd")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/snapgate/snapgate/snapshotd")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building snapshotd (run this in the repository, with go on the PATH): %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}
