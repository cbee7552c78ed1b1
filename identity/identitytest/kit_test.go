package identitytest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if fault, ok := os.LookupEnv(faultVariable); ok {
		os.Exit(serveFaulty(fault))
	}
	os.Exit(m.Run())
}

var (
	addNote   = Call{Params: `{"name":"add_note","arguments":{"text":"{marker}"}}`}
	listNotes = Call{Params: `{"name":"list_notes","arguments":{}}`}
)

// withoutSleep keeps a binary with the race detector from sleeping for a second before
// it exits.
const withoutSleep = "GORACE=atexit_sleep_ms=0"

// faulty is this test's own binary as a server with a fault.
func faulty(t *testing.T, fault string) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Command: self, Env: []string{faultVariable + "=" + fault, withoutSleep}, Write: addNote, Read: listNotes,
		Scopes: []string{"notes"}, Calls: 300, Timeout: time.Minute, StopTimeout: time.Minute,
	}
}

// outcomes are the checks with the outcome, each once.
func outcomes(results []Result) []string {
	var names []string
	for _, r := range results {
		names = append(names, r.Check)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

type expectation struct {
	fault    string
	findings []string
	warnings []string
	detail   string // of each of them, in part
}

// faults are those of [faultyServer], and what must be reported of each.
var faults = []expectation{
	{fault: ""},
	{fault: "trusts-arguments", findings: []string{"forged-arguments"}, detail: "the argument user is believed: with it a user reads"},
	{fault: "trusts-a-declared-argument", findings: []string{"forged-arguments"}, detail: "the argument notebook is believed: with it a user reads"},
	{fault: "writes-for-arguments", findings: []string{"forged-arguments"}, detail: "the argument user is believed: with it a user writes into another's data"},
	{fault: "trusts-arguments-without-identity", findings: []string{"forged-arguments"}, detail: "the argument user is believed: a read with nothing but it was answered"},
	{fault: "trusts-other-meta", findings: []string{"forged-elsewhere"}, detail: "_meta[\"user\"] is believed"},
	{fault: "trusts-params", findings: []string{"forged-elsewhere"}, detail: "the member \"identity\" of params"},
	{fault: "trusts-the-envelope", findings: []string{"forged-elsewhere"}, detail: "the member \"identity\" of the message itself"},
	{fault: "folds-keys", findings: []string{"look-alike-keys"}, detail: "Identity\"], behind the stamp"},
	{fault: "folds-meta", findings: []string{"look-alike-keys"}, detail: "params[\"_META\"], behind _meta"},
	{fault: "ignores-identity", findings: []string{missingIdentity, otherUser}},
	{fault: "caches-first-identity", findings: []string{missingIdentityLater, otherUser}},
	{fault: "keeps-last-identity", findings: []string{missingIdentityLater}},
	{fault: "serves-nobody", findings: []string{missingIdentity}},
	{fault: "mixes-calls", findings: []string{"concurrent-users"}, detail: "mixes up calls"},
	{fault: "forgets-issuer", findings: []string{"other-issuer"}},
	{fault: "keys-by-client", findings: []string{"same-user-again"}},
	{fault: "trusts-environment", findings: []string{"environment"}},
	{fault: "trusts-environment-alone", findings: []string{"environment"}},
	{fault: "believes-user-key", findings: []string{"invalid-user-key"}, detail: "an identity with the key of another user was answered"},
	{fault: "coerces", findings: []string{"wrong-types"}, detail: "the JSON in a text was answered"},
	{fault: "crashes-at-huge-claims", findings: []string{"huge-claims"}, detail: "exit status 3, after \"out of memory\" on standard error"},
	{fault: "crashes-at-bare-notifications", findings: []string{"bare-notification"}, detail: "notifications/cancelled without an identity: the server has ended: exit status 3"},
	{fault: "serves-expired", warnings: []string{"expired-identity"}},
	{fault: "never-ends", warnings: []string{"clean-end"}, detail: "SIGKILL was needed"},
	{fault: "ends-badly", warnings: []string{"clean-end"}, detail: "exit status 4, after \"could not save\""},
	{fault: "chatters", warnings: []string{"clean-end"}, detail: "\"ready to serve\""},
	{fault: "loses-writes", findings: []string{ownData}},
	{fault: "wants-identity-at-once", findings: []string{handshake}},
}

func TestEachFaultIsFoundAndNoOther(t *testing.T) {
	for i, c := range faults {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			config := faulty(t, c.fault)
			if c.fault != "" { // what is at fault in one era is so in the other
				config.Eras = []Era{[]Era{Legacy, Modern}[i%2]}
			}
			if c.fault == "never-ends" {
				config.StopTimeout = 200 * time.Millisecond
				config.Skip = skipAllBut(handshake, "clean-end")
			}
			report, err := Check(context.Background(), config)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if _, err := report.WriteTo(&text); err != nil {
				t.Fatal(err)
			}
			if found := outcomes(report.Findings()); !slices.Equal(found, c.findings) {
				t.Errorf("findings %q, want %q\n%s", found, c.findings, &text)
			}
			if found := outcomes(report.Warnings()); !slices.Equal(found, c.warnings) {
				t.Errorf("warnings %q, want %q\n%s", found, c.warnings, &text)
			}
			for _, r := range report.Results {
				if (r.Outcome == Finding || r.Outcome == Warning) && !strings.Contains(r.Detail, c.detail) {
					t.Errorf("%s: %s, want one with %q", r.Check, r.Detail, c.detail)
				}
				if (r.Outcome == Passed) != (r.Detail == "") {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// What cannot fail shows nothing.
func TestEveryCheckHasAFaultThatItFinds(t *testing.T) {
	for _, check := range Checks() {
		if !slices.ContainsFunc(faults, func(f expectation) bool {
			return slices.Contains(slices.Concat(f.findings, f.warnings), check.Name)
		}) {
			t.Errorf("no faulty server fails %s", check.Name)
		}
	}
}

func skipAllBut(names ...string) []string {
	var others []string
	for _, c := range Checks() {
		if !slices.Contains(names, c.Name) {
			others = append(others, c.Name)
		}
	}
	return others
}

func TestAServerOfOneEraIsTriedInThatOne(t *testing.T) {
	for _, c := range []struct {
		fault string
		era   Era
	}{{"legacy-only", Legacy}, {"modern-only", Modern}} {
		report, err := Check(context.Background(), faulty(t, c.fault))
		if err != nil {
			t.Fatal(err)
		}
		if report.Spoken[c.era] == "" || len(report.Spoken) != 1 || len(report.Findings()) != 0 {
			t.Errorf("%s: %+v", c.fault, report)
		}
		passed := 0
		for _, r := range report.Results {
			if r.Outcome == Passed && r.Era == c.era {
				passed++
			}
		}
		if passed != len(checks) {
			t.Errorf("%s: %d of %d checks passed", c.fault, passed, len(checks))
		}
	}
}

func TestWhatCannotBeTriedIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no command":          {func(c *Config) { c.Command = "" }, "no command"},
		"none such":           {func(c *Config) { c.Command = "there-is-no-such-server" }, "not found"},
		"bad environment":     {func(c *Config) { c.Env = []string{"SECRET"} }, "not of the form NAME=value"},
		"no folder":           {func(c *Config) { c.Dir = "/there/is/none" }, "/there/is/none"},
		"no marker":           {func(c *Config) { c.Write = c.Read }, "{marker}"},
		"marker in the read":  {func(c *Config) { c.Read = c.Write }, "{name}"},
		"params no object":    {func(c *Config) { c.Read.Params = `[]` }, "no JSON object"},
		"params null":         {func(c *Config) { c.Read.Params = `null` }, "null"},
		"params with _meta":   {func(c *Config) { c.Read.Params = `{"_meta":{}}` }, "_meta"},
		"unknown check":       {func(c *Config) { c.Skip = []string{"all"} }, `"all"`},
		"unknown era":         {func(c *Config) { c.Eras = []Era{"new"} }, `"new"`},
		"params with a break": {func(c *Config) { c.Write.Params = "{" }, "no JSON object"},
	} {
		config := faulty(t, "")
		c.change(&config)
		report, err := Check(context.Background(), config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, error %v, want one with %q", name, report, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v repeats what may be a secret", name, err)
		}
	}
}

func TestTheEndOfTheContextEndsTheTrial(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	config := faulty(t, "hangs-in-calls")
	var stderr bytes.Buffer
	config.Stderr = writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("hangs now")) {
			cancel()
		}
		return stderr.Write(b)
	})
	if _, err := Check(ctx, config); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error = %v\n%s", err, &stderr)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestServersGetTheGatewaysEnvironmentOnly(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not for servers")
	t.Setenv("LANG", "C")
	env, err := environment("/tmp/x", []string{"A=1", "B=2"}, []string{"A=3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TMPDIR=/tmp/x", "LANG=C", "A=3", "B=2"} {
		if !slices.Contains(env, want) {
			t.Errorf("%q lacks %s", env, want)
		}
	}
	if strings.Contains(strings.Join(env, "\n"), "AWS") {
		t.Errorf("%q", env)
	}
}

func TestReportIsReadByPeopleAndPrograms(t *testing.T) {
	report := &Report{Spoken: map[Era]string{Modern: "2026-07-28"}, Results: []Result{
		{Modern, ownData, Passed, ""}, {Modern, otherUser, Finding, "seen"}, {Legacy, handshake, NotRun, "silent"},
	}}
	const want = "modern (2026-07-28)\n  ok       own-data\n  FINDING  other-user: seen\nlegacy\n  not run  handshake: silent\n1 finding, 0 warnings\n"
	var text strings.Builder
	if n, err := report.WriteTo(&text); err != nil || n != int64(len(want)) || text.String() != want {
		t.Errorf("%d, %v\n%s", n, err, &text)
	}
	encoded, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(encoded), `{"era":"modern","check":"other-user","outcome":"FINDING","detail":"seen"}`) {
		t.Errorf("%s, %v", encoded, err)
	}
}

// lacking skips a test that needs what this machine has not, and fails it where all
// must run.
func lacking(t *testing.T, what, remedy string) {
	t.Helper()
	if os.Getenv("SNAPGATE_REQUIRE") == "all" {
		t.Fatalf("SNAPGATE_REQUIRE=all, but %s; %s", what, remedy)
	}
	t.Skipf("skipped: %s; to run it: %s", what, remedy)
}

func needsNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		lacking(t, "this test runs a server written for Node.js, and there is none", "install Node.js 20 or newer")
	}
	return node
}

func TestTheNodeExampleTrustsTheStampOnly(t *testing.T) {
	node := needsNode(t)
	Run(t, Config{
		Command: node, Args: []string{"notes.mjs"}, Dir: "testdata",
		Write: addNote, Read: listNotes, Scopes: []string{"notes"},
	})
}

func TestSnapshotdTrustsTheStampOnly(t *testing.T) {
	folder := t.TempDir()
	binary := filepath.Join(folder, "snapshotd")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, "github.com/snapgate/snapgate/snapshotd")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	Run(t, Config{
		Command: binary, Args: []string{"--auth", "trusted-meta", "--data", filepath.Join(folder, "data")},
		Write:  Call{Params: `{"name":"save_snapshot","arguments":{"name":"{name}","summary":"{marker}","context":"c"}}`},
		Read:   Call{Params: `{"name":"load_snapshot","arguments":{"name":"{name}"}}`},
		Scopes: []string{"snapshot:read", "snapshot:write"},
		Calls:  1000,
	})
}
