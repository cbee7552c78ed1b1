//lint:file-ignore SA1019 Legacy clients have sampling, roots and logging, and these must go on working.

package integration_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/integration/internal/npm"
)

// npmFolder installs packages into the user's cache folder, once, and returns where. It
// skips the test where that cannot be done.
func npmFolder(t *testing.T, packages []string) string {
	t.Helper()
	folder, err := npm.Folder(packages)
	if err != nil {
		lacking(t, "this test runs programs from npm: "+err.Error(), npm.Remedy)
	}
	return folder
}

// beside writes scripts of testdata into a folder of packages, which is where they find
// them, until the end of the test. It returns the first.
func beside(t *testing.T, folder string, scripts ...string) string {
	t.Helper()
	aside, err := os.MkdirTemp(folder, "script-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(aside) })
	for _, script := range scripts {
		text, err := os.ReadFile(filepath.Join("testdata", script))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(aside, script), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(aside, scripts[0])
}

// npmServer is the command of a server, or a skip where there is no Node.
func npmServer(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(npmFolder(t, npm.Servers), "node_modules", ".bin", name)
}

func TestMemoryServerKeepsAFileForEachUser(t *testing.T) {
	t.Parallel()
	command := npmServer(t, "mcp-server-memory")
	data := t.TempDir()
	g := start(t, site{command: []string{command}, stdio: []string{"env MEMORY_FILE_PATH " + data + "/{mcp.user}.jsonl"}})
	sessions := map[string]*mcp.ClientSession{}
	for _, user := range []string{"alice", "bob"} {
		sessions[user] = g.dial(t, g.token(t, user), legacyVersion, nil)
		use(t, sessions[user], "create_entities", object{"entities": []object{{"name": "note of " + user, "entityType": "note", "observations": []string{"o"}}}})
	}
	for user, session := range sessions {
		other := map[string]string{"alice": "bob", "bob": "alice"}[user]
		if graph := use(t, session, "read_graph", object{}); !strings.Contains(graph, "note of "+user) || strings.Contains(graph, "note of "+other) {
			t.Errorf("%s reads %s", user, graph)
		}
		file, err := os.ReadFile(filepath.Join(data, identity.UserKey(issuer.Issuer(), user)+".jsonl"))
		if err != nil || !strings.Contains(string(file), "note of "+user) || strings.Contains(string(file), "note of "+other) {
			t.Errorf("the file of %s: %v %s", user, err, file)
		}
	}
	// A session later, the same user finds it again.
	again := g.dial(t, g.token(t, "alice"), legacyVersion, nil)
	if graph := use(t, again, "read_graph", object{}); !strings.Contains(graph, "note of alice") {
		t.Errorf("alice later reads %s", graph)
	}
}

// told is what a server said to its client, by kind.
type told struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *told) add(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[kind]++
}

func (c *told) of(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[kind]
}

// everythingClient answers and counts what server-everything asks of its client.
func everythingClient(t *testing.T, g *gateway, seen *told) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "integration", Version: "1"}, &mcp.ClientOptions{
		CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			text, ok := r.Params.Messages[0].Content.(*mcp.TextContent)
			if !ok {
				return nil, errors.New("the prompt is no text")
			}
			return &mcp.CreateMessageResult{Model: "m", Role: "assistant", Content: &mcp.TextContent{Text: "sampled: " + text.Text}}, nil
		},
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if r.Params.RequestedSchema == nil {
				return nil, errors.New("no schema")
			}
			return &mcp.ElicitResult{Action: "accept", Content: object{"name": "elicited name"}}, nil
		},
		LoggingMessageHandler:       func(context.Context, *mcp.LoggingMessageRequest) { seen.add("log") },
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { seen.add("progress") },
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { seen.add("tools") },
	})
	client.AddRoots(&mcp.Root{URI: "file:///first-root", Name: "first"})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: g.url, HTTPClient: bearerClient(g, g.token(t, "alice"))},
		&mcp.ClientSessionOptions{ProtocolVersion: legacyVersion})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return session
}

func TestEverythingServerTalksBothWays(t *testing.T) {
	t.Parallel()
	command := npmServer(t, "mcp-server-everything")
	g := start(t, site{command: []string{command, "stdio"}})
	seen := &told{count: map[string]int{}}
	session := everythingClient(t, g, seen)
	// Tools that need the client's abilities are registered once it has said which it has.
	await(t, "the tools that ask the client", func() bool {
		list, err := session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			if tool.Name == "trigger-elicitation-request" {
				return true
			}
		}
		return false
	})

	if got := use(t, session, "echo", object{"message": "hello"}); !strings.Contains(got, "hello") {
		t.Errorf("echo: %q", got)
	}
	if got := use(t, session, "trigger-sampling-request", object{"prompt": "my prompt"}); !strings.Contains(got, "sampled: ") || !strings.Contains(got, "my prompt") {
		t.Errorf("sampling: %q", got)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "trigger-elicitation-request", Arguments: object{}})
	if err != nil || len(result.Content) < 2 || !strings.Contains(result.Content[1].(*mcp.TextContent).Text, "elicited name") {
		t.Errorf("elicitation: %+v %v", result, err)
	}
	if got := use(t, session, "get-roots-list", object{}); !strings.Contains(got, "file:///first-root") {
		t.Errorf("roots: %q", got)
	}
	params := &mcp.CallToolParams{Name: "trigger-long-running-operation", Arguments: object{"duration": 0.3, "steps": 3}}
	params.SetProgressToken("token")
	if _, err := session.CallTool(t.Context(), params); err != nil {
		t.Error(err)
	}
	await(t, "the progress", func() bool { return seen.of("progress") == 3 })
	if err := session.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: "debug"}); err != nil {
		t.Error(err)
	}
	use(t, session, "toggle-simulated-logging", object{})
	await(t, "a message of the log", func() bool { return seen.of("log") > 0 })
	pictures, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get-tiny-image", Arguments: object{}})
	if err != nil || len(pictures.Content) < 2 {
		t.Errorf("image: %+v %v", pictures, err)
	}
	resources, err := session.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) == 0 {
		t.Fatalf("resources: %v", err)
	}
	if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: resources.Resources[0].URI}); err != nil {
		t.Error(err)
	}
}

// The newest client need not fall back: the gateway speaks its version for a server that
// does not.
func TestNewestClientOfALegacyServer(t *testing.T) {
	t.Parallel()
	command := npmServer(t, "mcp-server-everything")
	g := start(t, site{command: []string{command, "stdio"}})
	session := g.dial(t, g.token(t, "alice"), "", nil)
	if got := session.InitializeResult().ProtocolVersion; got != modernVersion {
		t.Errorf("version %s", got)
	}
	if got := use(t, session, "echo", object{"message": "hello"}); !strings.Contains(got, "hello") {
		t.Errorf("echo: %q", got)
	}
}

// A server that asks its client in mid-call, as it always did, asks a client that knows no
// requests of servers.
func TestLegacyServerAsksTheNewestClient(t *testing.T) {
	t.Parallel()
	command := npmServer(t, "mcp-server-everything")
	g := start(t, site{command: []string{command, "stdio"}})
	seen := &told{count: map[string]int{}}
	session := g.dial(t, g.token(t, "alice"), "", &mcp.ClientOptions{
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			seen.add("sampling")
			return &mcp.CreateMessageResult{Model: "m", Role: "assistant", Content: &mcp.TextContent{Text: "sampled by the client"}}, nil
		},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			seen.add("elicitation")
			return &mcp.ElicitResult{Action: "accept", Content: object{"name": "Ada"}}, nil
		},
	})
	if got := session.InitializeResult().ProtocolVersion; got != modernVersion {
		t.Fatalf("version %s", got)
	}
	if got := use(t, session, "trigger-sampling-request", object{"prompt": "say something", "maxTokens": 10}); !strings.Contains(got, "sampled by the client") {
		t.Errorf("sampling: %q", got)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "trigger-elicitation-request", Arguments: object{}})
	if err != nil || len(result.Content) < 2 || !strings.Contains(result.Content[1].(*mcp.TextContent).Text, "Ada") {
		t.Errorf("elicitation: %+v %v", result, err)
	}
	if seen.of("sampling") != 1 || seen.of("elicitation") != 1 {
		t.Errorf("the client was asked %v", seen.count)
	}
}
