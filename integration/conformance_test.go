package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
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

// notOffered are scenarios of an extension that the everything-server does not have:
// [TestConformanceBehindAProxy] holds that they fail without a gateway, too.
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
			conformance{suite, tc.revision, g.url, g.token(t, "alice")}.holds(t, tc.scenarios, tc.failing)
		})
	}
}

// filtering makes the gateway read all that it could ever cut, and cuts nothing that the suite
// looks for.
var filtering = []string{"scopes {", "	deny tool no_such_tool", "	deny prompt no_such_prompt", "	deny resource none://such", "}"}

// TestConformanceBehindAProxy runs the suite against the same server over HTTP, by itself and
// behind mcp_oauth and reverse_proxy, while lists are cut and sessions bound, and holds that the
// results are the same, and that none of it gets there without a token. The server has sessions
// for legacy clients, in which alone it can ask them.
func TestConformanceBehindAProxy(t *testing.T) {
	suite := npmFolder(t, conformancePackages)
	server := build(t, everythingServer)
	for name, tc := range map[string]struct {
		revision  string
		flags     []string
		scenarios int // at least
		failing   []string
	}{
		"2025-11-25": {"2025-11-25", []string{"-stateless=false"}, 33, nil},
		"2026-07-28": {"2026-07-28", nil, 49, notOffered},
	} {
		t.Run(name, func(t *testing.T) {
			direct := conformance{suite, tc.revision, "http://" + overHTTP(t, server, tc.flags...) + "/mcp", ""}.holds(t, tc.scenarios, tc.failing)
			g := start(t, site{plain: true, proxy: overHTTP(t, server, tc.flags...), mcp: filtering})
			conformance{suite, tc.revision, g.url, g.token(t, "alice")}.holds(t, len(direct), direct.failing())
		})
		t.Run(name+", without a token", func(t *testing.T) {
			u := upstreamServer(t, nil)
			g := start(t, site{plain: true, proxy: u.host, log: accessLog})
			if results := (conformance{suite, tc.revision, g.url, ""}).run(t, "--requirements", tc.revision); len(results) < tc.scenarios {
				t.Errorf("%d scenarios were run", len(results))
			}
			refused := func(e entry) bool { return e["status"] == 401.0 || e["status"] == 403.0 } // 403 where the suite is a foreign page
			for _, e := range g.logs.await(t, tc.scenarios, isAccess) {
				if !refused(e) {
					t.Errorf("answered without a token: %v", e)
				}
			}
			if asked := u.take(); len(asked) != 0 {
				t.Errorf("the server behind was asked %d times, as by %v", len(asked), asked[0])
			}
		})
	}
}

// overHTTP runs the everything-server on a port of its own until the end of the test.
func overHTTP(t *testing.T, server string, flags ...string) (host string) {
	t.Helper()
	port, _ := freePorts(t)
	host = fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(server, append([]string{"-http", host}, flags...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	endWithTests(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		for _, fault := range faults(log.String()) {
			t.Errorf("in the log of the server:\n%s", fault)
		}
	})
	await(t, "the server behind", func() bool {
		conn, err := net.Dial("tcp", host)
		return err == nil && conn.Close() == nil
	})
	return host
}

// scenarios are what failed in each, "" where nothing did.
type scenarios map[string]string

// fail holds that exactly these fail, of at least so many.
func (s scenarios) fail(t *testing.T, least int, expected []string) {
	t.Helper()
	if len(s) < least {
		t.Errorf("%d scenarios were run, at least %d make the revision", len(s), least)
	}
	for _, scenario := range slices.Sorted(maps.Keys(s)) {
		switch fails := s[scenario] != ""; {
		case fails && !slices.Contains(expected, scenario):
			t.Errorf("%s fails: %s", scenario, s[scenario])
		case !fails && slices.Contains(expected, scenario):
			t.Errorf("%s is listed as failing, and does not fail", scenario)
		}
	}
	for _, scenario := range expected {
		if _, run := s[scenario]; !run {
			t.Errorf("%s is listed as failing, and was not run", scenario)
		}
	}
}

// failing are those in which something failed.
func (s scenarios) failing() (names []string) {
	for name, what := range s {
		if what != "" {
			names = append(names, name)
		}
	}
	return names
}

// conformance is the suite of a folder, for a revision, against an endpoint, with a token on every
// request, or with none if it is "".
type conformance struct{ folder, revision, url, token string }

// holds runs all that makes the revision, and holds that exactly these scenarios fail, of at least
// so many. Scenarios have time limits of their own, some of a fifth of a second, which a machine that
// is busy does not keep: what fails and should not is tried twice more.
func (c conformance) holds(t *testing.T, least int, expected []string) scenarios {
	t.Helper()
	results := c.run(t, "--requirements", c.revision)
	for _, scenario := range results.failing() {
		for attempt := 0; attempt < 2 && results[scenario] != "" && !slices.Contains(expected, scenario); attempt++ {
			t.Logf("%s fails: %s", scenario, results[scenario])
			again, run := c.run(t, "--scenario", scenario, "--spec-version", c.revision, "--force")[scenario]
			if !run {
				t.Fatalf("%s was not run again", scenario)
			}
			results[scenario] = again
		}
	}
	results.fail(t, least, expected)
	return results
}

// run runs the scenarios that the arguments choose.
func (c conformance) run(t *testing.T, choice ...string) scenarios {
	t.Helper()
	modules := filepath.Join(c.folder, "node_modules")
	out := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	args := append([]string{filepath.Join(modules, ".bin", "conformance"), "server", "--url", c.url, "--timeout", "120000", "--output-dir", out}, choice...)
	if c.token != "" {
		args = append([]string{"--import", "file://" + beside(t, c.folder, "bearer.mjs")}, args...)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(modules, ".bin", "node"), args...)
	cmd.Env = append(os.Environ(), "BEARER_TOKEN="+c.token)
	text, err := cmd.CombinedOutput() // its exit status says no more than its files
	results := readChecks(t, out)
	if len(results) == 0 {
		t.Fatalf("the suite left no results: %v\n%s", err, text)
	}
	return results
}

// resultFolder is the name of a scenario's folder: its kind, its name and a time.
var resultFolder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

func readChecks(t *testing.T, out string) scenarios {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	results := scenarios{}
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
