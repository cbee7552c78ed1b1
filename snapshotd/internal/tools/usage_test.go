package tools

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func utf16Part(s string, from, to int) []rune {
	return utf16.Decode(utf16.Encode([]rune(s))[from:to])
}

// bounded is a client of a server with limits and a retention.
func bounded(t testing.TB, version string) client {
	t.Helper()
	settings := store.Settings{
		Limits:    store.Limits{Snapshots: 3, Bytes: 100, SnapshotBytes: 50},
		Retention: store.Retention{MaxAge: 36 * time.Hour, MaxCount: 3},
	}
	return connectTo(t, Options{Stores: newStoreWith(t, settings), Policy: policy.NoAuth{}, Retention: settings.Retention}, version, nil)
}

func useIn(t testing.TB, result *mcp.CallToolResult) string {
	t.Helper()
	data, err := json.Marshal(result.Meta[usageKey])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestUseIsReported(t *testing.T) {
	for _, version := range versions {
		c := bounded(t, version)
		const limits = `"limits":{"bytes":100,"snapshot_bytes":50,"snapshots":3}`
		for _, step := range []struct{ tool, arguments, use string }{
			{listTool, ``, `{"bytes":0,` + limits + `,"snapshots":0}`},
			{saveTool, `{"summary":"ab","context":"cd","name":"n","next_steps":"é"}`, `{"bytes":7,` + limits + `,"snapshots":1}`},
			{loadTool, ``, `{"bytes":7,` + limits + `,"snapshots":1}`},
			{deleteTool, `{"id":9}`, `null`},
			{deleteTool, `{"id":1}`, `{"bytes":0,` + limits + `,"snapshots":0}`},
		} {
			if got := useIn(t, c.call(t, step.tool, step.arguments, nil)); got != step.use {
				t.Errorf("%s %s: %s, want %s", step.tool, step.arguments, got, step.use)
			}
		}
		result := c.call(t, usageTool, ``, nil)
		const text = "Snapshots: 0 of at most 3\nBytes: 0 of at most 100\nBytes of one snapshot: at most 50\n" +
			"Retention: a save deletes snapshots without a name that are older than 1.5 days or are not among the newest 3"
		if got := textOf(result); got != text {
			t.Errorf("got %q", got)
		}
		content := result.StructuredContent.(map[string]any)
		if _, err := time.Parse(time.DateTime, content["last_write"].(string)); err != nil { // by the clock of SQLite
			t.Error(err)
		}
		delete(content, "last_write")
		want := `{"bytes":0,` + limits + `,"retention":{"keep_count":3,"keep_days":1.5,"prune_named":false},"snapshots":0}`
		if got := structured(t, result); got != want {
			t.Errorf("got %s", got)
		}
	}
}

func TestUseWithoutLimits(t *testing.T) {
	want := "Snapshots: 0, no limit\nBytes: 0, no limit\nRetention: nothing is deleted by itself"
	if got := local(t).text(t, usageTool, ``); got != want {
		t.Errorf("got %q", got)
	}
}

func TestQuotaErrorsSayWhatToDelete(t *testing.T) {
	c := bounded(t, "")
	for range 3 {
		c.text(t, saveTool, `{"summary":"s","context":"c","name":"n"}`)
	}
	for _, test := range []struct{ arguments, text, quota string }{
		{`{"summary":"s","context":"` + strings.Repeat("c", 50) + `"}`,
			"this snapshot has 51 bytes and one may have at most 50; shorten its context or save it in parts",
			`{"limit":50,"name":"bytes of one snapshot","suggested":[],"used":0,"wanted":51}`},
		{`{"summary":"s","context":"c","name":"n"}`,
			"3 of at most 3 snapshots are used and this needs 1 more; delete snapshots that are no longer needed, the oldest first: " +
				"#1 of 2025-10-26 12:00:00, #2 of 2025-10-26 12:00:00, #3 of 2025-10-26 12:00:00",
			`"suggested":[{"created_at":"2025-10-26 12:00:00","id":1,"name":"n","summary":"s"},`},
	} {
		result := c.call(t, saveTool, test.arguments, nil)
		if want := "Error: Quota exceeded\nDetails: " + test.text + "\nCode: quota_exceeded"; textOf(result) != want || !result.IsError {
			t.Errorf("got  %q\nwant %q", textOf(result), want)
		}
		if got := structured(t, result); !strings.Contains(got, test.quota) {
			t.Errorf("structured %s, want in it %s", got, test.quota)
		}
		if got := useIn(t, result); !strings.Contains(got, `"snapshots":3`) {
			t.Errorf("use %s", got)
		}
	}
}
