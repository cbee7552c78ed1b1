package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// block returns the first block of the page in that language, after a text.
func block(t *testing.T, page, language, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, after)
	if !found {
		t.Fatalf("the page has no %q", after)
	}
	m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(rest)
	if m == nil {
		t.Fatalf("no block of %s after %q", language, after)
	}
	return m[1]
}

// The page's program is built against the client that the page's command makes, in a module
// of its own with the dependencies of this one, and prints what the page says.
func TestThePagesProgramPrintsWhatThePageSays(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "code-execution.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	folder := t.TempDir()
	server := filepath.Join(folder, "snapshotd")
	if runtime.GOOS == "windows" {
		server += ".exe"
	}
	command(t, ".", nil, "go", "build", "-o", server, "..")
	module(t, folder)

	// The command of the page, as it stands there, but for who runs the generator.
	script := strings.NewReplacer("\\\n", "").Replace(block(t, page, "sh", "## A client from the schemas"))
	_, line, found := strings.Cut(script, "snapshotd/clientgen ")
	args := strings.Fields(line)
	if !found || args[len(args)-3] != "snapshotd" {
		t.Fatalf("the page's command is %s", script)
	}
	args[len(args)-3] = server
	if err := os.Mkdir(filepath.Join(folder, "snapshots"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	if err := run(args, os.Stdout, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("main.go", []byte(block(t, page, "go", "## A program")), 0o644); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + folder + string(filepath.ListSeparator) + os.Getenv("PATH")
	got := command(t, folder, []string{path, "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off"}, "go", "run", ".")
	if want := block(t, page, "text", "It prints"); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// module makes the folder a module that has what this one has.
func module(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte("module github.com/snapgate/snapgate\n"), []byte("module example.com/program\n"), 1)
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// command runs a program and returns what it prints.
func command(t *testing.T, folder string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, &stderr)
	}
	return stdout.String()
}
