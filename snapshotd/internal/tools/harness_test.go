package tools

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

var noon = time.Date(2025, 10, 26, 12, 0, 0, 0, time.UTC)

// client is a go-sdk client of a server in this process.
type client struct {
	*mcp.ClientSession
	outputs map[string]*jsonschema.Resolved
}

// connect serves over the storage with the policy, at the protocol version, ""
// for the newest.
func connect(t testing.TB, stores store.Provider, p policy.AuthorizationPolicy, version string) client {
	t.Helper()
	return connectTo(t, Options{Stores: stores, Policy: p, Version: "v0"}, version, nil)
}

// connectTo serves with the options to a client with options of its own.
func connectTo(t testing.TB, options Options, version string, clientOptions *mcp.ClientOptions) client {
	t.Helper()
	ctx := context.Background()
	server := NewServer(options)
	near, far := mcp.NewInMemoryTransports()
	serving, err := server.Connect(ctx, far, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, clientOptions).Connect(ctx, near, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if options.Subscriptions != nil {
			options.Subscriptions.Close() // nothing is being written to a client that leaves
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		// A client that leaves ends its listens and does not wait for their answers.
		if err := serving.Wait(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
		if err := options.Stores.Close(); err != nil {
			t.Error(err)
		}
	})
	c := client{ClientSession: session, outputs: make(map[string]*jsonschema.Resolved)}
	for _, tool := range definitions() {
		c.outputs[tool.Name] = resolve(t, tool.OutputSchema)
	}
	return c
}

// definitions are those of all tools.
func definitions() []*mcp.Tool {
	var all []*mcp.Tool
	for _, tool := range newCatalogue(store.Retention{}, true).list {
		all = append(all, tool.definition)
	}
	return all
}

func resolve(t testing.TB, schema any) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(schema.(json.RawMessage), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// local is a client of a server for one user, with a new file.
func local(t testing.TB) client { return connect(t, newStore(t), policy.NoAuth{}, "") }

func newStore(t testing.TB) store.Provider { return newStoreWith(t, store.Settings{}) }

func newStoreWith(t testing.TB, settings store.Settings) store.Provider {
	t.Helper()
	if settings.Now == nil {
		settings.Now = func() time.Time { return noon }
	}
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "a.db"), store.Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return store.Single{Store: s}
}

// call calls a tool with arguments written as JSON and holds that the structured
// answer is valid under the tool's schema, as a client that validates would.
func (c client) call(t testing.TB, tool, arguments string, meta mcp.Meta) *mcp.CallToolResult {
	t.Helper()
	params := &mcp.CallToolParams{Name: tool, Meta: meta}
	if arguments != "" {
		params.Arguments = json.RawMessage(arguments)
	}
	result, err := c.CallTool(context.Background(), params)
	if err != nil {
		t.Fatalf("%s %s: %v", tool, arguments, err)
	}
	if len(result.Content) != 1 {
		t.Fatalf("%d content blocks", len(result.Content))
	}
	if schema := c.outputs[tool]; schema != nil {
		if err := schema.Validate(result.StructuredContent); err != nil {
			t.Errorf("%s %s: structuredContent: %v", tool, arguments, err)
		}
	}
	if _, hasError := result.StructuredContent.(map[string]any)["error"]; hasError != result.IsError {
		t.Errorf("%s %s: isError %v, structuredContent %v", tool, arguments, result.IsError, result.StructuredContent)
	}
	return result
}

func (c client) text(t testing.TB, tool, arguments string) string {
	t.Helper()
	return textOf(c.call(t, tool, arguments, nil))
}

func textOf(result *mcp.CallToolResult) string { return result.Content[0].(*mcp.TextContent).Text }

func structured(t testing.TB, result *mcp.CallToolResult) string {
	t.Helper()
	data, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// allScopes are the scopes of all tools.
var allScopes = []string{policy.ScopeRead, policy.ScopeWrite, policy.ScopeDelete, policy.ScopeExport, policy.ScopeAdmin}

// stamp is what the gateway puts into _meta for a user with these scopes.
func stamp(subject string, scopes ...string) mcp.Meta {
	return mcp.Meta{identity.MetaKey: identity.Identity{
		Issuer: "https://as", Subject: subject, User: userOf(subject), Scopes: scopes,
	}}
}

func userOf(subject string) string { return identity.UserKey("https://as", subject) }

// raceDetector says whether the tests look for races, which makes them slow.
var raceDetector bool
