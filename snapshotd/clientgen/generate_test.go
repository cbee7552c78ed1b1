package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func tool(name, input, output string) *mcp.Tool {
	t := &mcp.Tool{Name: name, Description: "Does it.\nfunc init() { panic(1) }", InputSchema: json.RawMessage(input)}
	if output != "" {
		t.OutputSchema = json.RawMessage(output)
	}
	return t
}

func TestEveryKindOfMemberHasItsType(t *testing.T) {
	const input = `{"type":"object","required":["text","all"],"properties":{
	  "text":{"type":"string","description":"a\n*/ text"}, "maybe":{"type":"string"}, "null_too":{"type":["null","integer"]},
	  "all":{"type":"array","items":{"type":"object","properties":{"x-y":{"type":"number"}}}},
	  "rows":{"type":"array","items":{"type":"array","items":{"type":"boolean"}}},
	  "free":{"type":"object"}, "part":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}},
	  "either":{"oneOf":[{"type":"string"},{"type":"object"}]}, "odd":{"type":["string","integer"]}, "bare":{}}}`
	const output = `{"type":"object","properties":{"n":{"type":"integer"},"m":{"type":"integer"},"error":{"type":"object","properties":{"code":{"type":"string"}}}},
	  "anyOf":[{"required":["n"]},{"required":["error"]}]}`
	source, err := generate("some", []*mcp.Tool{tool("do_it", input, output), tool("tell.me", `{"type":"object"}`, "")})
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(source)), " ")
	for _, want := range []string{
		"package some", "All []DoItInputAllItem `json:\"all\"`", "XY *float64 `json:\"x-y,omitempty\"`", "Text string `json:\"text\"`",
		"Maybe *string `json:\"maybe,omitempty\"`", "NullToo *int64 `json:\"null_too,omitempty\"`", "Rows [][]bool `json:\"rows,omitempty\"`",
		"Free map[string]any `json:\"free,omitempty\"`", "Part *DoItInputPart `json:\"part,omitempty\"`", "ID int64 `json:\"id\"`",
		"Either any `json:\"either,omitempty\"`", "Odd any `json:\"odd,omitempty\"`", "Bare any `json:\"bare,omitempty\"`",
		"type DoItOutput struct { M *int64 `json:\"m,omitempty\"` N int64 `json:\"n\"` }",
		"func (c *Client) DoIt(ctx context.Context, in DoItInput) (DoItOutput, error)",
		"func (c *Client) TellMe(ctx context.Context, in TellMeInput) (string, error)",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("it has no %s in\n%s", want, source)
		}
	}
	check(t, source)
}

// check holds that the source is Go with nothing in it that the server slipped in.
func check(t *testing.T, source []byte) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "client.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" {
			t.Error("a description became code")
		}
	}
}

// Whatever a server calls its tools and says of them, its client is refused or has nothing
// but the functions that a client has.
func FuzzGenerate(f *testing.F) {
	f.Add("do_it", "Does it.", "x_y", "a member")
	f.Add("x(){}", "*/ func init() {}", "a`b", "line\nfunc init() {}\r\x00\uFEFF")
	f.Fuzz(func(t *testing.T, name, description, member, said string) {
		input, err := json.Marshal(map[string]any{"type": "object", "properties": map[string]any{
			member: map[string]any{"type": "object", "description": said, "properties": map[string]any{member: map[string]any{"type": "string"}}}}})
		if err != nil {
			t.Fatal(err)
		}
		source, err := generate("some", []*mcp.Tool{{Name: name, Description: strings.ToValidUTF8(description, "?"), InputSchema: json.RawMessage(input)}})
		if err != nil {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), "client.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		functions := 0
		for _, d := range file.Decls {
			if _, ok := d.(*ast.FuncDecl); ok {
				functions++
			}
		}
		if functions != 3 { // Error, call, and the method of the tool
			t.Errorf("%d functions in\n%s", functions, source)
		}
	})
}

func TestWhatCannotBeGoIsRefused(t *testing.T) {
	empty := `{"type":"object"}`
	for name, tools := range map[string][]*mcp.Tool{
		"two methods of one name":  {tool("a_b", empty, ""), tool("a-b", empty, "")},
		"a name of no letters":     {tool("___", empty, "")},
		"a name with a digit":      {tool("1st", empty, "")},
		"a name with code":         {tool("x(){}", empty, "")},
		"a type of another":        {tool("a", empty, ""), tool("b", empty, empty), tool("B", empty, "")},
		"the name of the session":  {tool("session", empty, "")},
		"two members of one name":  {tool("a", `{"properties":{"x_y":{},"x-y":{}}}`, "")},
		"a member that is no name": {tool("a", `{"properties":{"x\"y":{}}}`, "")},
		"a schema that is none":    {tool("a", `[]`, "")},
	} {
		if source, err := generate("some", tools); err == nil {
			t.Errorf("%s: generated\n%s", name, source)
		}
	}
	for _, name := range []string{"", "a b", "func", "a;"} {
		if _, err := generate(name, nil); err == nil {
			t.Errorf("a package may be called %q", name)
		}
	}
}

func TestTheCommandLine(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", `{"tools":[{"name":"list_users","inputSchema":{"type":"object"}}],"nextCursor":""}`)
	var out, log strings.Builder
	for _, args := range [][]string{
		nil, {"-nope"}, {"-package", "p"}, {filepath.Join(folder, "none")}, {"-tools", good, "command"}, {"-package", "a b", "-tools", good},
		{"-tools", filepath.Join(folder, "none")}, {"-tools", file("no list", `[]`)}, {"-tools", file("empty", `{}`)}, {"-tools", file("null", `{"tools":[null]}`)},
	} {
		if err := run(args, &out, &log); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %q", args, err, out.String())
		}
	}
	if err := run([]string{"-tools", good}, &out, &log); err != nil || !strings.Contains(out.String(), "func (c *Client) ListUsers(") {
		t.Errorf("from a list: %v, %s", err, out.String())
	}
}
