package identitytest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const document = "../../docs/server-authors.md"

// blocks are the code blocks of a language in the page for authors of servers.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, part := range strings.Split("\n"+string(text), "\n```") {
		if i%2 == 0 {
			continue
		}
		first, code, _ := strings.Cut(part, "\n")
		if first == language {
			found = append(found, code+"\n")
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s shows no %q", document, language)
	}
	return found
}

// built is a program in Go.
func built(t *testing.T, code string) (binary string) {
	t.Helper()
	folder := t.TempDir()
	source, binary := filepath.Join(folder, "main.go"), filepath.Join(folder, "notes")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if err := os.WriteFile(source, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return binary
}

func TestDocumentedGoServerTrustsTheStampOnly(t *testing.T) {
	binary := built(t, blocks(t, "go")[0])
	Run(t, Config{Command: binary, Write: addNote, Read: listNotes, Scopes: []string{"notes:write"}, Calls: 500})
}

// What the server does with a message is shown in package integration, of such a server behind
// the gateway.
func TestDocumentedGoServerOverHTTPIsOne(t *testing.T) {
	code := blocks(t, "go")
	start := strings.Index(code[0], "\tif err := server.Run(")
	if start < 0 {
		t.Fatal("the page's server does not run")
	}
	built(t, strings.Replace(code[0][:start], "\"log\"\n", "\"log\"\n\t\"net/http\"\n", 1)+code[1]+"}\n")
}

func TestDocumentedNodeCodeIsThatOfTheExample(t *testing.T) {
	example, err := os.ReadFile("testdata/notes.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(t, "js") {
		if !strings.Contains(string(example), block) {
			t.Errorf("not in notes.mjs:\n%s", block)
		}
	}
}

// The page shows what the kit prints of the example, and of one that believes an
// argument.
func TestDocumentedReportsAreTrue(t *testing.T) {
	node := needsNode(t)
	example, err := os.ReadFile("testdata/notes.mjs")
	if err != nil {
		t.Fatal(err)
	}
	const right, wrong = "const { user } = caller(params);", "params.arguments?.user ?? caller(params).user"
	broken := strings.Replace(string(example), right, "const user = "+wrong+";", 1)
	if broken == string(example) {
		t.Fatalf("notes.mjs has no %q", right)
	}
	page, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), wrong) {
		t.Errorf("the page does not name the change %q", wrong)
	}
	shown := blocks(t, "")
	for i, server := range []string{string(example), broken} {
		file := filepath.Join(t.TempDir(), "server.mjs")
		if err := os.WriteFile(file, []byte(server), 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Check(context.Background(), Config{
			Command: node, Args: []string{file}, Eras: []Era{Modern}, Write: addNote, Read: listNotes, Calls: 200,
			Timeout: time.Minute, StopTimeout: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if _, err := report.WriteTo(&text); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(shown[i], "\n"); !strings.Contains(text.String(), want) {
			t.Errorf("the page shows\n%s\nof\n%s", want, &text)
		}
	}
}
