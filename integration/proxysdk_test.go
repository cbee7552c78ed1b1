package integration_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sdkServer is a server of go-sdk over HTTP, with pages of one entry, of which some are for
// those with a scope.
func sdkServer(t *testing.T, options *mcp.StreamableHTTPOptions) (server *mcp.Server, host string) {
	t.Helper()
	server = mcp.NewServer(&mcp.Implementation{Name: "behind", Version: "1"}, &mcp.ServerOptions{
		PageSize:           1,
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
	})
	for _, name := range []string{"a", "die", "more", "z"} {
		mcp.AddTool(server, &mcp.Tool{Name: name}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "called " + name}}}, nil, nil
		})
	}
	for _, name := range []string{"debug", "p", "review"} {
		server.AddPrompt(&mcp.Prompt{Name: name}, nil)
	}
	read := func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: "read"}}}, nil
	}
	for _, path := range []string{"a", "keys/1", "secret/1"} {
		server.AddResource(&mcp.Resource{Name: path, URI: "file:///srv/" + path}, read)
		server.AddResourceTemplate(&mcp.ResourceTemplate{Name: path, URITemplate: "file:///srv/" + path + "/{n}"}, read)
	}
	listener := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, options))
	t.Cleanup(listener.Close)
	return server, listener.Listener.Addr().String()
}

// collect is what there is of a list, page by page, in order.
func collect[T any](t *testing.T, list iter.Seq2[T, error], name func(T) string) (names []string) {
	t.Helper()
	for entry, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name(entry))
	}
	slices.Sort(names)
	return names
}

// Clients and servers of go-sdk, with sessions and without, see nothing of it but lists that
// are shorter.
func TestProxiedListsOfTheSDK(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]*mcp.StreamableHTTPOptions{
		"events":    {},
		"JSON":      {JSONResponse: true},
		"stateless": {Stateless: true},
		"resumable": {EventStore: mcp.NewMemoryEventStore(nil)},
	} {
		for era, version := range eras {
			t.Run(name+", "+era, func(t *testing.T) {
				t.Parallel()
				_, host := sdkServer(t, options)
				s := ruledProxy(&upstream{host: host})
				s.routes = []string{"encode"}
				g := start(t, s)
				for reader, token := range map[int]string{1: g.token(t, "alice", "tools:use"), 2: g.token(t, "alice", "tools:use", "tools:more")} {
					session := g.dial(t, token, version, nil)
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					got := [][]string{
						collect(t, session.Tools(ctx, nil), func(e *mcp.Tool) string { return e.Name }),
						collect(t, session.Prompts(ctx, nil), func(e *mcp.Prompt) string { return e.Name }),
						collect(t, session.Resources(ctx, nil), func(e *mcp.Resource) string { return e.Name }),
						collect(t, session.ResourceTemplates(ctx, nil), func(e *mcp.ResourceTemplate) string { return e.Name }),
					}
					want := [][]string{{"a", "z"}, {"p"}, {"a"}, {"a"}}
					if reader == 2 {
						want = [][]string{{"a", "more", "z"}, {"p", "review"}, {"a", "secret/1"}, {"a", "secret/1"}}
					}
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("reader %d sees %v, want %v", reader, got, want)
					}
					if text := use(t, session, "a", object{}); text != "called a" {
						t.Errorf("the tool says %q", text)
					}
					if _, err := tryUse(session, "more", object{}); (err == nil) != (reader == 2) {
						t.Errorf("reader %d calls it: %v", reader, err)
					}
				}
			})
		}
	}
}

// What a session was promised still comes, by the stream of a GET that the gateway reads.
func TestProxiedUpdateReachesTheSDK(t *testing.T) {
	t.Parallel()
	server, host := sdkServer(t, &mcp.StreamableHTTPOptions{})
	g := start(t, ruledProxy(&upstream{host: host}))
	updated := make(chan string, 16)
	session := g.dial(t, g.token(t, "alice", "tools:use"), legacyVersion, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			select {
			case updated <- r.Params.URI:
			default: // one is enough
			}
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := session.Subscribe(ctx, &mcp.SubscribeParams{URI: "file:///srv/a"}); err != nil {
		t.Fatal(err)
	}
	if err := session.Subscribe(ctx, &mcp.SubscribeParams{URI: "file:///srv/secret/1"}); err == nil {
		t.Error("subscribed to what may not be read")
	}
	await(t, "the update", func() bool { // the client's GET may not have come yet
		if err := server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: "file:///srv/a"}); err != nil {
			t.Fatal(err)
		}
		select {
		case uri := <-updated:
			if uri != "file:///srv/a" {
				t.Errorf("%s was updated", uri)
			}
			return true
		default:
			return false
		}
	})
}
