package mcpidentity_test

import (
	"context"
	"fmt"
	"log"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/identity/mcpidentity"
)

type note struct {
	Text string `json:"text"`
}

// notes are kept by user, so one process can serve all of them.
type notes struct {
	mu sync.Mutex
	of map[string][]string
}

func (n *notes) add(ctx context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, any, error) {
	id, ok := identity.FromContext(ctx)
	if !ok {
		return nil, nil, identity.ErrMissing
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[id.User] = append(n.of[id.User], in.Text)
	text := fmt.Sprintf("%s has %d notes", id.Subject, len(n.of[id.User]))
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

func Example() {
	store := &notes{of: make(map[string][]string)}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "add_note", Description: "Keep a note"}, store.add)
	server.AddReceivingMiddleware(mcpidentity.New(mcpidentity.Options{
		Scopes: map[string][]string{"add_note": {"notes:write"}},
	}))

	// Instead of server.Run(ctx, &mcp.StdioTransport{}), two users in one process:
	session := dial(server)
	defer session.Close()
	for _, subject := range []string{"alice", "bob", "alice", ""} {
		meta := mcp.Meta{}
		if subject != "" {
			meta[identity.MetaKey] = identity.Identity{
				Issuer: issuer, Subject: subject, User: identity.UserKey(issuer, subject),
				Scopes: []string{"notes:write"},
			}
		}
		result, err := session.CallTool(context.Background(), &mcp.CallToolParams{
			Name: "add_note", Arguments: note{"buy milk"}, Meta: meta,
		})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(result.Content[0].(*mcp.TextContent).Text)
	}
	// Output:
	// alice has 1 notes
	// bob has 1 notes
	// alice has 2 notes
	// calling "tools/call": tools/call: no verified identity in _meta["io.github.snapgate/identity"]
}

func dial(server *mcp.Server) *mcp.ClientSession {
	ours, theirs := mcp.NewInMemoryTransports()
	if _, err := server.Connect(context.Background(), theirs, nil); err != nil {
		log.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "example", Version: "1"}, nil).Connect(context.Background(), ours, nil)
	if err != nil {
		log.Fatal(err)
	}
	return session
}
