//go:build unix

package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestResolveFindsNamesInPathAndMakesPathsAbsolute(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "server")
	if err := os.WriteFile(server, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	for _, command := range []string{"server", "./server", server} {
		if got, err := Resolve(command); err != nil || got != server {
			t.Errorf("Resolve(%q) = %q, %v", command, got, err)
		}
	}
}

func TestResolveRefusesANameFoundInTheCurrentFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "server"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	if got, err := Resolve("server"); !errors.Is(err, exec.ErrDot) {
		t.Errorf("%q, %v", got, err)
	}
}
