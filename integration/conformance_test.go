package integration_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// conformancePackages are the official conformance suite and the Node.js that it needs.
var conformancePackages = []string{"@modelcontextprotocol/conformance@0.2.0-alpha.12", "node@22"}

// everythingServer is the suite's own counterpart, from the SDK that this module uses.
const everythingServer = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"

// notOffered are scenarios of an extension that the everything-server does not have.
var notOffered = []string{
	"tasks-capability-negotiation", "tasks-dispatch-and-envelope", "tasks-lifecycle", "tasks-mrtr-composition", "tasks-mrtr-input",
	"tasks-request-headers", "tasks-request-state-removal", "tasks-required-task-error", "tasks-wire-fields",
}

// lostInTranslation are those that a modern client cannot have of a legacy server;
// docs/protocol.md says why of each.
var lostInTranslation = []string{
	"input-required-result-basic-elicitation", "input-required-result-multi-round", "input-required-result-multiple-input-requests",
}

// askedOutOfTurn are those in which the everything-server asks over the session, which its
// SDK refuses where there is none.
var askedOutOfTurn = []string{"elicitation-sep1034-defaults", "elicitation-sep1330-enums", "tools-call-elicitation", "tools-call-sampling"}

// TestConformance runs the official suite, with a token on every request, against the
// everything-server on stdio: as it is, and made to look like a server of one era only.
// Exactly the scenarios listed above fail.
func TestConformance(t *testing.T) {
	suite := npmFolder(t, conformancePackages)
	server := build(t, everythingServer)
	without := build(t, "./internal/without")
	legacyOnly, modernOnly := []string{without, "server/discover", server}, []string{without, "initialize", server}
	for name, tc := range map[string]struct {
		revision  string
		command   []string
		per       string
		scenarios int // at least
		failing   []string
	}{
		"2025-11-25":                         {"2025-11-25", []string{server}, "session", 33, nil},
		"2025-11-25, per user":               {"2025-11-25", []string{server}, "user", 33, nil},
		"2026-07-28":                         {"2026-07-28", []string{server}, "session", 49, notOffered},
		"2026-07-28, per user":               {"2026-07-28", []string{server}, "user", 49, notOffered},
		"2025-11-25 of a legacy server":      {"2025-11-25", legacyOnly, "session", 33, nil},
		"2026-07-28 clients of a legacy one": {"2026-07-28", legacyOnly, "session", 49, slices.Concat(notOffered, lostInTranslation)},
		"2026-07-28 of a modern server":      {"2026-07-28", modernOnly, "session", 49, notOffered},
		"2025-11-25 clients of a modern one": {"2025-11-25", modernOnly, "session", 33, askedOutOfTurn},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, site{plain: true, command: tc.command, stdio: []string{"per " + tc.per}, mcp: []string{"limits {", "	sessions 1000", "}"}})
			results := g.conform(t, suite, tc.revision)
			if len(results) < tc.scenarios {
				t.Errorf("%d scenarios were run, at least %d make the revision", len(results), tc.scenarios)
			}
			var failing []string
			for _, scenario := range slices.Sorted(maps.Keys(results)) {
				if results[scenario] != "" {
					failing = append(failing, scenario)
				}
			}
			expected := slices.Sorted(slices.Values(tc.failing))
			for _, scenario := range failing {
				if !slices.Contains(expected, scenario) {
					t.Errorf("%s fails: %s", scenario, results[scenario])
				}
			}
			for _, scenario := range expected {
				if !slices.Contains(failing, scenario) {
					t.Errorf("%s is listed as failing, and does not fail", scenario)
				}
			}
		})
	}
}

// conform runs the suite and returns what failed in each scenario, "" where nothing did.
func (g *gateway) conform(t *testing.T, suite, revision string) map[string]string {
	t.Helper()
	modules := filepath.Join(suite, "node_modules")
	out := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(modules, ".bin", "node"), "--import", "file://"+beside(t, suite, "bearer.mjs"),
		filepath.Join(modules, ".bin", "conformance"), "server", "--url", g.url, "--requirements", revision, "--output-dir", out)
	cmd.Env = append(os.Environ(), "BEARER_TOKEN="+g.token(t, "alice"))
	text, err := cmd.CombinedOutput() // its exit status says no more than its files
	results := readChecks(t, out)
	if len(results) == 0 {
		t.Fatalf("the suite left no results: %v\n%s", err, text)
	}
	return results
}

// resultFolder is the name of a scenario's folder: its kind, its name and a time.
var resultFolder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

func readChecks(t *testing.T, out string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	for _, file := range files {
		match := resultFolder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if match == nil {
			t.Fatalf("unexpected folder of results: %s", file)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(raw, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var failed []string
		for _, check := range checks {
			if check.Status == "FAILURE" {
				failed = append(failed, check.ID+": "+check.ErrorMessage)
			}
		}
		results[match[1]] = strings.Join(failed, "; ")
	}
	return results
}

// build compiles a command into the test's folder.
func build(t *testing.T, from string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(from))
	cmd := exec.Command("go", append(append([]string{"build"}, raceFlags...), "-o", binary, from)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", from, err, text)
	}
	return binary
}
