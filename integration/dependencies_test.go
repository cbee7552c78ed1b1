package integration_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dependencies are all packages that a package is built from.
func dependencies(t *testing.T, pattern string) []string {
	t.Helper()
	command := exec.Command("go", "list", "-deps", pattern)
	command.Dir = ".."
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	list := strings.Fields(string(out))
	if len(list) < 10 {
		t.Fatalf("%s is built from %v", pattern, list)
	}
	return list
}

func TestEngineKnowsNothingOfCaddy(t *testing.T) {
	t.Parallel()
	for _, name := range dependencies(t, "./caddymodule/internal/...") {
		if strings.Contains(name, "caddyserver") {
			t.Errorf("the engine is built from %s", name)
		}
	}
}

// The development authorization server lets anyone in as anyone.
func TestNothingForTestsIsShipped(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"./caddymodule/cmd/caddy", "./caddymodule", "./snapshotd", "./identity", "./identity/mcpidentity"} {
		for _, name := range dependencies(t, pattern) {
			if strings.Contains(name, "snapgate/integration") || name == "testing" {
				t.Errorf("%s is built from %s", pattern, name)
			}
		}
	}
}

// A server author who imports the contract gets the standard library and no more.
func TestIdentityNeedsTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, name := range dependencies(t, "./identity") {
		if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") && !strings.HasSuffix(name, "snapgate/identity") {
			t.Errorf("identity is built from %s", name)
		}
	}
}

// The binaries are built by TestMain, of which go test's cache knows nothing. It knows
// which files a test looks at, and runs the tests again when one of these has changed.
func TestCacheKnowsTheSources(t *testing.T) {
	seen := 0
	for _, folder := range []string{"../go.mod", "../go.sum", "../caddymodule", "../snapshotd", "../identity", "internal"} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			seen++
			_, err = os.Stat(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 50 {
		t.Errorf("%d files were seen", seen)
	}
}
