package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// validate runs "caddy validate" for a site, and returns how it ended and what it said.
func validate(t *testing.T, lines ...string) (bool, string) {
	t.Helper()
	folder := t.TempDir()
	config := filepath.Join(folder, "Caddyfile")
	text := "mcp.example.com {\n\t" + strings.Join(lines, "\n\t") + "\n}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), caddyBinary, "validate", "--config", config, "--adapter", "caddyfile")
	cmd.Dir = folder
	cmd.Env = []string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "GORACE=" + promptExit}
	said, err := cmd.CombinedOutput()
	return err == nil, string(said)
}

// A second directive at a path is found before the configuration is started, and both are
// named.
func TestValidateRefusesTwoDirectivesAtOnePath(t *testing.T) {
	t.Parallel()
	mcp := func(path, command string) []string {
		return []string{"mcp " + path + " {", "	stdio " + command, "	oauth https://auth.example.com", "}"}
	}
	if ok, said := validate(t, append(mcp("/mcp", "one"), mcp("/other", "two")...)...); !ok {
		t.Fatalf("two paths are refused: %s", said)
	}
	ok, said := validate(t, append(mcp("/mcp", "one"), mcp("/mcp", "two")...)...)
	if ok || !strings.Contains(said, `stdio one`) || !strings.Contains(said, `stdio two`) || !strings.Contains(said, "stand at mcp.example.com/mcp: ") {
		t.Errorf("valid: %v\n%s", ok, said)
	}
}
