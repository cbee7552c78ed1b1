package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// eras are the versions to ask for and those to get.
var eras = map[string]string{"": "2026-07-28", "2025-11-25": "2025-11-25", "2025-06-18": "2025-06-18", "2025-03-26": "2025-03-26", "2024-11-05": "2024-11-05"}

func TestEveryVersionServesTheTools(t *testing.T) {
	for asked, want := range eras {
		t.Run(want, func(t *testing.T) {
			session := connect(t, asked, t.TempDir(), "--db", "a.db")
			if got := session.InitializeResult(); got.ProtocolVersion != want || got.ServerInfo.Name != "snapshotd" || got.ServerInfo.Version != "v9.8.7" {
				t.Errorf("initialized with %s, %+v", got.ProtocolVersion, got.ServerInfo)
			}
			tools, err := session.ListTools(context.Background(), nil)
			if err != nil || len(tools.Tools) != 8 {
				t.Errorf("tools: %v, %v", tools, err)
			}
			for _, step := range []struct {
				tool      string
				arguments object
				want      string
			}{
				{"save_snapshot", object{"summary": "s", "context": object{"files": []string{"a.go"}}, "name": "n", "next_steps": "x"}, "Saved snapshot #1 (n)"},
				{"load_snapshot", object{"name": "n"}, "Resuming: s\n\nContext:\nFiles:\n- a.go\n\nNext:\nx"},
				{"delete_snapshot", object{"id": 1}, "Deleted snapshot #1"},
				{"list_snapshots", nil, "No snapshots found."},
				{"delete_snapshot", nil, "Error: Missing required field\nDetails: id is required\nCode: validation_error"},
			} {
				if got := call(t, session, nil, step.tool, step.arguments); got != step.want {
					t.Errorf("%s: got %q, want %q", step.tool, got, step.want)
				}
			}
		})
	}
}

func TestCallsMayBeInFlightTogether(t *testing.T) {
	session := connect(t, "", t.TempDir(), "--db", "a.db")
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			result, err := session.CallTool(context.Background(), &mcp.CallToolParams{
				Name: "save_snapshot", Arguments: object{"summary": fmt.Sprint(i), "context": "c"}})
			if err != nil || result.IsError {
				t.Errorf("%d: %v %v", i, result, err)
			}
		})
	}
	group.Wait()
	if got := call(t, session, nil, "list_snapshots", object{"limit": 1000}); strings.Count(got, "\n") != 99 {
		t.Errorf("%d lines", strings.Count(got, "\n")+1)
	}
}

func TestTwoProcessesShareAFile(t *testing.T) {
	home := t.TempDir()
	var group sync.WaitGroup
	for _, version := range []string{"", "2025-11-25"} {
		session := connect(t, version, home, "--db", "a.db")
		group.Go(func() {
			for i := range 50 {
				result, err := session.CallTool(context.Background(), &mcp.CallToolParams{
					Name: "save_snapshot", Arguments: object{"summary": fmt.Sprint(i), "context": "c"}})
				if err != nil || result.IsError {
					t.Errorf("%d: %v %v", i, result, err)
				}
			}
		})
	}
	group.Wait()
	session := connect(t, "", home, "--db", "a.db")
	if got := call(t, session, nil, "list_snapshots", object{"limit": 1000}); strings.Count(got, "\n") != 99 {
		t.Errorf("%d lines", strings.Count(got, "\n")+1)
	}
}

func TestUsersBehindTheGatewayAreApart(t *testing.T) {
	home := t.TempDir()
	for _, version := range []string{"", "2025-11-25"} {
		session := connect(t, version, home, "--auth", "trusted-meta", "--data", filepath.Join(home, "data"))
		name := "n" + version
		for _, user := range []string{"alice", "bob"} {
			call(t, session, stamp(user), "save_snapshot", object{"summary": "of " + user, "context": "c", "name": name})
		}
		for _, user := range []string{"alice", "bob"} {
			if got := call(t, session, stamp(user), "load_snapshot", object{"name": name}); got != "Resuming: of "+user+"\n\nContext:\nc" {
				t.Errorf("%s got %q", user, got)
			}
		}
		if got := call(t, session, stamp("carol"), "list_snapshots", nil); got != "No snapshots found." {
			t.Errorf("carol got %q", got)
		}
		if got := call(t, session, nil, "list_snapshots", nil); !strings.HasPrefix(got, "Authorization Error\nCode: missing_token\n") {
			t.Errorf("no one got %q", got)
		}
	}
	files, err := filepath.Glob(filepath.Join(home, "data", "*", "snapshots.db"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v", files, err)
	}
	for _, file := range files {
		for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
			if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != want {
				t.Errorf("%s: mode %o, %v", path, info.Mode().Perm(), err)
			}
		}
	}
}

func TestAFileInAnothersPlaceIsRefused(t *testing.T) {
	home := t.TempDir()
	place := func(user string) string {
		return filepath.Join(home, "data", userOf(user), "snapshots.db")
	}
	session := connect(t, "", home, "--auth", "trusted-meta", "--data", filepath.Join(home, "data"))
	call(t, session, stamp("alice"), "save_snapshot", object{"summary": "s", "context": "c"})
	if err := os.MkdirAll(filepath.Dir(place("bob")), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(place("alice") + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(place("bob")+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	result := runToEnd(t, home, nil, lines(initialize(), withMeta(toolCall(1, "list_snapshots", nil), "bob"), withMeta(toolCall(2, "list_snapshots", nil), "alice")),
		"--auth", "trusted-meta", "--data", filepath.Join(home, "data"))
	got := answers(t, result.stdout)
	if got["1"] != "Authorization Error\nCode: invalid_token\nDetails: The database belongs to another user" {
		t.Errorf("bob got %q", got["1"])
	}
	if !strings.HasPrefix(got["2"], "#1 - s [") {
		t.Errorf("alice got %q", got["2"])
	}
	if !strings.Contains(result.stderr, "belongs to another user") {
		t.Errorf("not logged: %q", result.stderr)
	}
}

func TestOneFileBelongsToItsFirstUser(t *testing.T) {
	home := t.TempDir()
	run := func(calls ...any) map[string]string {
		return answers(t, runToEnd(t, home, nil, lines(append([]any{initialize()}, calls...)...),
			"--auth", "trusted-meta", "--db", filepath.Join(home, "a.db")).stdout)
	}
	// Calls of different users run at once, so the first one comes alone.
	save := withMeta(toolCall(1, "save_snapshot", object{"summary": "s", "context": "c"}), "alice")
	if got := run(save); got["1"] != "Saved snapshot #1" {
		t.Fatalf("alice got %q", got["1"])
	}
	got := run(withMeta(toolCall(2, "load_snapshot", nil), "bob"), save)
	if got["1"] != "Saved snapshot #2" || !strings.HasPrefix(got["2"], "Authorization Error\nCode: invalid_token\n") {
		t.Errorf("alice got %q, bob %q", got["1"], got["2"])
	}
}
