package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
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

func TestWhatCannotBeGoIsRefused(t *testing.T) {
	empty := `{"type":"object"}`
	for name, tools := range map[string][]*mcp.Tool{
		"two methods of one name":  {tool("a_b", empty, ""), tool("a-b", empty, "")},
		"a name of no letters":     {tool("___", empty, "")},
		"a name with a digit":      {tool("1st", empty, "")},
		"a name with code":         {tool("x(){}", empty, "")},
		"the name of the client":   {tool("client", empty, ""), tool("clientInput", empty, ""), tool("client", empty, "")},
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
	var out, log strings.Builder
	for _, args := range [][]string{nil, {"-nope"}, {"-package", "p"}, {"/there/is/no/such/program"}} {
		if err := run(args, &out, &log); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %q", args, err, out.String())
		}
	}
}
