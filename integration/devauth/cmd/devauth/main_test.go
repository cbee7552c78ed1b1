package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/integration/devauth"
)

func TestRunServesUntilStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-algorithm", "ES256", "-resource", "https://localhost:8443/mcp", "-token", "bob"}, in, io.Discard)
		in.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	lines.Scan()
	issuer, ok := strings.CutPrefix(lines.Text(), "issuer ")
	if !ok {
		t.Fatalf("first line %q", lines.Text())
	}
	lines.Scan()
	if token, ok := strings.CutPrefix(lines.Text(), "token bob "); !ok || strings.Count(token, ".") != 2 {
		t.Fatalf("second line %q", lines.Text())
	}
	response, err := http.Get(issuer + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var document struct{ Issuer string }
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil || document.Issuer != issuer {
		t.Fatalf("issuer %q, %v", document.Issuer, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(issuer); err == nil {
		t.Fatal("still answers after it was stopped")
	}
}

func TestRunRefusesBadSettings(t *testing.T) {
	for name, arguments := range map[string][]string{
		"no resource":   {"-listen", "127.0.0.1:0"},
		"not a flag":    {"serve"},
		"bad algorithm": {"-resource", "https://localhost/mcp", "-algorithm", "HS256"},
		"bad resource":  {"-resource", "mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), arguments, io.Discard, io.Discard); err == nil {
				t.Fatal("started")
			}
		})
	}
	err := run(t.Context(), []string{"-resource", "https://localhost/mcp", "-listen", "0.0.0.0:0"}, io.Discard, io.Discard)
	if !errors.Is(err, devauth.ErrNotLoopback) {
		t.Fatalf("listening on all addresses: %v", err)
	}
}
