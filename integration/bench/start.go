package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/snapgate/snapgate/integration/internal/npm"
)

// starts is how often each server is started, by turns.
const starts = 21

// originalSDK is that of the TypeScript snapshot server.
var originalSDK = []string{"@modelcontextprotocol/sdk@1.0.4"}

//go:embed testdata/stdio.mjs
var leastServer string

// snapshotdFigures are what is measured of snapshotd alone; 0 where it could not be.
type snapshotdFigures struct {
	start, node time.Duration // medians, to the first answer
	resident    int           // bytes, after the first answer
	size        int           // bytes of the binary, stripped
}

// starting measures how long snapshotd, on a file that is there, takes from its start to
// its first answer, and a server on Node.js to the same.
func (r *report) starting() error {
	r.printf("\nStart of snapshotd to its first answer, and of the least server on Node.js with the SDK 1.0.4, %d each by turns\n", starts)
	folder, err := os.MkdirTemp("", "snapgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "snapshotd")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "github.com/snapgate/snapgate/snapshotd")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building snapshotd: %w\n%s", err, text)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	r.snapshotd.size = int(info.Size())
	ours := []string{binary, "--db", filepath.Join(folder, "snapshots.db")}
	node, err := r.nodeServer()
	if err != nil {
		return err
	}
	if _, _, err := firstAnswer(ours); err != nil { // makes the file
		return err
	}
	var took, nodeTook []time.Duration
	for range starts {
		one, resident, err := firstAnswer(ours)
		if err != nil {
			return err
		}
		took = append(took, one)
		r.snapshotd.resident = max(r.snapshotd.resident, resident)
		if node == nil {
			continue
		}
		if one, _, err = firstAnswer(node); err != nil {
			return err
		}
		nodeTook = append(nodeTook, one)
	}
	r.snapshotd.start, r.snapshotd.node = percentile(took, 50), percentile(nodeTook, 50)
	r.printf("snapshotd  p50 %v, at most %.1f MB resident, %.1f MB on disk\n", r.snapshotd.start, megabytes(r.snapshotd.resident), megabytes(r.snapshotd.size))
	if node != nil {
		r.printf("Node.js    p50 %v, %.1f times as long\n", r.snapshotd.node, float64(r.snapshotd.node)/float64(r.snapshotd.start))
	}
	return nil
}

// nodeServer is the command of the server on Node.js; nil if there is none to be had.
func (r *report) nodeServer() ([]string, error) {
	if !r.options.npm {
		r.printf("Node.js    left out: -npm=false\n")
		return nil, nil
	}
	folder, err := npm.Folder(originalSDK)
	if err != nil {
		r.printf("Node.js    left out: %v\n", err)
		return nil, nil
	}
	// It finds its packages by the folder that it is in.
	script := filepath.Join(folder, "stdio.mjs")
	return []string{"node", script}, os.WriteFile(script, []byte(leastServer), 0o600)
}

// firstAnswer starts a server and returns how long it takes to answer initialize, and
// how many bytes it then has in memory.
func firstAnswer(server []string) (took time.Duration, resident int, err error) {
	const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}` + "\n"
	cmd := exec.Command(server[0], server[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	_, err = io.WriteString(in, hello)
	answer, failed := bufio.NewReader(out).ReadString('\n')
	took = time.Since(begun)
	if err = errors.Join(err, failed); err == nil && !strings.Contains(answer, `"result"`) {
		err = fmt.Errorf("%s answered %s", server[0], answer)
	}
	resident = residentOf(cmd.Process.Pid)
	in.Close()
	if server[0] == "node" { // this SDK does not end with its input
		err = errors.Join(err, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		return took, resident, err
	}
	return took, resident, errors.Join(err, cmd.Wait())
}

func megabytes(bytes int) float64 { return float64(bytes) / 1e6 }
