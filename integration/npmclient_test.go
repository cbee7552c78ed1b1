package integration_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// npmClients are what people connect with, and the servers that they connect to, in
// versions that are known to work.
var npmClients = []string{
	"@modelcontextprotocol/client@2.4.0", "@modelcontextprotocol/sdk@1.32.2", "mcp-remote@0.15.1",
	"@modelcontextprotocol/server-memory@2026.8.31", "@modelcontextprotocol/server-everything@2026.8.31", "@modelcontextprotocol/server-filesystem@2026.8.31",
}

// used is what a client from npm says of its visit.
type used struct {
	Tools, Texts []string
	Version      string
}

// TestClientsFromNPMUseServersFromNPM takes each client to each server, none of which knows
// of the gateway.
func TestClientsFromNPMUseServersFromNPM(t *testing.T) {
	t.Parallel()
	folder := npmFolder(t, npmClients)
	bin := filepath.Join(folder, "node_modules", ".bin")
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "note.txt"), []byte("what the file says"), 0o600); err != nil {
		t.Fatal(err)
	}
	for server, tc := range map[string]struct {
		site  site
		calls []object
		want  []string
	}{
		"everything": {
			site{command: []string{filepath.Join(bin, "mcp-server-everything"), "stdio"}},
			[]object{{"name": "echo", "arguments": object{"message": "hello"}}, {"name": "get-sum", "arguments": object{"a": 2, "b": 3}}},
			[]string{"hello", "5"},
		},
		"filesystem": {
			site{command: []string{filepath.Join(bin, "mcp-server-filesystem"), files}},
			[]object{{"name": "read_text_file", "arguments": object{"path": filepath.Join(files, "note.txt")}}},
			[]string{"what the file says"},
		},
		"memory": {
			site{command: []string{filepath.Join(bin, "mcp-server-memory")}, stdio: []string{"env MEMORY_FILE_PATH " + t.TempDir() + "/{mcp.user}.jsonl", "per user"}},
			[]object{
				{"name": "create_entities", "arguments": object{"entities": []object{{"name": "an entity", "entityType": "e", "observations": []string{}}}}},
				{"name": "read_graph", "arguments": object{}},
			},
			[]string{"", "an entity"},
		},
	} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			tc.site.plain = true
			g := start(t, tc.site)
			for client, version := range map[string]string{
				"legacy": legacyVersion, "modern": modernVersion, "auto": modernVersion, "sdk": "", "mcp-remote": "",
			} {
				got := g.visit(t, folder, client, tc.calls)
				if version != "" && got.Version != version {
					t.Errorf("%s: version %s, want %s", client, got.Version, version)
				}
				if len(got.Texts) != len(tc.want) {
					t.Errorf("%s: %d answers, want %d", client, len(got.Texts), len(tc.want))
					continue
				}
				for i, want := range tc.want {
					name, _ := tc.calls[i]["name"].(string)
					if !slices.Contains(got.Tools, name) || !strings.Contains(got.Texts[i], want) {
						t.Errorf("%s: %s: %q, want %q; tools %v", client, name, got.Texts[i], want, got.Tools)
					}
				}
			}
		})
	}
}

// visit runs a client from npm.
func (g *gateway) visit(t *testing.T, folder, client string, calls []object) used {
	t.Helper()
	list, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", beside(t, folder, "clients.mjs"), client, g.url, string(list))
	home := t.TempDir() // mcp-remote keeps files there
	cmd.Env = append(os.Environ(), "BEARER_TOKEN="+g.token(t, "alice"), "MCP_REMOTE="+filepath.Join(folder, "node_modules", ".bin", "mcp-remote"),
		"HOME="+home, "MCP_REMOTE_CONFIG_DIR="+home)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var got used
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", client, err, out, stderr.String())
	}
	return got
}
