package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/integration/devauth"
)

func TestSessionOfAnotherUserIsAsUnknownAsNone(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	alice := g.legacy(t, g.token(t, "alice"))
	thief := alice.as(g.token(t, "bob"))
	nobody := *thief
	nobody.session = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	attempts := []struct{ name, method, body string }{
		{"call", http.MethodPost, thief.toolCall(1, "echo", object{"text": "x"})},
		{"notification", http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`},
		{"response", http.MethodPost, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"stream", http.MethodGet, ""},
		{"resumed stream", http.MethodGet, ""},
		{"end", http.MethodDelete, ""},
	}
	for _, c := range attempts {
		change := func(r *http.Request) {
			if c.name == "resumed stream" {
				r.Header.Set("Last-Event-ID", "s-0")
			}
		}
		stolen, unknown := thief.do(c.method, c.body, change), nobody.do(c.method, c.body, change)
		if stolen.status != http.StatusNotFound || stolen.code() != -32001 || string(stolen.reply(t).ID) != "null" {
			t.Errorf("%s with another user's token: %d %s", c.name, stolen.status, stolen.body)
		}
		if stolen.status != unknown.status || stolen.body != unknown.body {
			t.Errorf("%s: another user's session is answered %d %s, an unknown one %d %s", c.name, stolen.status, stolen.body, unknown.status, unknown.body)
		}
	}
	if got := alice.call(1, "echo", object{"text": "mine"}); got != "mine" {
		t.Errorf("the owner after all that: %q", got)
	}
}

func TestSessionOutlivesItsToken(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	alice := g.legacy(t, g.token(t, "alice"))
	pid := alice.call(1, "pid", nil)
	refreshed := alice.as(g.mint(t, devauth.MintOptions{Subject: "alice", ClientID: "another-client", Scopes: []string{"tools:use"}}))
	if got := refreshed.call(2, "pid", nil); got != pid {
		t.Errorf("process %s after the refresh, %s before", got, pid)
	}
}

// The client renews its token by itself whenever it is about to end, and here it always
// is.
func TestSessionSurvivesRefreshByTheClient(t *testing.T) {
	t.Parallel()
	hasty := startIssuer(t, devauth.Config{Algorithm: "ES256", TokenTTL: 5 * time.Second})
	s := standin()
	s.issuer = hasty.Issuer()
	g := start(t, s)
	if err := hasty.AllowResource(g.url); err != nil {
		t.Fatal(err)
	}
	steps := &trace{next: g.client.Transport}
	client := &http.Client{Transport: steps}
	session := g.connect(t, &mcp.StreamableClientTransport{Endpoint: g.url, HTTPClient: client, OAuthHandler: login(t, "bob", client)}, legacyVersion, nil)
	pid := use(t, session, "pid", nil)
	for range 3 {
		if got := use(t, session, "pid", nil); got != pid {
			t.Errorf("process %s, was %s", got, pid)
		}
	}
	if n := strings.Count(steps.String(), "POST /token 200"); n < 4 {
		t.Errorf("the token was renewed %d times in\n%s", n-1, steps)
	}
	if n := strings.Count(steps.String(), "POST /mcp 401"); n != 1 {
		t.Errorf("the client was sent to log in %d times in\n%s", n, steps)
	}
}

func TestSessionIDsAreUnguessable(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	seen := map[string]bool{}
	for range 5 {
		id := g.legacy(t, g.token(t, "alice")).session
		if len(id) < 26 || seen[id] { // 128 bits in base32
			t.Errorf("session id %q", id)
		}
		seen[id] = true
		for _, c := range id {
			if c < 0x21 || c > 0x7e {
				t.Errorf("session id %q has other than visible ASCII", id)
			}
		}
	}
}

func TestDeletedSessionIsUnknown(t *testing.T) {
	t.Parallel()
	g := start(t, standin())
	p := g.legacy(t, g.token(t, "alice"))
	if a := p.do(http.MethodDelete, ""); a.status != http.StatusNoContent {
		t.Fatalf("DELETE: %d %s", a.status, a.body)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if a := p.do(method, p.toolCall(1, "echo", nil)); a.status != http.StatusNotFound || a.code() != -32001 {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func TestUserHasALimitedNumberOfSessions(t *testing.T) {
	t.Parallel()
	s := standin()
	s.mcp = []string{"limits {", "	sessions 2", "	concurrent 1", "}"}
	g := start(t, s)
	first := g.legacy(t, g.token(t, "alice"))
	g.legacy(t, g.token(t, "alice"))
	if a := g.anyone(t, g.token(t, "alice")).post(initializeMessage(legacyVersion)); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("the third session: %d %s", a.status, a.body)
	}
	g.legacy(t, g.token(t, "bob")) // the limit is of one user
	if a := first.do(http.MethodDelete, ""); a.status != http.StatusNoContent {
		t.Fatalf("DELETE: %d", a.status)
	}
	// A session counts until its process is gone.
	var second *peer
	await(t, "room for another session", func() bool {
		a := g.anyone(t, g.token(t, "alice")).post(initializeMessage(legacyVersion))
		if a.status == http.StatusTooManyRequests {
			return false
		}
		second = g.anyone(t, g.token(t, "alice"))
		second.session, second.version = a.header.Get("Mcp-Session-Id"), legacyVersion
		return true
	})

	call := hold(t)
	waiting := second.begin(second.toolCall(1, "hold", call.arguments()))
	call.reached()
	if a := second.post(second.toolCall(2, "echo", nil)); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("a second call at once: %d %s", a.status, a.body)
	}
	call.release()
	waiting.wait(t)
	if got := second.call(3, "echo", object{"text": "after"}); got != "after" {
		t.Errorf("after it: %q", got)
	}
}
