package paramheader

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const tools = `[
	{"name":"query","inputSchema":{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},
		"n":{"type":"integer","x-mcp-header":"Count"},
		"dry":{"type":"boolean","x-mcp-header":"dry"},
		"where":{"type":"object","properties":{"table":{"type":"string","x-mcp-header":"Table"}}}
	}}},
	{"name":"plain","inputSchema":{"type":"object","properties":{"region":{"type":"string"}}}},
	{"name":"odd","inputSchema":true}
]`

func TestCheck(t *testing.T) {
	var table Table
	table.Learn([]byte(tools))
	for _, tc := range []struct {
		name, tool, arguments string
		header                http.Header
		ok                    bool
	}{
		{"nothing to repeat", "query", `{}`, nil, true},
		{"no arguments", "query", ``, nil, true},
		{"null counts as absent", "query", `{"region":null}`, nil, true},
		{"string", "query", `{"region":"eu"}`, http.Header{"Mcp-Param-Region": {"eu"}}, true},
		{"string with escapes", "query", `{"region":"\u0065u"}`, http.Header{"Mcp-Param-Region": {"eu"}}, true},
		{"base64", "query", `{"region":"Hello"}`, http.Header{"Mcp-Param-Region": {"=?base64?SGVsbG8=?="}}, true},
		{"base64 without padding", "query", `{"region":"Hello"}`, http.Header{"Mcp-Param-Region": {"=?base64?SGVsbG8?="}}, false},
		{"base64 of rubbish", "query", `{"region":"Hello"}`, http.Header{"Mcp-Param-Region": {"=?base64?SG!!?="}}, false},
		{"no closing mark: as it is", "query", `{"region":"=?base64?SGVsbG8="}`, http.Header{"Mcp-Param-Region": {"=?base64?SGVsbG8="}}, true},
		{"another value", "query", `{"region":"eu"}`, http.Header{"Mcp-Param-Region": {"us"}}, false},
		{"case differs", "query", `{"region":"eu"}`, http.Header{"Mcp-Param-Region": {"EU"}}, false},
		{"missing", "query", `{"region":"eu"}`, nil, false},
		{"not in the body", "query", `{}`, http.Header{"Mcp-Param-Region": {"eu"}}, false},
		{"twice", "query", `{"region":"eu"}`, http.Header{"Mcp-Param-Region": {"eu", "eu"}}, false},
		{"integer", "query", `{"n":42}`, http.Header{"Mcp-Param-Count": {"42"}}, true},
		{"integer in another form", "query", `{"n":4.2e1}`, http.Header{"Mcp-Param-Count": {"42.0"}}, true},
		{"integer, other value", "query", `{"n":42}`, http.Header{"Mcp-Param-Count": {"43"}}, false},
		{"integer beyond 2^53", "query", `{"n":9007199254740993}`, http.Header{"Mcp-Param-Count": {"9007199254740993"}}, false},
		{"a fraction", "query", `{"n":1.5}`, http.Header{"Mcp-Param-Count": {"1.5"}}, false},
		{"boolean", "query", `{"dry":true}`, http.Header{"Mcp-Param-Dry": {"true"}}, true},
		{"boolean, other value", "query", `{"dry":true}`, http.Header{"Mcp-Param-Dry": {"false"}}, false},
		{"nested", "query", `{"where":{"table":"t"}}`, http.Header{"Mcp-Param-Table": {"t"}}, true},
		{"nested, missing", "query", `{"where":{"table":"t"}}`, nil, false},
		{"an object cannot be repeated", "query", `{"region":{}}`, http.Header{"Mcp-Param-Region": {"{}"}}, false},
		{"a field that no schema asks for", "plain", `{"region":"eu"}`, http.Header{"Mcp-Param-Region": {"us"}}, true},
		{"a tool that is not known", "other", `{"region":"eu"}`, nil, true},
	} {
		err := table.Check(tc.header, tc.tool, []byte(tc.arguments))
		if (err == nil) != tc.ok {
			t.Errorf("%s: error = %v", tc.name, err)
		}
	}
}

func TestLearnForgetsWhatAToolNoLongerAsksFor(t *testing.T) {
	var table Table
	table.Learn([]byte(tools))
	table.Learn([]byte(`[{"name":"query","inputSchema":{"type":"object"}}]`))
	table.Learn([]byte(`{"not":"a list"}`))
	if err := table.Check(nil, "query", []byte(`{"region":"eu"}`)); err != nil {
		t.Error(err)
	}
}

// One entry or property that is odd does not let the others pass unchecked.
func TestWhatIsMalformedHidesNothingElse(t *testing.T) {
	for _, listed := range []string{
		`[{"name":"t","inputSchema":{"properties":{"a":true,"region":{"type":"string","x-mcp-header":"Region"}}}}]`,
		`[{"name":"t","inputSchema":{"properties":{"a":{"x-mcp-header":7},"region":{"type":"string","x-mcp-header":"Region"}}}}]`,
		`[{"name":"t","inputSchema":{"properties":{"a":{"properties":[]},"region":{"type":"string","x-mcp-header":"Region"}}}}]`,
		`[{"name":"t","inputSchema":{"properties":{"region":{"properties":7,"x-mcp-header":"Region"}}}}]`,
		`[{"name":"t","inputSchema":{"X-MCP-Header":7,"PROPERTIES":{},"properties":{"region":{"x-mcp-header":"Region","X-Mcp-Header":"Other"}}}}]`,
		`[{"name":7},3,{"name":"t","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]`,
		`[{"name":"t","Name":"u","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]`,
	} {
		var table Table
		table.Learn([]byte(listed))
		if table.Check(http.Header{"Mcp-Param-Region": {"us"}}, "t", []byte(`{"region":"eu"}`)) == nil {
			t.Errorf("%s: what differs passes", listed)
		}
		if err := table.Check(http.Header{"Mcp-Param-Region": {"eu"}}, "t", []byte(`{"region":"eu"}`)); err != nil {
			t.Errorf("%s: %v", listed, err)
		}
	}
}

// Large arguments are read once, however many of them a tool wants repeated.
func TestArgumentsAreReadOnce(t *testing.T) {
	allocs := func(repeated int) float64 {
		var properties, arguments []string
		header := http.Header{}
		for i := range repeated {
			properties = append(properties, fmt.Sprintf(`"p%d":{"type":"integer","x-mcp-header":"P%d"}`, i, i))
			header.Set(fmt.Sprintf("Mcp-Param-P%d", i), "7")
		}
		for i := range 1000 {
			arguments = append(arguments, fmt.Sprintf(`"p%d":7`, i))
		}
		object := "{" + strings.Join(arguments, ",") + "}"
		var table Table
		table.Learn([]byte(`[{"name":"t","inputSchema":{"properties":{"in":{"properties":{` + strings.Join(properties, ",") + `}}}}}]`))
		body := []byte(`{"in":` + object + `}`)
		return testing.AllocsPerRun(5, func() {
			if err := table.Check(header, "t", body); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, many := allocs(1), allocs(20); many > 2*one {
		t.Errorf("%v allocations for 20 of them, %v for one", many, one)
	}
}
