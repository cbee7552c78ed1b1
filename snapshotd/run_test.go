package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// The other tests run a binary that they build, of which go test's cache knows
// nothing. This one links the whole program into the test, so that a change of it
// makes go test run them all again.
func TestRunInThisProcess(t *testing.T) {
	input := lines(initialize(), toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}), toolCall(2, "load_snapshot", nil))
	var out, log bytes.Buffer
	status := run([]string{"--auth", "disabled", "--db", filepath.Join(t.TempDir(), "a.db")}, io.NopCloser(strings.NewReader(input)), &out, &log)
	if status != exitDone || log.Len() > 0 {
		t.Errorf("status %d, log %q", status, &log)
	}
	if got := answers(t, out.String()); got["1"] != "Saved snapshot #1" || got["2"] != "Resuming: s\n\nContext:\nc" {
		t.Errorf("answers %q", got)
	}
}
