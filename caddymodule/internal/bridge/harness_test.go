package bridge

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/audit"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/process"
	"github.com/snapgate/snapgate/caddymodule/internal/timeout"
	"github.com/snapgate/snapgate/identity"
)

// patience is far longer than anything here takes, also on a machine that is very busy.
const patience = time.Minute

// gateway is a bridge behind a real HTTP server. The header X-User says who calls,
// X-Issuer and X-Claim who says so and by what, X-Expires for how much longer the token is
// good, X-Call-Timeout and X-Start-Timeout how long this call may take, and a start.
type gateway struct {
	t        testing.TB
	bridge   *Bridge
	url      string
	log      *journal
	settings *Settings
	client   *http.Client
}

// open starts a gateway; env is for its children, change for its settings.
func open(t testing.TB, change func(*Settings), env ...string) *gateway {
	t.Helper()
	return openPer(t, PerSession, change, env...)
}

func openPer(t testing.TB, per Per, change func(*Settings), env ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, bridge: New(per), log: newJournal()}
	// An answer that a busy machine holds up is no silence that a test is about.
	g.bridge.hush, g.bridge.silences = 2*patience, timeout.NewQueue(2*patience)
	env = g.log.traces(t, env)
	settings := Settings{
		Launch: func(p *oauth.Principal) (Launch, error) {
			return Launch{Digest: "d", Process: process.Config{
				Command: os.Args[0],
				Env:     append([]string{childVar + "=1", "GORACE=atexit_sleep_ms=0"}, env...),
			}}, nil
		},
		StampMeta: true, StopTimeout: time.Second, StartTimeout: 2 * patience,
		Audit: audit.New(zap.New(journalCore{zap.InfoLevel, g.log})), Logger: slog.New(g.log),
	}
	if change != nil {
		change(&settings)
	}
	g.settings = settings.Prepared()
	gate, err := admission.New(admission.Settings{Authenticate: authenticate})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, refusal := gate.Admit(w, r)
		if refusal != nil {
			call.Refuse(w, refusal)
			return
		}
		g.bridge.ServeCall(w, r, call, timed(r, g.settings))
	}))
	g.url, g.client = srv.URL, srv.Client()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		g.bridge.Close(ctx)
		srv.CloseClientConnections()
		srv.Close()
		if n := g.bridge.Processes(); n != 0 {
			t.Errorf("%d processes are left", n)
		}
		if n := g.bridge.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	return g
}

func authenticate(_ http.Header, r *http.Request) (*oauth.Principal, *answer.Refusal) {
	name := r.Header.Get("X-User")
	if name == "" {
		return nil, nil
	}
	life := time.Hour
	if text := r.Header.Get("X-Expires"); text != "" {
		life, _ = time.ParseDuration(text)
	}
	issuer := cmp.Or(r.Header.Get("X-Issuer"), "https://issuer.example")
	return &oauth.Principal{
		Issuer: issuer, Subject: name, SubjectClaim: r.Header.Get("X-Claim"), User: identity.UserKey(issuer, name),
		ClientID: "client", Scopes: []string{}, Expires: time.Now().Add(life),
	}, nil
}

// header is name, value, name, value.
func (g *gateway) send(ctx context.Context, method, body string, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, g.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-User", "alice")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return g.client.Do(r)
}

func (g *gateway) do(ctx context.Context, method, body string, header ...string) *reader {
	g.t.Helper()
	resp, err := g.send(ctx, method, body, header...)
	if err != nil {
		g.t.Fatal(err)
	}
	rd := &reader{t: g.t, Response: resp, lines: bufio.NewReader(resp.Body)}
	g.t.Cleanup(func() { resp.Body.Close() })
	return rd
}

// session begins a legacy session and returns the headers that its requests carry.
func (g *gateway) session(user string) []string {
	g.t.Helper()
	resp := g.do(context.Background(), http.MethodPost, initializeRequest, "X-User", user)
	if body := resp.body(); resp.StatusCode != http.StatusOK || resp.Header.Get("Mcp-Session-Id") == "" {
		g.t.Fatalf("initialize: %d %s", resp.StatusCode, body)
	}
	header := []string{"X-User", user, "Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25"}
	if status := g.notify(`notifications/initialized`, ``, header...); status != http.StatusAccepted {
		g.t.Fatalf("initialized: %d", status)
	}
	return header
}

const initializeRequest = `{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`

// post sends a legacy request and returns once the answer's header is there.
func (g *gateway) post(body string, header ...string) *reader {
	g.t.Helper()
	return g.do(context.Background(), http.MethodPost, body, header...)
}

func (g *gateway) get(ctx context.Context, header ...string) *reader {
	g.t.Helper()
	return g.do(ctx, http.MethodGet, "", header...)
}

func (g *gateway) notify(method, params string, header ...string) int {
	g.t.Helper()
	resp := g.post(`{"jsonrpc":"2.0","method":"`+method+`","params":{`+params+`}}`, header...)
	resp.body()
	return resp.StatusCode
}

// later posts without waiting.
func (g *gateway) later(ctx context.Context, body string, header ...string) <-chan *reader {
	out := make(chan *reader, 1)
	go func() {
		resp, err := g.send(ctx, http.MethodPost, body, header...)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				g.t.Error(err)
			}
			close(out)
			return
		}
		out <- &reader{t: g.t, Response: resp, lines: bufio.NewReader(resp.Body)}
	}()
	return out
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// tool is a legacy tools/call; args go into its arguments.
func tool(id, name, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"_meta":{"progressToken":"tok"},"name":%q,"arguments":{%s}}}`, id, name, args)
}

func saying(lines ...string) string {
	text, err := json.Marshal(lines)
	if err != nil {
		panic(err)
	}
	return `"say":` + string(text)
}

const (
	answered = `{"jsonrpc":"2.0","id":$id,"result":{"done":true}}`
	progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":%d}}`
)

// modern is a request of 2026-07-28 with the headers that go with it.
func modern(id, method, params string, header ...string) (string, []string) {
	if params != "" {
		params = "," + params
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"tok"}%s}}`, id, method, params)
	all := append([]string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method}, header...)
	if m, err := message.Parse([]byte(body), 0); err == nil && m.Name() != "" {
		all = append(all, "Mcp-Name", m.Name())
	}
	return body, all
}

func modernTool(id, name, args string, header ...string) (string, []string) {
	return modern(id, "tools/call", fmt.Sprintf(`"name":%q,"arguments":{%s}`, name, args), header...)
}

// trace makes children tell what they read, each line before they answer it.
const trace = "TEST_TRACE=1"

type principal = oauth.Principal

var aliceKey = userKey("alice")

func userKey(name string) string { return identity.UserKey("https://issuer.example", name) }

func (g *gateway) ownerKey(name string) string {
	return owner{issuer: "https://issuer.example", subject: name}.key()
}

// decode takes the list of lines out of the answer to "seen".
func decode(t testing.TB, result map[string]json.RawMessage, list *[]string) {
	t.Helper()
	if err := json.Unmarshal(result["seen"], list); err != nil {
		t.Fatal(err)
	}
}

// until waits for something that makes no event.
func (g *gateway) until(what string, so func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("never: %s", what)
		}
	}
}
