package mcpidentity_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/identity/identitytest"
	"github.com/snapgate/snapgate/identity/mcpidentity"
)

// serveVariable makes this test's binary a server of notes on stdio.
const serveVariable = "MCPIDENTITY_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) == "" {
		os.Exit(m.Run())
	}
	if err := serveNotes(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveNotes() error {
	store := &notes{of: make(map[string][]string)}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "add_note"}, store.add)
	mcp.AddTool(server, &mcp.Tool{Name: "list_notes"}, store.list)
	server.AddReceivingMiddleware(mcpidentity.New(mcpidentity.Options{
		Open:   []string{"tools/list"},
		Scopes: map[string][]string{"add_note": {"notes:write"}},
	}))
	return server.Run(context.Background(), &mcp.StdioTransport{})
}

func (n *notes) list(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	id, ok := identity.FromContext(ctx)
	if !ok {
		return nil, nil, identity.ErrMissing
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: strings.Join(n.of[id.User], "\n")}}}, nil, nil
}

func TestServerWithTheMiddlewareTrustsTheStampOnly(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	identitytest.Run(t, identitytest.Config{
		Command: self, Calls: 1000,
		// With the race detector a binary sleeps for a second before it exits.
		Env:    []string{serveVariable + "=1", "GORACE=atexit_sleep_ms=0"},
		Write:  identitytest.Call{Params: `{"name":"add_note","arguments":{"text":"{marker}"}}`},
		Read:   identitytest.Call{Params: `{"name":"list_notes","arguments":{}}`},
		Scopes: []string{"notes:write"},
	})
}
