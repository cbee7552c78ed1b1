package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What install writes is what a client starts.
func TestTheInstalledEntryStartsTheServer(t *testing.T) {
	home := t.TempDir()
	if got := runToEnd(t, home, nil, "", "install", "--client", "cursor", "--db", "a.db", "--max-snapshots", "1"); got.status != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile(filepath.Join(home, ".cursor", "mcp.json"))
	if err != nil {
		t.Fatal(err)
	}
	var configuration struct {
		Servers map[string]struct {
			Command string
			Args    []string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal(text, &configuration); err != nil {
		t.Fatal(err)
	}
	entry := configuration.Servers["snapshots"]
	cmd := command(context.Background(), t.TempDir(), entry.Args...) // clients start it where they like
	cmd.Path, cmd.Args[0] = entry.Command, entry.Command
	var stdout strings.Builder
	save := object{"summary": "s", "context": "c"}
	cmd.Stdin, cmd.Stdout = strings.NewReader(lines(initialize(), toolCall(1, "save_snapshot", save), toolCall(2, "save_snapshot", save))), &stdout
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	got := answers(t, stdout.String())
	if got["1"] != "Saved snapshot #1" || !strings.Contains(got["2"], "Quota exceeded\nDetails: 1 of at most 1 snapshots") {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(filepath.Join(home, "a.db")); err != nil {
		t.Error(err)
	}
	if got := runToEnd(t, home, nil, "", "uninstall"); got.status != 0 || !strings.Contains(got.stdout, "restored") {
		t.Errorf("%+v", got)
	}
}
