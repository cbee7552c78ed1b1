package tools

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// manyUsers is the storage of many users, which tells the subscriptions of changes.
func manyUsers(t testing.TB, subscriptions *Subscriptions) Options {
	t.Helper()
	settings := store.Settings{Now: func() time.Time { return noon }}
	if subscriptions != nil {
		settings.Changed = subscriptions.Changed
	}
	folder := store.Folder{Base: t.TempDir(), Options: store.Options{Settings: settings}}
	return Options{
		Stores: store.NewPool(folder, store.DefaultOpen, time.Minute), Policy: policy.TrustedMeta{}, Subscriptions: subscriptions,
	}
}

func (c client) as(t testing.TB, meta mcp.Meta, tool, arguments string) string {
	t.Helper()
	return textOf(c.call(t, tool, arguments, meta))
}

func TestListsShowWhatTheScopesAllow(t *testing.T) {
	const four = "delete_snapshot list_snapshots load_snapshot save_snapshot"
	known := []struct {
		scopes                              []string
		tools, prompts, resources, patterns string
	}{
		{nil, "", "", "", ""},
		{[]string{policy.ScopeRead}, "find_snapshots search_snapshots snapshot_usage", "resume", "snapshot://latest", "snapshot://{id}"},
		{[]string{policy.ScopeRead + ":own"}, "find_snapshots search_snapshots snapshot_usage", "resume", "snapshot://latest", "snapshot://{id}"},
		{[]string{policy.ScopeWrite, policy.ScopeDelete}, "", "", "", ""},
		{[]string{policy.ScopeExport}, "export_snapshots", "", "snapshot://export/jsonl snapshot://export/markdown", "snapshot://export/{format}{?cursor}"},
		{[]string{policy.ScopeAdmin}, "admin_delete_snapshot admin_export_snapshots admin_find_snapshots admin_load_snapshot list_users", "", "", ""},
		{[]string{policy.ScopeAdmin + ":own"}, "", "", "", ""},
	}
	for _, version := range versions {
		c := connectTo(t, manyUsers(t, nil), version, nil)
		check := func(meta mcp.Meta, tools, prompts, resources, patterns string) {
			t.Helper()
			all := strings.Fields(four + " " + tools)
			slices.Sort(all)
			if got := c.tools(t, meta); !slices.Equal(got, all) {
				t.Errorf("%v: tools %v, want %v", meta, got, all)
			}
			if got := strings.Join(c.prompts(t, meta), " "); got != prompts {
				t.Errorf("%v: prompts %s", meta, got)
			}
			if got := strings.Join(c.resources(t, meta), " "); got != resources {
				t.Errorf("%v: resources %s", meta, got)
			}
			if got := strings.Join(c.templates(t, meta), " "); got != patterns {
				t.Errorf("%v: templates %s", meta, got)
			}
		}
		for _, test := range known {
			check(stamp("alice", test.scopes...), test.tools, test.prompts, test.resources, test.patterns)
		}
		// Whoever is not known may turn out to be anyone, save an administrator.
		check(nil, "export_snapshots find_snapshots search_snapshots snapshot_usage", "resume",
			"snapshot://latest snapshot://export/jsonl snapshot://export/markdown", "snapshot://{id} snapshot://export/{format}{?cursor}")
	}
}

func (c client) tools(t testing.TB, meta mcp.Meta) (names []string) {
	t.Helper()
	result, err := c.ListTools(context.Background(), &mcp.ListToolsParams{Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range result.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

func (c client) prompts(t testing.TB, meta mcp.Meta) (names []string) {
	t.Helper()
	result, err := c.ListPrompts(context.Background(), &mcp.ListPromptsParams{Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
	for _, prompt := range result.Prompts {
		names = append(names, prompt.Name)
	}
	return names
}

func (c client) resources(t testing.TB, meta mcp.Meta) (uris []string) {
	t.Helper()
	for cursor := ""; ; {
		result, err := c.ListResources(context.Background(), &mcp.ListResourcesParams{Meta: meta, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range result.Resources {
			uris = append(uris, r.URI)
		}
		if cursor = result.NextCursor; cursor == "" {
			return uris
		}
	}
}

func (c client) templates(t testing.TB, meta mcp.Meta) (patterns []string) {
	t.Helper()
	result, err := c.ListResourceTemplates(context.Background(), &mcp.ListResourceTemplatesParams{Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
	for _, template := range result.ResourceTemplates {
		patterns = append(patterns, template.URITemplate)
	}
	return patterns
}

// A file that belongs to whoever came first holds nobody else's.
func TestWhereThereIsOneUserThereAreNoAdministrators(t *testing.T) {
	options := manyUsers(t, nil)
	options.OneUser = true
	c := connectTo(t, options, "", nil)
	admin := stamp("root", allScopes...)
	if got := c.tools(t, admin); len(got) != 8 {
		t.Errorf("tools %v", got)
	}
	if got := c.as(t, admin, adminLoadTool, `{"user":"u"}`); got != "Error: Unknown tool: admin_load_snapshot\nCode: unknown_tool" {
		t.Errorf("got %q", got)
	}
}

func TestEachToolNeedsItsScope(t *testing.T) {
	c := connectTo(t, manyUsers(t, nil), "", nil)
	for _, tool := range definitions() {
		needed := policy.RequiredScope(tool.Name)
		others := slices.DeleteFunc(slices.Clone(allScopes), func(scope string) bool { return scope == needed })
		want := "Authorization Error\nCode: insufficient_scope\nDetails: " + tool.Name + " needs the scope " + needed + "\nRequired scope: " + needed
		if got := c.as(t, stamp("alice", others...), tool.Name, `{}`); got != want {
			t.Errorf("%s with all scopes but one: %q", tool.Name, got)
		}
		if got := c.as(t, stamp("alice", needed), tool.Name, `{}`); strings.HasPrefix(got, "Authorization Error") {
			t.Errorf("%s: %q", tool.Name, got)
		}
	}
}

func TestAdministratorsReadExportAndDeleteForAUser(t *testing.T) {
	for _, version := range versions {
		c := connectTo(t, manyUsers(t, nil), version, nil)
		admin, alice := stamp("root", policy.ScopeAdmin), stamp("alice", policy.ScopeRead, policy.ScopeWrite)
		c.as(t, alice, saveTool, `{"summary":"first","context":"c","name":"n"}`)
		c.as(t, alice, saveTool, `{"summary":"second","context":"c"}`)
		c.as(t, stamp("bob", policy.ScopeWrite), saveTool, `{"summary":"of bob","context":"c"}`)
		key := userOf("alice")
		for _, step := range []struct{ tool, arguments, want string }{
			{adminFindTool, `{"user":"` + key + `"}`, "#2 - second [2025-10-26 12:00:00]\n#1 (n) - first [2025-10-26 12:00:00]"},
			{adminLoadTool, `{"user":"` + key + `","name":"n"}`, "Resuming: first\n\nContext:\nc"},
			{adminExportTool, `{"user":"` + key + `","limit":1}`,
				`{"id":1,"name":"n","summary":"first","context":"c","created_at":"2025-10-26 12:00:00"}` + "\n"},
			{adminDeleteTool, `{"user":"` + key + `","id":2}`, "Deleted snapshot #2"},
			{adminDeleteTool, `{"user":"` + key + `","id":2}`, "Error: Snapshot with ID 2 not found\nCode: not_found"},
			{adminLoadTool, `{"id":1}`, "Error: Missing required field\nDetails: user is required\nCode: validation_error"},
			{adminLoadTool, `{"user":"nobody"}`, "Error: User \"nobody\" not found\nCode: not_found"},
			{adminLoadTool, `{"user":"../` + key + `"}`, "Error: User \"../" + key + "\" not found\nCode: not_found"},
		} {
			if got := c.as(t, admin, step.tool, step.arguments); got != step.want {
				t.Errorf("%s %s\ngot  %q\nwant %q", step.tool, step.arguments, got, step.want)
			}
		}
		if got := c.as(t, alice, listTool, ``); got != "#1 (n) - first [2025-10-26 12:00:00]" {
			t.Errorf("alice has %q", got)
		}
	}
}

func TestCallsOfAdministratorsAreLogged(t *testing.T) {
	var log bytes.Buffer
	options := manyUsers(t, nil)
	options.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c := connectTo(t, options, "2025-11-25", nil)
	c.as(t, stamp("alice", policy.ScopeRead, policy.ScopeWrite), saveTool, `{"summary":"s","context":"c"}`)
	c.as(t, stamp("alice", policy.ScopeRead), loadTool, `{}`)
	if log.Len() > 0 {
		t.Errorf("a user's call is logged: %s", &log)
	}
	c.as(t, stamp("root", policy.ScopeAdmin), adminLoadTool, `{"user":"`+userOf("alice")+`"}`)
	want := "tool=admin_load_snapshot by=" + userOf("root") + " user=" + userOf("alice") + "\n"
	if got := log.String(); !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
}

func TestUsersAreListedInPages(t *testing.T) {
	c := connectTo(t, manyUsers(t, nil), "", nil)
	admin := stamp("root", policy.ScopeAdmin)
	if got := c.as(t, admin, usersTool, ``); got != "No users found." {
		t.Errorf("at first %q", got)
	}
	var want []string
	for i := range 5 {
		subject := fmt.Sprintf("user%d", i)
		c.as(t, stamp(subject, policy.ScopeWrite), saveTool, `{"summary":"s","context":"ccc"}`)
		want = append(want, userOf(subject)+" "+subject+" https://as 1 4")
	}
	slices.Sort(want)
	var got []string
	for arguments, pages := `{"limit":2}`, 1; ; pages++ {
		result := c.call(t, usersTool, arguments, admin)
		content := result.StructuredContent.(map[string]any)
		for _, u := range content["users"].([]any) {
			user := u.(map[string]any)
			got = append(got, fmt.Sprint(user["user"], " ", user["subject"], " ", user["issuer"], " ", user["snapshots"], " ", user["bytes"]))
			line := fmt.Sprintf("%s (%s at https://as) - 1 snapshots, 4 bytes [", user["user"], user["subject"])
			if !strings.Contains(textOf(result), line) {
				t.Errorf("text %q without %q", textOf(result), line)
			}
		}
		next, more := content["next_cursor"]
		if !more {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		arguments = fmt.Sprintf(`{"limit":2,"cursor":%q}`, next)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
