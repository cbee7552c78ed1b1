package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/identity/identitytest"
)

const (
	write = `{"name":"add_note","arguments":{"text":"{marker}"}}`
	read  = `{"name":"list_notes","arguments":{}}`
)

func TestUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		status int
		out    string
		log    string
	}{
		"help":          {[]string{"-help"}, exitClean, "", "-write params"},
		"checks":        {[]string{"-checks"}, exitClean, "forged-arguments ", ""},
		"no server":     {[]string{"-write", write, "-read", read}, exitUsage, "", "no server given"},
		"no read":       {[]string{"-write", write, "--", "server"}, exitUsage, "", "-read is missing"},
		"unknown flag":  {[]string{"-verbose", "--", "server"}, exitUsage, "", "-verbose"},
		"unknown era":   {[]string{"-write", write, "-read", read, "-era", "new", "--", "server"}, exitUsage, "", `"new"`},
		"no such":       {[]string{"-write", write, "-read", read, "--", "there-is-no-such-server"}, exitUsage, "", "there-is-no-such-server"},
		"marker twice":  {[]string{"-write", write, "-read", write, "--", "server"}, exitUsage, "", "{name}"},
		"unknown check": {[]string{"-write", write, "-read", read, "-skip", "x", "--", "server"}, exitUsage, "", `"x"`},
	} {
		var out, log strings.Builder
		status := run(context.Background(), c.args, &out, &log)
		if status != c.status || !strings.Contains(out.String(), c.out) || !strings.Contains(log.String(), c.log) {
			t.Errorf("%s: status %d\n%s\n%s", name, status, &out, &log)
		}
	}
}

func TestEveryCheckIsListed(t *testing.T) {
	var out, log strings.Builder
	run(context.Background(), []string{"-checks"}, &out, &log)
	if n := strings.Count(out.String(), "\n"); n != len(identitytest.Checks()) || n < 15 {
		t.Errorf("%d lines for %d checks\n%s", n, len(identitytest.Checks()), &out)
	}
}

// The status is what a pipeline goes by: cat answers nothing, and a server that hears
// its own words answers itself with no result.
func TestAServerThatAnswersNothingIsAFinding(t *testing.T) {
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	var out, log strings.Builder
	status := run(context.Background(), []string{"-write", write, "-read", read, "-timeout", "50ms", "--", cat}, &out, &log)
	if status != exitFinding || !strings.Contains(out.String(), "FINDING  handshake") || !strings.Contains(out.String(), "2 findings") {
		t.Errorf("status %d\n%s\n%s", status, &out, &log)
	}
}

func TestReportOfTheNodeExample(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		const what = "this test runs a server written for Node.js, and there is none"
		if os.Getenv("SNAPGATE_REQUIRE") == "all" {
			t.Fatal("SNAPGATE_REQUIRE=all, but " + what)
		}
		t.Skip("skipped: " + what + "; to run it: install Node.js 20 or newer")
	}
	var out, log strings.Builder
	args := []string{
		"-write", write, "-read", read, "-era", "modern", "-calls", "100", "-skip", "look-alike-keys", "-json",
		"-env", "LANG=C", "-scope", "a", "-argument", "notebook", "-dir", "../../identitytest/testdata", "--", node, "notes.mjs",
	}
	if status := run(context.Background(), args, &out, &log); status != exitClean {
		t.Fatalf("status %d\n%s\n%s", status, &out, &log)
	}
	var report identitytest.Report
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	skipped := 0
	for _, r := range report.Results {
		if r.Outcome == identitytest.NotRun && r.Check == "look-alike-keys" {
			skipped++
		}
	}
	if report.Spoken[identitytest.Modern] != "2026-07-28" || len(report.Results) != len(identitytest.Checks()) || skipped != 1 {
		t.Errorf("%+v", report)
	}
}
