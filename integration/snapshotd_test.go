package integration_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What a user may do and has used comes through the gateway as snapshotd says it.
func TestScopesAndUseOfSnapshotdReachTheClient(t *testing.T) {
	t.Parallel()
	s := snapshots(t.TempDir())
	s.command = append(s.command, "--max-snapshots", "1")
	s.mcp = nil // snapshotd's own policy alone
	g := start(t, s)
	ctx := context.Background()
	original := []string{"delete_snapshot", "list_snapshots", "load_snapshot", "save_snapshot"}
	for era, version := range eras {
		for _, test := range []struct{ scopes, more []string }{
			{[]string{"snapshot:write"}, nil},
			{[]string{"snapshot:read:own"}, []string{"find_snapshots", "search_snapshots", "snapshot_usage"}},
			{[]string{"snapshot:export"}, []string{"export_snapshots"}},
			{[]string{"snapshot:admin"}, []string{"admin_delete_snapshot", "admin_export_snapshots", "admin_find_snapshots", "admin_load_snapshot", "list_users"}},
		} {
			session := g.dial(t, g.token(t, "alice", test.scopes...), version, nil)
			listed, err := session.ListTools(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, tool := range listed.Tools {
				names = append(names, tool.Name)
			}
			want := slices.Concat(original, test.more)
			slices.Sort(names)
			slices.Sort(want)
			if !slices.Equal(names, want) {
				t.Errorf("%s: with %v there are %v, want %v", era, test.scopes, names, want)
			}
		}
		writer := g.dial(t, g.token(t, "writer of "+era, "snapshot:write"), version, nil)
		for _, step := range []struct{ text, use string }{
			{"Saved snapshot #1", `{"bytes":2,"limits":{"snapshots":1},"snapshots":1}`},
			{"Error: Quota exceeded\nDetails: 1 of at most 1 snapshots are used", `{"bytes":2,"limits":{"snapshots":1},"snapshots":1}`},
		} {
			result, err := writer.CallTool(ctx, &mcp.CallToolParams{Name: "save_snapshot", Arguments: object{"summary": "s", "context": "c"}})
			if err != nil {
				t.Fatal(err)
			}
			use, err := json.Marshal(result.Meta["io.github.snapgate.snapshotd/usage"])
			if text := result.Content[0].(*mcp.TextContent).Text; err != nil || string(use) != step.use || !strings.HasPrefix(text, step.text) {
				t.Errorf("%s: %q with the use %s, %v", era, text, use, err)
			}
		}
	}
}
