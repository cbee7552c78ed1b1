package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
)

// reading is resources/read, as text or as the code of the error.
func (c client) reading(t testing.TB, meta mcp.Meta, uri string) (content *mcp.ResourceContents, code int64) {
	t.Helper()
	result, err := c.ReadResource(context.Background(), &mcp.ReadResourceParams{Meta: meta, URI: uri})
	var wire *jsonrpc.Error
	if errors.As(err, &wire) {
		return nil, wire.Code
	}
	if err != nil || len(result.Contents) != 1 || result.Contents[0].URI != uri {
		t.Fatalf("%s: %v %v", uri, result, err)
	}
	return result.Contents[0], 0
}

func TestResourcesAreTheSnapshots(t *testing.T) {
	for _, version := range versions {
		c := connect(t, newStore(t), policy.NoAuth{}, version)
		absent := int64(jsonrpc.CodeInvalidParams) // as of go-sdk 1.8 in all versions
		if _, code := c.reading(t, nil, latestURI); code != absent {
			t.Errorf("the latest of none: %d", code)
		}
		c.text(t, saveTool, `{"summary":"one","context":"c","name":"n"}`)
		c.text(t, saveTool, `{"summary":"two","context":"c"}`)
		for uri, want := range map[string]string{
			latestURI: "Resuming: two\n\nContext:\nc", "snapshot://1": "Resuming: one\n\nContext:\nc", "snapshot://2": "Resuming: two\n\nContext:\nc",
		} {
			if content, _ := c.reading(t, nil, uri); content == nil || content.Text != want || content.MIMEType != "text/plain" {
				t.Errorf("%s is %+v", uri, content)
			}
		}
		for _, uri := range []string{"snapshot://3", "snapshot://01", "snapshot://+1", "snapshot://-1", "snapshot://x", "snapshot://", "snapshot://export/xml", "other://1"} {
			if _, code := c.reading(t, nil, uri); code != absent {
				t.Errorf("%s: code %d", uri, code)
			}
		}
		result, err := c.ListResources(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		one := result.Resources[len(result.Resources)-1]
		if one.URI != "snapshot://1" || one.Name != "n" || one.Title != "#1 (n)" || one.Description != "one" || one.Annotations.LastModified != "2025-10-26T12:00:00Z" {
			t.Errorf("listed as %+v", one)
		}
	}
}

func TestResourcesAreListedInPages(t *testing.T) {
	c := local(t)
	for range listedResources + 1 {
		c.text(t, saveTool, `{"summary":"s","context":"c"}`)
	}
	got := c.resources(t, nil)
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != listedResources+1+len(fixedResources()) {
		t.Errorf("%d resources", n)
	}
	_, err := c.ListResources(context.Background(), &mcp.ListResourcesParams{Cursor: "nonsense"})
	var wire *jsonrpc.Error
	if !errors.As(err, &wire) || wire.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("a bad cursor: %v", err)
	}
}

func TestExportIsPagedAsAToolAndAsAResource(t *testing.T) {
	for _, version := range versions {
		c := connect(t, newStore(t), policy.NoAuth{}, version)
		for i := range defaultExported + 1 {
			c.text(t, saveTool, fmt.Sprintf(`{"summary":"s%d","context":"c <&>","next_steps":"n"}`, i+1))
		}
		for _, format := range []string{jsonLines, markdown} {
			var whole strings.Builder
			for arguments := fmt.Sprintf(`{"format":%q,"limit":60}`, format); ; {
				text, next := nextOf(t, c, exportTool, arguments)
				whole.WriteString(text)
				if next == "" {
					break
				}
				arguments = fmt.Sprintf(`{"format":%q,"limit":60,"cursor":%q}`, format, next)
			}
			var asResource strings.Builder
			for uri, pages := exportURI+format, 1; ; pages++ {
				content, _ := c.reading(t, nil, uri)
				asResource.WriteString(content.Text)
				next, more := content.Meta[nextKey].(string)
				if !more {
					if pages != 2 {
						t.Errorf("%s: %d pages", format, pages)
					}
					break
				}
				uri = next
			}
			if whole.String() != asResource.String() {
				t.Errorf("%s: the tool and the resource differ", format)
			}
			first, last := `{"id":1,"summary":"s1","context":"c <&>","next_steps":"n",`, `{"id":101,`
			if format == markdown {
				first, last = "## #1\n\nSummary: s1\n", "## #101\n"
			}
			if got := whole.String(); !strings.HasPrefix(got, first) || strings.Count(got, last) != 1 {
				t.Errorf("%s: %.200s", format, got)
			}
		}
	}
}

func TestExportEndsAPageEarlyThatIsTooLarge(t *testing.T) {
	c := local(t)
	large := strings.Repeat("x", 600<<10)
	for range 3 {
		c.text(t, saveTool, `{"summary":"s","context":"`+large+`"}`)
	}
	text, next := nextOf(t, c, exportTool, ``)
	if strings.Count(text, "\n") != 1 || next != "1" {
		t.Errorf("%d snapshots on a page, then %q", strings.Count(text, "\n"), next)
	}
}

func TestReadingResourcesNeedsTheirScope(t *testing.T) {
	for _, version := range versions {
		c := connectTo(t, manyUsers(t, nil), version, nil)
		c.as(t, stamp("alice", policy.ScopeWrite), saveTool, `{"summary":"secret","context":"c"}`)
		for _, test := range []struct {
			meta mcp.Meta
			uri  string
			code int64
		}{
			{stamp("alice", policy.ScopeRead), "snapshot://1", 0},
			{stamp("alice", policy.ScopeExport), "snapshot://export/jsonl", 0},
			{stamp("alice", policy.ScopeExport), "snapshot://1", codeRefused},
			{stamp("alice", policy.ScopeRead), "snapshot://export/jsonl", codeRefused},
			{stamp("bob", allScopes...), "snapshot://1", jsonrpc.CodeInvalidParams},
			{stamp("bob", allScopes...), "snapshot://latest", jsonrpc.CodeInvalidParams},
			{nil, "snapshot://1", codeRefused},
		} {
			if _, code := c.reading(t, test.meta, test.uri); code != test.code {
				t.Errorf("%v %s: code %d, want %d", test.meta, test.uri, code, test.code)
			}
		}
	}
}

func TestPromptResumes(t *testing.T) {
	for _, version := range versions {
		c := connect(t, newStore(t), policy.NoAuth{}, version)
		get := func(arguments map[string]string) string {
			result, err := c.GetPrompt(context.Background(), &mcp.GetPromptParams{Name: "resume", Arguments: arguments})
			if err != nil {
				return err.Error()
			}
			if len(result.Messages) != 1 || result.Messages[0].Role != "user" {
				t.Errorf("messages %v", result.Messages)
			}
			return result.Messages[0].Content.(*mcp.TextContent).Text
		}
		if got := get(nil); !strings.Contains(got, "No snapshots found") {
			t.Errorf("none: %q", got)
		}
		c.text(t, saveTool, `{"summary":"one","context":"c","name":"n"}`)
		c.text(t, saveTool, `{"summary":"two","context":"c"}`)
		for _, test := range []struct {
			arguments map[string]string
			want      string
		}{
			{nil, "Resuming: two\n\nContext:\nc"},
			{map[string]string{"name": "n"}, "Resuming: one\n\nContext:\nc"},
			{map[string]string{"id": "1"}, "Resuming: one\n\nContext:\nc"},
			{map[string]string{"id": "2", "name": "n"}, "Resuming: two\n\nContext:\nc"},
		} {
			if got := get(test.arguments); got != test.want {
				t.Errorf("%v: %q", test.arguments, got)
			}
		}
		for _, arguments := range []map[string]string{{"name": "x"}, {"id": "7"}, {"id": "x"}} {
			if got := get(arguments); !strings.Contains(got, "not found") {
				t.Errorf("%v: %q", arguments, got)
			}
		}
	}
}

func TestCompletionKnowsNamesAndIDs(t *testing.T) {
	for _, version := range versions {
		c := connectTo(t, manyUsers(t, nil), version, nil)
		alice := stamp("alice", policy.ScopeRead, policy.ScopeWrite)
		for _, name := range []string{"work/a", "home", "work/b", "work/a"} {
			c.as(t, alice, saveTool, fmt.Sprintf(`{"summary":"s","context":"c","name":%q}`, name))
		}
		prompt := &mcp.CompleteReference{Type: "ref/prompt", Name: "resume"}
		template := &mcp.CompleteReference{Type: "ref/resource", URI: "snapshot://{id}"}
		export := &mcp.CompleteReference{Type: "ref/resource", URI: "snapshot://export/{format}{?cursor}"}
		for _, test := range []struct {
			meta           mcp.Meta
			ref            *mcp.CompleteReference
			argument, text string
			want           string
		}{
			{alice, prompt, "name", "", "work/a work/b home"},
			{alice, prompt, "name", "work/", "work/a work/b"},
			{alice, prompt, "name", "x", ""},
			{alice, prompt, "id", "", "4 3 2 1"},
			{alice, template, "id", "2", "2"},
			{alice, export, "format", "m", "markdown"},
			{alice, &mcp.CompleteReference{Type: "ref/prompt", Name: "other"}, "name", "", ""},
			{stamp("bob", allScopes...), prompt, "name", "", ""},
			{stamp("alice", policy.ScopeWrite), prompt, "name", "", ""},
			{nil, prompt, "name", "", ""},
		} {
			result, err := c.Complete(context.Background(), &mcp.CompleteParams{
				Meta: test.meta, Ref: test.ref, Argument: mcp.CompleteParamsArgument{Name: test.argument, Value: test.text}})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(result.Completion.Values, " "); got != test.want {
				t.Errorf("%v %s %q: %q, want %q", test.ref, test.argument, test.text, got, test.want)
			}
		}
	}
}
