package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
)

// binary is snapshotd as it is shipped, built once for all tests with buildFlags.
var (
	binary     string
	buildFlags = []string{"-ldflags", "-s -w -X main.release=v9.8.7"}
)

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "snapshotd-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "snapshotd")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", binary, ".")...)
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// promptExit keeps the race detector from holding up the end of snapshotd by its usual second.
const promptExit = "GORACE=atexit_sleep_ms=0"

// command is snapshotd with an environment of its own, whose home is the folder.
func command(ctx context.Context, home string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"HOME=" + home, "USERPROFILE=" + home, "APPDATA=" + filepath.Join(home, "appdata"), promptExit}
	cmd.Dir = home
	return cmd
}

// finished is how a run ended.
type finished struct {
	status         int
	stdout, stderr string
}

// patience is how long a run may take. Nothing that works comes near it.
const patience = 5 * time.Minute

// runToEnd runs snapshotd over the whole input.
func runToEnd(t testing.TB, home string, env []string, input string, args ...string) finished {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := command(ctx, home, args...)
	cmd.Env = append(cmd.Env, env...)
	return runCmd(t, cmd, input)
}

// runCmd runs a command over the whole input.
func runCmd(t testing.TB, cmd *exec.Cmd, input string) finished {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return finished{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// connect starts snapshotd behind go-sdk's client. Version "" negotiates. When the
// test ends the session is closed and the process must have exited with 0.
func connect(t testing.TB, version, home string, args ...string) *mcp.ClientSession {
	t.Helper()
	cmd := command(context.Background(), home, args...)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), &mcp.CommandTransport{Command: cmd},
		&mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatalf("connect: %v\n%s", err, stderr)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if code := cmd.ProcessState.ExitCode(); code != 0 || stderr.Len() > 0 {
			t.Errorf("status %d, stderr %q", code, stderr)
		}
	})
	return session
}

func call(t testing.TB, session *mcp.ClientSession, meta mcp.Meta, tool string, arguments map[string]any) string {
	t.Helper()
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: arguments, Meta: meta})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return result.Content[0].(*mcp.TextContent).Text
}

// stamp is what the gateway puts into _meta for a user who may do everything.
func stamp(subject string) mcp.Meta {
	return stampWith(subject, "snapshot:read", "snapshot:write", "snapshot:delete")
}

func stampWith(subject string, scopes ...string) mcp.Meta {
	const issuer = "https://as.example"
	return mcp.Meta{identity.MetaKey: identity.Identity{
		Issuer: issuer, Subject: subject, User: identity.UserKey(issuer, subject),
		Scopes: scopes,
	}}
}

// lines writes requests as a client would that does not wait for answers.
func lines(messages ...any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	for _, m := range messages {
		if err := encoder.Encode(m); err != nil {
			panic(err)
		}
	}
	return b.String()
}

type object = map[string]any

func initialize() object {
	return object{"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": object{
		"protocolVersion": "2025-06-18", "capabilities": object{}, "clientInfo": object{"name": "raw", "version": "1"}}}
}

func toolCall(id any, tool string, arguments object) object {
	return object{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": object{"name": tool, "arguments": arguments}}
}

// answers reads answers by id and holds that there is nothing else, save that the list of
// resources has changed.
func answers(t testing.TB, stdout string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	decoder := json.NewDecoder(strings.NewReader(stdout))
	for {
		var message struct {
			ID     any
			Method string
			Result struct{ Content []struct{ Text string } }
		}
		if err := decoder.Decode(&message); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatalf("%v in %q", err, stdout)
		}
		if message.Method == "notifications/resources/list_changed" {
			continue
		}
		id := fmt.Sprint(message.ID)
		if _, twice := found[id]; twice {
			t.Errorf("id %s is answered twice", id)
		}
		found[id] = ""
		if len(message.Result.Content) > 0 {
			found[id] = message.Result.Content[0].Text
		}
	}
}

func userOf(subject string) string {
	return stamp(subject)[identity.MetaKey].(identity.Identity).User
}

func withMeta(message object, subject string) object {
	message["params"].(object)["_meta"] = stamp(subject)
	return message
}
