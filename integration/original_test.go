package integration_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/integration/internal/npm"
)

// originalLibrary is how the earlier snapshot server, in TypeScript, read and wrote its file.
var originalLibrary = []string{"better-sqlite3@12.11.1"}

// earlierServer is a program that works on a file as that server did.
type earlierServer struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// originalFolder is where the library is. It is a program for each system and version of Node.js,
// and where there is none, and none can be made, the SQLite within Node.js takes its place.
func originalFolder(t *testing.T) (folder string, within bool) {
	folder, err := npm.Folder(originalLibrary)
	if err == nil {
		return folder, false
	}
	if own := exec.Command("node", "-e", "require('node:sqlite')").Run(); own != nil {
		lacking(t, "this test runs a program from npm: "+err.Error(), npm.Remedy)
	}
	t.Logf("with the SQLite within Node.js, since %v", err)
	return t.TempDir(), true
}

// openEarlier runs it until the test ends. Arguments may follow the file.
func openEarlier(t *testing.T, args ...string) *earlierServer {
	t.Helper()
	folder, within := originalFolder(t)
	command := exec.Command("node", append([]string{beside(t, folder, "original.mjs")}, args...)...)
	if within {
		command.Env = append(os.Environ(), "SQLITE=node")
	}
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("the program with better-sqlite3: %v %s", err, &log)
		}
	})
	return &earlierServer{t, in, bufio.NewReader(out)}
}

// ask does an operation. It may be called by any goroutine, by one at a time.
func (o *earlierServer) ask(request object, result any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.in, "%s\n", line); err != nil {
		return err
	}
	text, err := o.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	answer := struct {
		Result any    `json:"result"`
		Error  string `json:"error"`
	}{Result: result}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%v: %s", request["op"], answer.Error)
	}
	return nil
}

// must is ask in the goroutine of the test.
func (o *earlierServer) must(request object, result any) {
	o.t.Helper()
	if err := o.ask(request, result); err != nil {
		o.t.Fatal(err)
	}
}

// dropIn runs snapshotd as a client would, with a file.
func dropIn(t *testing.T, file string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: exec.Command(snapshotdBinary, "--db", file)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return session
}

// say calls a tool of snapshotd and returns its text.
func say(ctx context.Context, session *mcp.ClientSession, tool string, arguments object) (string, error) {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return "", err
	}
	return result.Content[0].(*mcp.TextContent).Text, nil
}

// undamaged has both programs check the file.
func undamaged(t *testing.T, file string, by *earlierServer) {
	t.Helper()
	var found string
	if by.must(object{"op": "integrity"}, &found); found != "ok" {
		t.Errorf("integrity_check: %s", found)
	}
	if text, err := exec.Command(snapshotdBinary, "check", "--db", file).CombinedOutput(); err != nil || !strings.Contains(string(text), "no damage") {
		t.Errorf("check: %v %s", err, text)
	}
}

func TestSnapshotdAndTheEarlierServerTakeTurnsWithAFile(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"first", "last"} {
		file := filepath.Join(t.TempDir(), "snapshots.db")
		theirs := openEarlier(t, file, version)
		for i, draft := range []object{
			{"op": "save", "name": "auth", "summary": "Auth refactor", "context": "Half done", "next": "Tests"},
			{"op": "save", "summary": "会議の記録", "context": "東京で会議をした 🚀"},
		} {
			var id int
			if theirs.must(draft, &id); id != i+1 {
				t.Errorf("%s: saved as %d", version, id)
			}
		}
		ours := dropIn(t, file)
		expect := func(want, tool string, arguments object) {
			t.Helper()
			if got, err := say(t.Context(), ours, tool, arguments); err != nil || !strings.Contains(got, want) {
				t.Errorf("%s: %s %v: %q, %v; want %q", version, tool, arguments, got, err, want)
			}
		}
		expect("Resuming: Auth refactor\n\nContext:\nHalf done\n\nNext:\nTests", "load_snapshot", object{"name": "auth"})
		expect("#2", "search_snapshots", object{"query": "東京"})
		expect("Saved snapshot #3 (ours)", "save_snapshot", object{"name": "ours", "summary": "Written by snapshotd", "context": "c"})

		// The program from before has had the file open all the while.
		var row struct {
			ID      int    `json:"id"`
			Summary string `json:"summary"`
			Prompt  string `json:"continuation_prompt"`
		}
		theirs.must(object{"op": "load", "name": "ours"}, &row)
		if row.ID != 3 || row.Summary != "Written by snapshotd" || row.Prompt != "Resuming: Written by snapshotd\n\nContext:\nc" {
			t.Errorf("%s: the earlier server reads %+v", version, row)
		}
		var id, deleted int
		theirs.must(object{"op": "save", "summary": "fourth", "context": "ubiquitous"}, &id)
		theirs.must(object{"op": "delete", "id": 1}, &deleted)
		if id != 4 || deleted != 1 {
			t.Errorf("%s: saved as %d, deleted %d", version, id, deleted)
		}
		expect("#4", "search_snapshots", object{"query": "ubiquitous"})
		expect("not found", "load_snapshot", object{"id": 1})
		again := openEarlier(t, file) // with its own making of tables and indexes
		var listed []struct{ ID int }
		if again.must(object{"op": "list"}, &listed); len(listed) != 3 || listed[0].ID != 4 {
			t.Errorf("%s: the earlier server lists %v", version, listed)
		}
		undamaged(t, file, again)
	}
}

func TestSnapshotdAndTheEarlierServerWriteAFileAtOnce(t *testing.T) {
	t.Parallel()
	const each = 150
	file := filepath.Join(t.TempDir(), "snapshots.db")
	theirs := openEarlier(t, file)
	ours := dropIn(t, file)
	var work sync.WaitGroup
	var their, our []string
	work.Go(func() {
		for i := range each {
			var id int
			if err := theirs.ask(object{"op": "save", "summary": fmt.Sprint("theirs ", i), "context": "at once"}, &id); err != nil {
				t.Errorf("better-sqlite3: %v", err)
				return
			}
			their = append(their, fmt.Sprint(id))
		}
	})
	work.Go(func() {
		for i := range each {
			text, err := say(t.Context(), ours, "save_snapshot", object{"summary": fmt.Sprint("ours ", i), "context": "at once"})
			id, saved := strings.CutPrefix(text, "Saved snapshot #")
			if err != nil || !saved {
				t.Errorf("snapshotd: %s %v", text, err)
				return
			}
			our = append(our, id)
		}
	})
	work.Wait()
	ids := slices.Concat(their, our)
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 2*each {
		t.Errorf("%d snapshots were saved under %d ids", 2*each, n)
	}
	var listed []struct{ ID int }
	if theirs.must(object{"op": "list", "limit": 1000}, &listed); len(listed) != 2*each {
		t.Errorf("better-sqlite3 lists %d of %d", len(listed), 2*each)
	}
	if text, err := say(t.Context(), ours, "list_snapshots", object{"limit": 1000}); err != nil || strings.Count(text, "\n")+1 != 2*each {
		t.Errorf("snapshotd lists %d of %d, %v", strings.Count(text, "\n")+1, 2*each, err)
	}
	undamaged(t, file, theirs)
}
