package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// What stands in a block of the directive is adapted or refused, in the same way each time, and
// opens nothing: no server is without login unless the block says anonymous.
func FuzzBlock(f *testing.F) {
	golden, err := filepath.Glob("testdata/adapt/*.caddytest")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range golden {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(raw), separator)
		if _, inside, ok := strings.Cut(input, "\n\tmcp /mcp {\n"); ok {
			block, _, _ := strings.Cut(inside, "\n\t}\n")
			f.Add(block)
		}
	}
	f.Add("stdio one {\n\tenv A {mcp.user}\n}\noauth https://auth.example.com {\n\trequire a b {\n\t}\n}")
	f.Add("stdio \"{\" `{\"a\": 1}`\nanonymous public\naudit {\n}")
	f.Fuzz(func(t *testing.T, block string) {
		if strings.Contains(block, "import") || strings.Contains(block, "{$") {
			t.Skip("what files and variables of this machine hold is not the block's")
		}
		text := []byte("mcp.example.com {\n\tmcp /mcp {\n" + block + "\n\t}\n}\n")
		first, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
		second, _, again := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
		if string(first) != string(second) || (err == nil) != (again == nil) {
			t.Fatalf("%s, %v\nand then %s, %v", first, err, second, again)
		}
		if err == nil && strings.Contains(string(first), `"mcp_stdio"`) && !strings.Contains(string(first), `"mcp_oauth"`) && !strings.Contains(block, "anonymous") {
			t.Errorf("no login: %s", first)
		}
	})
}
