package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What snapshotd may take, in bytes. The race detector's binary is another.
const (
	mostSize     = 20_000_000
	mostResident = 25_000_000
)

// shipped is the binary as it is released, without the race detector.
func shipped(t *testing.T) string {
	t.Helper()
	if !slices.Contains(buildFlags, "-race") {
		return binary
	}
	path := filepath.Join(t.TempDir(), "snapshotd")
	if text, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return path
}

func TestSnapshotdIsSmall(t *testing.T) {
	program := shipped(t)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > mostSize {
		t.Errorf("the binary has %d bytes", info.Size())
	}
	cmd := command(context.Background(), t.TempDir(), "--db", "a.db")
	cmd.Path = program
	r := begin(t, cmd)
	const calls = 50
	for i := range calls {
		message := toolCall(i, "save_snapshot", object{"summary": "s", "context": strings.Repeat("context ", 500)})
		if i == 0 {
			message = initialize()
		}
		r.say(t, message)
		if line := r.hear(t); !strings.Contains(line, `"result"`) {
			t.Fatal(line)
		}
	}
	// Where there is no /proc it is 0.
	if resident := residentKiB(r.Process.Pid) << 10; resident > mostResident {
		t.Errorf("after %d calls it has %d bytes in memory", calls, resident)
	} else {
		t.Logf("%d bytes on disk, %d resident after %d calls", info.Size(), resident, calls)
	}
	r.stdin.Close()
	if err := r.Wait(); err != nil {
		t.Error(err)
	}
}
