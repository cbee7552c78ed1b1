package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// versions are one of each era and the oldest.
var versions = []string{"", "2025-11-25", "2024-11-05"}

func TestAnswersToTheLetter(t *testing.T) {
	steps := []struct{ tool, arguments, text, structured string }{
		{listTool, ``, "No snapshots found.", `{"snapshots":[]}`},
		{loadTool, ``, "Error: No snapshots found\nDetails: Database is empty\nCode: not_found",
			`{"error":{"code":"not_found","details":"Database is empty","message":"No snapshots found"}}`},
		{saveTool, `{"summary":"s1","context":"c1"}`, "Saved snapshot #1", `{"created_at":"2025-10-26 12:00:00","id":1,"name":null}`},
		{saveTool, `{"summary":"s2","context":"c2","name":"n","next_steps":"x"}`, "Saved snapshot #2 (n)",
			`{"created_at":"2025-10-26 12:00:00","id":2,"name":"n"}`},
		{saveTool, `{"summary":"s3","context":{"files":["a"]},"name":""}`, "Saved snapshot #3", `{"created_at":"2025-10-26 12:00:00","id":3,"name":null}`},
		{loadTool, `{}`, "Resuming: s3\n\nContext:\nFiles:\n- a",
			`{"continuation_prompt":"Resuming: s3\n\nContext:\nFiles:\n- a","created_at":"2025-10-26 12:00:00","id":3,"name":null,"summary":"s3"}`},
		{loadTool, `{"id":1}`, "Resuming: s1\n\nContext:\nc1",
			`{"continuation_prompt":"Resuming: s1\n\nContext:\nc1","created_at":"2025-10-26 12:00:00","id":1,"name":null,"summary":"s1"}`},
		{loadTool, `{"name":"n"}`, "Resuming: s2\n\nContext:\nc2\n\nNext:\nx",
			`{"continuation_prompt":"Resuming: s2\n\nContext:\nc2\n\nNext:\nx","created_at":"2025-10-26 12:00:00","id":2,"name":"n","summary":"s2"}`},
		{listTool, `{}`, "#3 - s3 [2025-10-26 12:00:00]\n#2 (n) - s2 [2025-10-26 12:00:00]\n#1 - s1 [2025-10-26 12:00:00]",
			`{"snapshots":[{"created_at":"2025-10-26 12:00:00","id":3,"name":null,"summary":"s3"},` +
				`{"created_at":"2025-10-26 12:00:00","id":2,"name":"n","summary":"s2"},` +
				`{"created_at":"2025-10-26 12:00:00","id":1,"name":null,"summary":"s1"}]}`},
		{deleteTool, `{"id":2}`, "Deleted snapshot #2", `{"deleted":true,"id":2}`},
		{deleteTool, `{"id":2}`, "Error: Snapshot with ID 2 not found\nCode: not_found",
			`{"error":{"code":"not_found","message":"Snapshot with ID 2 not found"}}`},
		{loadTool, `{"name":"n"}`, "Error: Snapshot with name \"n\" not found\nCode: not_found",
			`{"error":{"code":"not_found","message":"Snapshot with name \"n\" not found"}}`},
		{"no_such_tool", `{}`, "Error: Unknown tool: no_such_tool\nCode: unknown_tool",
			`{"error":{"code":"unknown_tool","message":"Unknown tool: no_such_tool"}}`},
	}
	for _, version := range versions {
		t.Run("version "+version, func(t *testing.T) {
			c := connect(t, newStore(t), policy.NoAuth{}, version)
			for _, step := range steps {
				result := c.call(t, step.tool, step.arguments, nil)
				if got := textOf(result); got != step.text {
					t.Errorf("%s %s\ngot  %q\nwant %q", step.tool, step.arguments, got, step.text)
				}
				if got := structured(t, result); got != step.structured {
					t.Errorf("%s %s\ngot  %s\nwant %s", step.tool, step.arguments, got, step.structured)
				}
			}
		})
	}
}

func TestBadArgumentsAreAnsweredInTheOriginalsWords(t *testing.T) {
	const (
		fields = "Error: Missing required fields\nDetails: Both summary and context are required\nCode: validation_error"
		field  = "Error: Missing required field\nDetails: id is required\nCode: validation_error"
	)
	wrong := func(details string) string {
		return "Error: Invalid field\nDetails: " + details + "\nCode: validation_error"
	}
	absentID := func(id string) string { return "Error: Snapshot with ID " + id + " not found\nCode: not_found" }
	tests := []struct{ tool, arguments, want string }{
		{saveTool, ``, fields},
		{saveTool, `null`, fields},
		{saveTool, `{"summary":"s"}`, fields},
		{saveTool, `{"context":"c"}`, fields},
		{saveTool, `{"summary":"","context":"c"}`, fields},
		{saveTool, `{"summary":"s","context":""}`, fields},
		{saveTool, `{"summary":"s","context":null}`, fields},
		{saveTool, `{"summary":"s","context":0}`, fields},
		{saveTool, `{"Summary":"s","Context":"c"}`, fields},
		{saveTool, `{"summary":"s","context":7}`, wrong("context must be a string or an object")},
		{saveTool, `{"summary":"s","context":["c"]}`, wrong("context must be a string or an object")},
		{saveTool, `{"summary":7,"context":"c"}`, wrong("summary must be a string")},
		{saveTool, `{"summary":"s","context":"c","name":7}`, wrong("name must be a string")},
		{saveTool, `{"summary":"s","context":"c","next_steps":["x"]}`, wrong("next_steps must be a string")},
		{saveTool, `["s","c"]`, wrong("arguments must be an object")},
		{deleteTool, ``, field},
		{deleteTool, `{}`, field},
		{deleteTool, `{"id":null}`, field},
		{deleteTool, `{"id":""}`, field},
		{deleteTool, `{"id":true}`, wrong("id must be a number")},
		{deleteTool, `{"id":0}`, absentID("0")},
		{deleteTool, `{"id":-1}`, absentID("-1")},
		{deleteTool, `{"id":1.5}`, absentID("1.5")},
		{deleteTool, `{"id":1e300}`, absentID("1e+300")},
		{deleteTool, `{"id":"x"}`, absentID("x")},
		{deleteTool, `{"id":"0x1"}`, absentID("0x1")},
		{deleteTool, `{"id":"1_0"}`, absentID("1_0")},
		{loadTool, `{"id":9}`, absentID("9")},
		{loadTool, `{"id":9.5,"name":"n"}`, absentID("9.5")},
		{loadTool, `{"id":{}}`, wrong("id must be a number")},
		{loadTool, `{"name":false}`, wrong("name must be a string")},
		{loadTool, `{"name":"a\"b"}`, "Error: Snapshot with name \"a\"b\" not found\nCode: not_found"},
		{listTool, `{"limit":1.5}`, wrong("limit must be a whole number")},
		{listTool, `{"limit":"many"}`, wrong("limit must be a whole number")},
		{listTool, `{"limit":[]}`, wrong("limit must be a whole number")},
	}
	c := local(t)
	c.text(t, saveTool, `{"summary":"s","context":"c","name":"n"}`)
	for _, test := range tests {
		result := c.call(t, test.tool, test.arguments, nil)
		if got := textOf(result); got != test.want || !result.IsError {
			t.Errorf("%s %s\ngot  %q\nwant %q", test.tool, test.arguments, got, test.want)
		}
	}
	if got := c.text(t, listTool, ``); got != "#1 (n) - s [2025-10-26 12:00:00]" {
		t.Errorf("something changed: %q", got)
	}
}

func TestIDsAreReadAsJavaScriptAndSQLiteRead(t *testing.T) {
	c := local(t)
	c.text(t, saveTool, `{"summary":"s","context":"c"}`)
	for _, id := range []string{`1`, `1.0`, `10e-1`, `"1"`, `" 1 "`, `"1.0"`, `"+1"`} {
		if got := c.text(t, loadTool, `{"id":`+id+`}`); got != "Resuming: s\n\nContext:\nc" {
			t.Errorf("id %s: %q", id, got)
		}
	}
	if got := c.text(t, deleteTool, `{"id":"1.0"}`); got != "Deleted snapshot #1" {
		t.Errorf("got %q", got)
	}
}

func TestListLimit(t *testing.T) {
	c := local(t)
	for i := range 103 {
		c.text(t, saveTool, fmt.Sprintf(`{"summary":"s%d","context":"c"}`, i))
	}
	for limit, want := range map[string]int{
		`{}`: 100, `{"limit":null}`: 100, `{"limit":0}`: 100, `{"limit":1}`: 1, `{"limit":102.0}`: 102, `{"limit":"7"}`: 7,
		`{"limit":-1}`: 103, `{"limit":-1e300}`: 103, `{"limit":1e300}`: 103, `{"limit":9007199254740993}`: 103,
	} {
		if got := strings.Count(c.text(t, listTool, limit), "\n") + 1; got != want {
			t.Errorf("%s: %d lines, want %d", limit, got, want)
		}
	}
}

func TestListHasALineForEachSnapshot(t *testing.T) {
	c := local(t)
	c.text(t, saveTool, `{"summary":"one\n#9 - forged [2025-10-26 12:00:00]\r\n\u2028end","context":"c","name":"a\nb"}`)
	result := c.call(t, listTool, ``, nil)
	want := "#1 (a b) - one #9 - forged [2025-10-26 12:00:00] end [2025-10-26 12:00:00]"
	if got := textOf(result); got != want {
		t.Errorf("got %q", got)
	}
	if got := structured(t, result); !strings.Contains(got, `one\n#9`) || !strings.Contains(got, `"a\nb"`) {
		t.Errorf("structured lost the line breaks: %s", got)
	}
}

func TestRefusalsAreAnsweredInTheOriginalsWords(t *testing.T) {
	tests := []struct {
		tool string
		meta mcp.Meta
		want string
	}{
		{loadTool, nil, "Authorization Error\nCode: missing_token\nDetails: No verified identity came with the call\nRequired scope: snapshot:read"},
		{"nope", nil, "Authorization Error\nCode: missing_token\nDetails: No verified identity came with the call\nRequired scope: snapshot:read"},
		{saveTool, mcp.Meta{identity.MetaKey: "alice"},
			"Authorization Error\nCode: invalid_token\nDetails: The identity that came with the call is not valid\nRequired scope: snapshot:write"},
		{deleteTool, stamp("alice", "snapshot:read", "snapshot:write"),
			"Authorization Error\nCode: insufficient_scope\nDetails: delete_snapshot needs the scope snapshot:delete\nRequired scope: snapshot:delete"},
		{"nope", stamp("alice", "snapshot:write"),
			"Authorization Error\nCode: insufficient_scope\nDetails: This call needs the scope snapshot:read\nRequired scope: snapshot:read"},
		{"nope", stamp("alice", "snapshot:read"), "Error: Unknown tool: nope\nCode: unknown_tool"},
		// Who may delete is told what is wrong with the arguments; others are not.
		{deleteTool, stamp("alice", "snapshot:delete"), "Error: Missing required field\nDetails: id is required\nCode: validation_error"},
	}
	for _, version := range versions {
		c := connect(t, newStore(t), policy.TrustedMeta{}, version)
		for _, test := range tests {
			result := c.call(t, test.tool, `{}`, test.meta)
			if got := textOf(result); got != test.want || !result.IsError {
				t.Errorf("%s\ngot  %q\nwant %q", test.tool, got, test.want)
			}
		}
	}
}

func TestDummyPolicyGuardsTheTools(t *testing.T) {
	c := connect(t, newStore(t), policy.Dummy{}, "")
	if got := textOf(c.call(t, listTool, ``, nil)); !strings.HasPrefix(got, "Authorization Error\nCode: missing_token\n") {
		t.Errorf("without: %q", got)
	}
	if got := textOf(c.call(t, listTool, ``, mcp.Meta{"authorization": "Bearer valid-token"})); got != "No snapshots found." {
		t.Errorf("with: %q", got)
	}
}

// failing is a storage whose every use fails.
type failing struct{ store.Store }

func (failing) List(context.Context, int64) ([]store.Entry, error) {
	return nil, errors.New("list snapshots: disk of /secret/path is gone")
}
func (failing) LoadNewest(context.Context) (store.Snapshot, error) { panic("a bug") }
func (failing) Close() error                                       { return nil }

func TestFailuresOfTheStorageAndBugsAreAnswered(t *testing.T) {
	c := connect(t, store.Single{Store: failing{}}, policy.NoAuth{}, "")
	if got := c.text(t, listTool, ``); got != "Error: Database operation failed\nCode: database_error" {
		t.Errorf("got %q", got)
	}
	if got := c.text(t, loadTool, ``); got != "Error: Internal error\nCode: internal_error" {
		t.Errorf("got %q", got)
	}
	_, err := c.ReadResource(context.Background(), &mcp.ReadResourceParams{URI: latestURI})
	var wire *jsonrpc.Error
	if !errors.As(err, &wire) || wire.Code != jsonrpc.CodeInternalError {
		t.Errorf("a panic elsewhere: %v", err)
	}
	if got := c.text(t, "nope", ``); got != "Error: Unknown tool: nope\nCode: unknown_tool" {
		t.Errorf("after a panic: %q", got)
	}
}

// others is a storage in which all is another user's.
type others struct{ store.Source }

func (others) Open(context.Context, store.Owner) (store.Store, error) {
	return nil, fmt.Errorf("open database /secret: %w", store.ErrOwner)
}

func TestOwnerMismatchIsARefusal(t *testing.T) {
	c := connect(t, store.NewPool(others{}, 1, 1), policy.NoAuth{}, "")
	want := "Authorization Error\nCode: invalid_token\nDetails: The database belongs to another user"
	if got := c.text(t, listTool, ``); got != want {
		t.Errorf("got %q", got)
	}
}
