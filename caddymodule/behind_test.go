package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// behind is a server behind a reverse_proxy. It answers with a session's id and tells which
// header fields it got.
type behind struct {
	name, host string

	mu   sync.Mutex
	came []http.Header
}

func serveBehind(t *testing.T, name string, answer http.HandlerFunc) *behind {
	t.Helper()
	b := &behind{name: name}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.came = append(b.came, r.Header.Clone())
		b.mu.Unlock()
		w.Header().Set("Mcp-Session-Id", "the-secret-answer")
		w.Header().Set("X-Name", name)
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b.host = server.Listener.Addr().String()
	return b
}

// switches takes a connection over, and says on it what it hears.
func switches(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, stream) // not to the stream, which would buffer it
	}
}

// took returns the header fields of all requests since it was called last.
func (b *behind) took() []http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	came := b.came
	b.came = nil
	return came
}

// truly says whether a request came with all that is secret in it, and none of the marks.
func truly(h http.Header) bool {
	return h.Get("Mcp-Session-Id") == "the-secret-session" && h.Get("Dpop") == "the-secret-proof" &&
		h.Get("X-Assertion") == "the-secret-assertion" && !strings.Contains(fmt.Sprint(h), redacted)
}

// besideEndpoint is a site with a protected endpoint whose other paths are those of the directives.
func besideEndpoint(directives string) string {
	return `http://mcp.example.com {
	mcp /mcp {
		stdio snapshotd
		oauth https://auth.example.com {
			resource https://mcp.example.com/mcp
			token_header x-assertion
		}
	}
` + directives + `
}
`
}

// ask sends a request with secrets of all kinds.
func ask(server http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	server.ServeHTTP(w, secretRequest("mcp.example.com", path))
	return w
}

// fetch asks for what is at an address, over a connection and under the name of the endpoint's
// site. The error is that of the answer's body.
func fetch(ctx context.Context, t *testing.T, address string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "mcp.example.com"
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

// holds fails if a log has a secret in it, or not an entry of the kind that might have had.
func holds(t *testing.T, log string, entries ...string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "the-secret") {
			t.Errorf("logged: %s", line)
		}
	}
	for _, entry := range entries {
		if !strings.Contains(log, `"msg":"`+entry) {
			t.Errorf("there is no entry %q:\n%s", entry, log)
		}
	}
}
