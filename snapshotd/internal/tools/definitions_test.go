package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

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
		if len(listed) != 4 {
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

// connectList is tools/list as a client sees it, each tool as indented JSON.
func connectList(t *testing.T, version string) (map[string][]byte, error) {
	c := connect(t, newStore(t), policy.NoAuth{}, version)
	result, err := c.ListTools(context.Background(), nil)
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
		{deleteTool, `{"id":1}`, true},
		{deleteTool, `{}`, false},
	}
	for _, tool := range Definitions() {
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
	for _, tool := range Definitions() {
		if err := resolve(t, tool.OutputSchema).Validate(map[string]any{}); err == nil {
			t.Errorf("%s: an empty object is valid", tool.Name)
		}
	}
}
