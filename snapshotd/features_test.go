package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What the earlier server had not, by the program itself and in each version.
func TestEveryVersionServesWhatIsNew(t *testing.T) {
	for asked, want := range eras {
		t.Run(want, func(t *testing.T) {
			session := connect(t, asked, t.TempDir(), "--db", "a.db", "--max-snapshots", "2", "--keep-days", "30")
			for _, name := range []string{"work", "trip"} {
				call(t, session, nil, "save_snapshot", object{"summary": "of " + name, "context": "about the " + name, "name": name})
			}
			for _, step := range []struct {
				tool      string
				arguments object
				want      string // the answer begins with it
			}{
				{"search_snapshots", object{"query": "about work"}, "#1 (work) - of work ["},
				{"find_snapshots", object{"name_prefix": "tr"}, "#2 (trip) - of trip ["},
				{"find_snapshots", object{"created_before": "2000-01-01"}, "No snapshots found."},
				{"snapshot_usage", nil, "Snapshots: 2 of at most 2\nBytes: 50, no limit\nRetention: a save deletes snapshots without a name that are older than 30 days"},
				{"export_snapshots", object{"limit": 1}, `{"id":1,"name":"work","summary":"of work","context":"about the work","created_at":"`},
				{"export_snapshots", object{"format": "markdown"}, "## #1 (work)\n"},
				{"save_snapshot", object{"summary": "s", "context": "c"}, "Error: Quota exceeded\nDetails: 2 of at most 2 snapshots are used and this needs 1 more;"},
				{"list_users", nil, "Error: Unknown tool: list_users\n"},
			} {
				if got := call(t, session, nil, step.tool, step.arguments); !strings.HasPrefix(got, step.want) {
					t.Errorf("%s %v: got %q, want %q", step.tool, step.arguments, got, step.want)
				}
			}
			readsAndResumes(t, session)
		})
	}
}

// readsAndResumes uses resources, the prompt and completion.
func readsAndResumes(t *testing.T, session *mcp.ClientSession) {
	t.Helper()
	ctx := context.Background()
	const prompt = "Resuming: of trip\n\nContext:\nabout the trip"
	for _, uri := range []string{"snapshot://latest", "snapshot://2"} {
		read, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: uri})
		if err != nil || read.Contents[0].Text != prompt {
			t.Errorf("%s: %+v, %v", uri, read, err)
		}
	}
	got, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "resume", Arguments: map[string]string{"name": "trip"}})
	if err != nil || got.Messages[0].Content.(*mcp.TextContent).Text != prompt {
		t.Errorf("prompt: %+v, %v", got, err)
	}
	completed, err := session.Complete(ctx, &mcp.CompleteParams{
		Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "resume"}, Argument: mcp.CompleteParamsArgument{Name: "name", Value: "w"}})
	if err != nil || fmt.Sprint(completed.Completion.Values) != "[work]" {
		t.Errorf("completion: %+v, %v", completed, err)
	}
}

// A change is told over the pipe, also if an administrator made it.
func TestAUserIsToldWhatAnAdministratorDeletes(t *testing.T) {
	for _, version := range []string{"", "2025-11-25"} {
		w := watch(t, version)
		call(t, w.session, stamp("alice"), "save_snapshot", object{"summary": "s", "context": "c"})
		w.subscribe(t, "snapshot://1")
		admin := stampWith("root", "snapshot:admin")
		if got := call(t, w.session, admin, "admin_delete_snapshot", object{"user": userOf("alice"), "id": 1}); got != "Deleted snapshot #1" {
			t.Errorf("the administrator: %q", got)
		}
		select {
		case got := <-w.told:
			if want := "snapshot://1 for " + userOf("alice"); got != want {
				t.Errorf("version %q: told %q, want %q", version, got, want)
			}
		case <-time.After(patience):
			t.Errorf("version %q: nothing was told", version)
		}
		if err := w.session.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// watcher is a client at a server of many users that hears of changes.
type watcher struct {
	session   *mcp.ClientSession
	modern    bool
	told      chan string
	listening chan struct{} // when a listen is acknowledged
}

func watch(t *testing.T, version string) watcher {
	t.Helper()
	home := t.TempDir()
	w := watcher{modern: version == "", told: make(chan string, 100), listening: make(chan struct{}, 100)}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			w.told <- fmt.Sprint(r.Params.URI, " for ", r.Params.Meta["io.github.snapgate/user"])
		},
	})
	client.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
			if listen, ok := request.GetParams().(*mcp.SubscriptionsListenParams); ok {
				listen.Meta = stamp("alice") // the client itself puts nothing there
			}
			return next(ctx, method, request)
		}
	})
	client.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
			if method == "notifications/subscriptions/acknowledged" {
				w.listening <- struct{}{}
			}
			return next(ctx, method, request)
		}
	})
	cmd := command(context.Background(), home, "--auth", "trusted-meta", "--data", filepath.Join(home, "data"))
	var err error
	w.session, err = client.Connect(context.Background(), &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// subscribe returns when alice is subscribed.
func (w watcher) subscribe(t *testing.T, uri string) {
	t.Helper()
	if err := w.session.Subscribe(context.Background(), &mcp.SubscribeParams{URI: uri, Meta: stamp("alice")}); err != nil {
		t.Fatal(err)
	}
	if !w.modern {
		return
	}
	select {
	case <-w.listening:
	case <-time.After(patience):
		t.Fatal("the listen was not acknowledged")
	}
}
