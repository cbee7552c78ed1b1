package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// The definitions are a contract with clients that were generated from them: a
// change of a golden file is a change of the contract.
func TestToolDefinitionsAreGolden(t *testing.T) {
	for _, version := range versions {
		listed, err := connectList(t, version)
		if err != nil {
			t.Fatal(err)
		}
		if len(listed) != len(definitions()) {
			t.Errorf("%d tools", len(listed))
		}
		for name, got := range listed {
			golden := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s at version %q is\n%s\nwant\n%s", name, version, got, want)
			}
		}
	}
}

// Clients were generated from these bytes, so they are the same for everyone.
func TestInputSchemasOfTheOriginalStayToTheByte(t *testing.T) {
	for _, p := range []policy.AuthorizationPolicy{policy.NoAuth{}, policy.TrustedMeta{}, policy.Dummy{}} {
		seen := 0
		for _, tool := range rawTools(t, p) {
			if !original(tool.Name) {
				continue
			}
			seen++
			want, err := os.ReadFile(filepath.Join("testdata", "original", tool.Name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(tool.InputSchema, bytes.TrimSuffix(want, []byte("\n"))) {
				t.Errorf("%T: %s takes\n%s\nwant\n%s", p, tool.Name, tool.InputSchema, want)
			}
		}
		if seen != 4 {
			t.Errorf("%T: %d of the original's tools", p, seen)
		}
	}
}

// rawTool is a tool as it is on the wire.
type rawTool struct {
	Name        string
	InputSchema json.RawMessage
}

// rawTools asks for tools/list without a client that would write the schemas anew.
func rawTools(t *testing.T, p policy.AuthorizationPolicy) []rawTool {
	t.Helper()
	ctx := context.Background()
	near, far := mcp.NewInMemoryTransports()
	stores := newStore(t)
	serving, err := NewServer(Options{Stores: stores, Policy: p}).Connect(ctx, far, nil)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := near.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, err := jsonrpc.MakeID("1")
	if err != nil {
		t.Fatal(err)
	}
	const modern = `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}`
	if err := wire.Write(ctx, &jsonrpc.Request{ID: id, Method: "tools/list", Params: json.RawMessage(modern)}); err != nil {
		t.Fatal(err)
	}
	answer, err := wire.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var listed struct{ Tools []rawTool }
	if err := json.Unmarshal(answer.(*jsonrpc.Response).Result, &listed); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wire.Close(), serving.Wait(), stores.Close()); err != nil {
		t.Error(err)
	}
	return listed.Tools
}

// connectList is tools/list as a client who may do everything sees it, each tool as
// indented JSON.
func connectList(t *testing.T, version string) (map[string][]byte, error) {
	c := connect(t, newStore(t), policy.TrustedMeta{}, version)
	result, err := c.ListTools(context.Background(), &mcp.ListToolsParams{Meta: stamp("alice", allScopes...)})
	if err != nil {
		return nil, err
	}
	tools := make(map[string][]byte)
	for _, tool := range result.Tools {
		data, err := json.MarshalIndent(tool, "", "  ")
		if err != nil {
			return nil, err
		}
		tools[tool.Name] = append(data, '\n')
	}
	return tools, nil
}

func TestInputSchemasTakeWhatTheToolsTake(t *testing.T) {
	tests := []struct {
		tool, arguments string
		valid           bool
	}{
		{saveTool, `{"summary":"s","context":"c"}`, true},
		{saveTool, `{"summary":"s","context":{"files":["a"],"code_state":{"x":1},"anything":[1]},"name":"n","next_steps":"x"}`, true},
		{saveTool, `{"summary":"s"}`, false},
		{saveTool, `{"summary":"s","context":3}`, false},
		{saveTool, `{"summary":"s","context":{"files":"a"}}`, false},
		{loadTool, `{}`, true},
		{loadTool, `{"id":1,"name":"n"}`, true},
		{loadTool, `{"id":"1"}`, false},
		{listTool, `{"limit":5}`, true},
		{findTool, `{"name":"n","name_prefix":"n","text":"t","created_after":"2025-10-26","created_before":"2025-10-27","cursor":"c","limit":1000}`, true},
		{findTool, `{"limit":0}`, false},
		{findTool, `{"limit":1001}`, false},
		{searchTool, `{"query":"q","limit":100,"cursor":"c"}`, true},
		{searchTool, `{}`, false},
		{usageTool, `{}`, true},
		{exportTool, `{"format":"markdown"}`, true},
		{exportTool, `{"format":"xml"}`, false},
		{usersTool, `{"limit":500}`, true},
		{adminFindTool, `{"user":"u"}`, true},
		{adminFindTool, `{}`, false},
		{adminLoadTool, `{"user":"u","id":1}`, true},
		{adminLoadTool, `{"id":1}`, false},
		{adminExportTool, `{"user":"u"}`, true},
		{adminDeleteTool, `{"user":"u"}`, false},
		{deleteTool, `{"id":1}`, true},
		{deleteTool, `{}`, false},
	}
	for _, tool := range definitions() {
		schema := resolve(t, tool.InputSchema)
		for _, test := range tests {
			if test.tool != tool.Name {
				continue
			}
			var v any
			if err := json.Unmarshal([]byte(test.arguments), &v); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); (err == nil) != test.valid {
				t.Errorf("%s %s: %v", test.tool, test.arguments, err)
			}
		}
	}
}

func TestOutputSchemasRefuseWhatIsNeitherAnswerNorError(t *testing.T) {
	for _, tool := range definitions() {
		if err := resolve(t, tool.OutputSchema).Validate(map[string]any{}); err == nil {
			t.Errorf("%s: an empty object is valid", tool.Name)
		}
	}
}
