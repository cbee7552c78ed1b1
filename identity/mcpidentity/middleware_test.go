package mcpidentity_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/identity/mcpidentity"
)

const issuer = "https://auth.example.com"

// now is the time of all tests.
var now = time.Unix(1_800_000_000, 0)

func stamp(subject string, change func(*identity.Identity)) mcp.Meta {
	id := identity.Identity{
		Issuer: issuer, Subject: subject, User: identity.UserKey(issuer, subject),
		Scopes: []string{"notes:read"}, Expires: now.Unix() + 60,
	}
	if change != nil {
		change(&id)
	}
	return mcp.Meta{identity.MetaKey: id}
}

// connect serves the tools read and write, which answer with the caller's subject,
// behind the middleware. Version "" is the newest.
func connect(t *testing.T, version string, options mcpidentity.Options) *mcp.ClientSession {
	t.Helper()
	options.Now = func() time.Time { return now }
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	for _, name := range []string{"read", "write"} {
		mcp.AddTool(server, &mcp.Tool{Name: name}, whoCalls)
	}
	server.AddReceivingMiddleware(mcpidentity.New(options))
	ours, theirs := mcp.NewInMemoryTransports()
	if _, err := server.Connect(context.Background(), theirs, nil); err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), ours, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func whoCalls(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	id, ok := identity.FromContext(ctx)
	if !ok {
		return nil, nil, errors.New("nobody")
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: id.Subject}}}, nil, nil
}

func call(session *mcp.ClientSession, tool string, meta mcp.Meta) (string, error) {
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Meta: meta})
	if err != nil {
		return "", err
	}
	return result.Content[0].(*mcp.TextContent).Text, nil
}

// refused holds that an error is the refusal with the word and scopes.
func refused(t *testing.T, err error, word, scopes string) {
	t.Helper()
	var wire *jsonrpc.Error
	if !errors.As(err, &wire) || wire.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("error = %v, want code %d", err, jsonrpc.CodeInvalidParams)
		return
	}
	var data struct{ Error, Scope string }
	if err := json.Unmarshal(wire.Data, &data); err != nil || data.Error != word || data.Scope != scopes {
		t.Errorf("%v with data %s, want %s %q", wire, wire.Data, word, scopes)
	}
}

func TestHandlersLearnWhoCalls(t *testing.T) {
	for _, version := range []string{"", "2025-11-25"} {
		session := connect(t, version, mcpidentity.Options{})
		var group sync.WaitGroup
		for range 50 {
			for _, subject := range []string{"alice", "bob"} {
				group.Go(func() {
					if got, err := call(session, "read", stamp(subject, nil)); err != nil || got != subject {
						t.Errorf("%q: a call of %s was one of %q, %v", version, subject, got, err)
					}
				})
			}
		}
		group.Wait()
	}
}

func TestMessagesWithoutAUserAreRefused(t *testing.T) {
	session := connect(t, "2025-11-25", mcpidentity.Options{})
	if err := session.Ping(context.Background(), nil); err != nil {
		t.Errorf("ping is the gateway's own: %v", err)
	}
	for name, meta := range map[string]mcp.Meta{
		"nothing":   nil,
		"elsewhere": {"identity": stamp("alice", nil)[identity.MetaKey], "user": "alice"},
		"look-alike": {
			strings.ToUpper(identity.MetaKey):         stamp("alice", nil)[identity.MetaKey],
			"io.github.\u017fnapgate/identity":        stamp("alice", nil)[identity.MetaKey],
			identity.MetaPrefix + "user":              identity.UserKey(issuer, "alice"),
			"io.github.snapgate":                      stamp("alice", nil),
			"io.modelcontextprotocol/authorizingUser": "alice",
		},
	} {
		got, err := call(session, "read", meta)
		if err == nil {
			t.Errorf("%s: served as %q", name, got)
			continue
		}
		refused(t, err, "invalid_request", "")
	}
	_, err := session.ListTools(context.Background(), nil)
	refused(t, err, "invalid_request", "")
	// A message without params at all.
	_, err = session.ListPrompts(context.Background(), nil)
	refused(t, err, "invalid_request", "")
}

func TestOpenMethodsNeedNobodyButBelieveNoForgery(t *testing.T) {
	session := connect(t, "", mcpidentity.Options{Open: []string{"tools/list"}})
	list := func(meta mcp.Meta) error {
		_, err := session.ListTools(context.Background(), &mcp.ListToolsParams{Meta: meta})
		return err
	}
	if err := list(nil); err != nil {
		t.Errorf("without an identity: %v", err)
	}
	if err := list(stamp("alice", nil)); err != nil {
		t.Errorf("with one: %v", err)
	}
	refused(t, list(stamp("alice", func(id *identity.Identity) { id.User = identity.UserKey(issuer, "bob") })), "invalid_token", "")
	refused(t, list(mcp.Meta{identity.MetaKey: "alice"}), "invalid_token", "")
}

func TestRefusalsDoNotRepeatTheIdentity(t *testing.T) {
	session := connect(t, "", mcpidentity.Options{})
	_, err := call(session, "read", mcp.Meta{identity.MetaKey: map[string]any{"issuer": issuer, "subject": "secret", "user": "secret"}})
	refused(t, err, "invalid_token", "")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestExpiredIdentitiesAreRefusedAfterTheGrace(t *testing.T) {
	ago := func(d time.Duration) mcp.Meta {
		return stamp("alice", func(id *identity.Identity) { id.Expires = now.Add(-d).Unix() })
	}
	for _, c := range []struct {
		grace, ago time.Duration
		served     bool
	}{
		{0, mcpidentity.DefaultGrace - time.Second, true},
		{0, mcpidentity.DefaultGrace, false},
		{time.Hour, 59 * time.Minute, true},
		{time.Hour, time.Hour, false},
		{-1, 1000 * time.Hour, true},
	} {
		session := connect(t, "", mcpidentity.Options{Grace: c.grace})
		_, err := call(session, "read", ago(c.ago))
		if c.served {
			if err != nil {
				t.Errorf("grace %v, expired %v ago: %v", c.grace, c.ago, err)
			}
			continue
		}
		refused(t, err, "invalid_token", "")
	}
	session := connect(t, "", mcpidentity.Options{})
	if _, err := call(session, "read", stamp("alice", func(id *identity.Identity) { id.Expires = 0 })); err != nil {
		t.Errorf("an end that is not known: %v", err)
	}
}

func TestToolsNeedTheirScopes(t *testing.T) {
	session := connect(t, "", mcpidentity.Options{Scopes: map[string][]string{
		"write": {"notes:read", "notes:write"},
		"read":  {},
		"*":     {"notes:admin"},
	}})
	if _, err := call(session, "read", stamp("alice", nil)); err != nil {
		t.Errorf("a tool that needs none: %v", err)
	}
	_, err := call(session, "write", stamp("alice", nil))
	refused(t, err, "insufficient_scope", "notes:read notes:write")
	if !strings.Contains(err.Error(), "needs the scope notes:write") {
		t.Errorf("%v does not say what is missing", err)
	}
	_, err = call(session, "there-is-none", stamp("alice", nil))
	refused(t, err, "insufficient_scope", "notes:admin")
	for _, scopes := range [][]string{{"notes:write", "notes:read"}, {"notes:read", "notes:write", "more"}} {
		if _, err := call(session, "write", stamp("alice", func(id *identity.Identity) { id.Scopes = scopes })); err != nil {
			t.Errorf("with %q: %v", scopes, err)
		}
	}
	_, err = call(session, "write", stamp("alice", func(id *identity.Identity) { id.Scopes = []string{"NOTES:WRITE", "notes:read"} }))
	refused(t, err, "insufficient_scope", "notes:read notes:write")
}

func TestNotificationsWithoutAUserAreDropped(t *testing.T) {
	reached := make(chan string, 10)
	options := mcpidentity.Options{Now: func() time.Time { return now }}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, &mcp.ServerOptions{
		ProgressNotificationHandler: func(ctx context.Context, request *mcp.ProgressNotificationServerRequest) {
			id, _ := identity.FromContext(ctx)
			if id == nil {
				reached <- "nobody"
				return
			}
			reached <- id.Subject
		},
	})
	server.AddReceivingMiddleware(mcpidentity.New(options))
	ours, theirs := mcp.NewInMemoryTransports()
	if _, err := server.Connect(context.Background(), theirs, nil); err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), ours, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, meta := range []mcp.Meta{nil, stamp("alice", nil)} {
		if err := session.NotifyProgress(context.Background(), &mcp.ProgressNotificationParams{Meta: meta, ProgressToken: 1}); err != nil {
			t.Fatal(err)
		}
	}
	// Notifications are handled in order, so the first one's fate is sealed by now.
	if got := <-reached; got != "alice" {
		t.Errorf("reached the handler: a notification of %s", got)
	}
	if err := session.Ping(context.Background(), nil); err != nil {
		t.Errorf("the session did not survive: %v", err)
	}
}
