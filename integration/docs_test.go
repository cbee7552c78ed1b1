package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the Markdown files of the repository that readers are sent to.
func documents(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, files...)
	}
	if !slices.Contains(found, filepath.Join("..", "README.md")) || len(found) < 3 {
		t.Fatalf("found no documents but %q", found)
	}
	return found
}

// TestDocumentedCaddyfilesAreValid holds that whatever a document shows as a Caddyfile can
// be copied from it: Caddy adapts it and provisions all of it. What is only a part of one
// is put where it belongs by its first word.
func TestDocumentedCaddyfilesAreValid(t *testing.T) {
	blocks := 0
	for _, document := range documents(t) {
		for _, block := range caddyfileBlocks(t, document) {
			blocks++
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(document), block.line), func(t *testing.T) {
				config := filepath.Join(t.TempDir(), "Caddyfile")
				if err := os.WriteFile(config, []byte(completed(block.text)), 0o600); err != nil {
					t.Fatal(err)
				}
				adapted := runCaddy(t, "adapt", "--adapter", "caddyfile", "--config", config)
				if err := os.WriteFile(config+".json", withoutTraces(t, adapted), 0o600); err != nil {
					t.Fatal(err)
				}
				runCaddy(t, "validate", "--config", config+".json")
			})
		}
	}
	if blocks == 0 {
		t.Fatal("no document shows a Caddyfile")
	}
}

// caddyfileBlock is what stands in a document between fences marked caddyfile.
type caddyfileBlock struct {
	line int // of the fence
	text string
}

func caddyfileBlocks(t *testing.T, document string) []caddyfileBlock {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []caddyfileBlock
	open, fence := false, ""
	for i, line := range strings.Split(string(text), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence == "" && strings.HasPrefix(trimmed, "```"):
			fence = "```"
			if open = strings.EqualFold(strings.TrimSpace(trimmed[3:]), "caddyfile"); open {
				blocks = append(blocks, caddyfileBlock{line: i + 1})
			}
		case fence != "" && trimmed == fence:
			open, fence = false, ""
		case open:
			blocks[len(blocks)-1].text += line + "\n"
		}
	}
	if fence != "" {
		t.Errorf("%s: a code block is not closed", document)
	}
	return blocks
}

// The words of the grammar that stand in a block of the mcp directive, and where.
var (
	inMCP    = []string{"stdio", "oauth", "scopes", "identity", "anonymous", "origins", "limits", "audit"} // handle is one of Caddy's, too
	inStdio  = []string{"env", "pass_env", "dir", "per", "prewarm", "max_processes", "idle_timeout", "start_timeout", "stop_timeout", "call_timeout", "queue_timeout"}
	inOAuth  = []string{"resource", "audience", "resource_name", "resource_documentation", "issuer_metadata", "jwks", "algorithms", "subject", "scope_claims", "token_header", "bound", "dpop", "require", "introspect", "clock_skew", "cache"}
	inScopes = []string{"base", "tool", "prompt", "method", "deny", "imply", "ask", "filter"}
)

// completed puts a part of a Caddyfile where it belongs. A whole one starts with the
// global options, a snippet or the address of a site, which no directive looks like.
func completed(part string) string {
	first := firstWord(part)
	switch {
	case strings.ContainsAny(first, "{(.:"):
		return part
	case slices.Contains(inStdio, first):
		part = "stdio server {\n" + part + "}\n"
	case slices.Contains(inOAuth, first):
		part = "oauth https://auth.example.com {\n" + part + "}\n"
	case slices.Contains(inScopes, first):
		part = "scopes {\n" + part + "}\n"
	case !slices.Contains(inMCP, first): // a directive
		return "mcp.example.com {\n" + part + "}\n"
	}
	if !startsLine(part, "stdio") {
		part += "stdio server\n"
	}
	if !startsLine(part, "oauth") && !startsLine(part, "anonymous") {
		part += "oauth https://auth.example.com\n"
	}
	site := "mcp.example.com {\n"
	if startsLine(part, "anonymous") {
		site = "http://localhost:8080 {\nbind 127.0.0.1\n"
	}
	return site + "mcp /mcp {\n" + part + "}\n}\n"
}

func firstWord(text string) string {
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			return words[0]
		}
	}
	return ""
}

func startsLine(text, word string) bool {
	return slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool { return firstWord(line) == word })
}

// withoutTraces is a configuration that leaves nothing on this machine when it is
// provisioned: no log files, no admin endpoint, and storage that goes with the test.
func withoutTraces(t *testing.T, adapted []byte) []byte {
	t.Helper()
	var config map[string]any
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatalf("adapt printed no JSON: %v\n%s", err, adapted)
	}
	delete(config, "logging")
	config["admin"] = map[string]any{"disabled": true}
	config["storage"] = map[string]any{"module": "file_system", "root": t.TempDir()}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// runCaddy runs the binary under test, away from its user's own Caddy, and returns what
// it prints.
func runCaddy(t *testing.T, args ...string) []byte {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), caddyBinary, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder,
		"INTROSPECTION_SECRET=shown-in-no-document") // which a document reads from there
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("caddy %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return stdout
}

var (
	markdownLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownHeading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	notInAnchor     = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestDocumentLinksLeadSomewhere follows the links between the files of the repository,
// down to the heading.
func TestDocumentLinksLeadSomewhere(t *testing.T) {
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range markdownLink.FindAllSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(string(link[1]), "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := document
			if target != "" {
				file = filepath.Join(filepath.Dir(document), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", document, link[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(t, file), anchor) {
				t.Errorf("%s links to %s, which has no such heading", document, link[1])
			}
		}
	}
}

// anchors are the fragments that GitHub gives to the headings of a file.
func anchors(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, heading := range markdownHeading.FindAllSubmatch(text, -1) {
		plain := notInAnchor.ReplaceAllString(strings.ToLower(string(heading[1])), "")
		found = append(found, strings.ReplaceAll(strings.TrimSpace(plain), " ", "-"))
	}
	return found
}
