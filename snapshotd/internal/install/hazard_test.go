package install

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ours is an entry of snapshotd's that nobody remembers.
const ours = `"snapshots": {"command": "` + program + `"}`

// TestUninstallLosesNoServerToAComment takes an entry out from between a comment to the end of
// its line and another entry, which would then be within the comment.
func TestUninstallLosesNoServerToAComment(t *testing.T) {
	for _, document := range []string{
		"{\"mcpServers\": {\n  \"a\": {}, // note\n  " + ours + ", \"b\": {}\n}}",
		"{\"mcpServers\": {\n  \"a\": {}, // note\n  " + ours + ", /* b */ \"b\": {}\n}}",
		"{\"mcpServers\": {\n  \"a\": {} // note\n  , " + ours + ", \"b\": {}}}",
		"{\"mcpServers\": { // note\n  " + ours + ", \"a\": {}, \"b\": {}}}",
		"{\"mcpServers\": {\r\n  \"a\": {}, // note\r\n  " + ours + ", \"b\": {}\r\n}}",
		"{\"mcpServers\": {\r  \"a\": {}, // note\r  " + ours + ", \"b\": {}\r}}", // lines as the first Macintoshes had them
		"{\"mcpServers\": {\"a\": {}, \"b\": {}, // note\n" + ours + "}, \"x\": {\"snapshots\": 1}}",
	} {
		m := newMachine(t, document)
		if plan := m.uninstall(); plan.Status != Removed {
			t.Errorf("%q: %+v", document, plan)
		}
		left := m.servers()
		_, a := left["a"]
		_, b := left["b"]
		if len(left) != 2 || !a || !b {
			t.Errorf("%q became %q", document, m.read())
		}
		if notes := strings.Count(document, "note"); strings.Count(m.read(), "note") != notes || strings.Contains(document, `"x"`) && !strings.Contains(m.read(), `"x"`) {
			t.Errorf("%q became %q", document, m.read())
		}
	}
}

// TestLinesThatEndInACRAlone is about such ends of comments. The line breaks that are added
// are of the usual kind.
func TestLinesThatEndInACRAlone(t *testing.T) {
	for _, document := range []string{
		"{\r  \"mcpServers\": { // mine\r    \"a\": {\"command\": \"x\"} // a\r  }\r}\r",
		"{\r  \"mcpServers\": {\r    \"a\": {\"command\": \"x\"}\r  }\r}\r",
		"{\"mcpServers\": {\"a\": {\"command\": \"x\"}}, // mine\r}",
	} {
		m := newMachine(t, document)
		m.install(Request{})
		if left := m.servers(); left["a"].command != "x" || left["snapshots"].command != program {
			t.Errorf("%q", m.read())
		}
		if m.uninstall(); m.read() != document {
			t.Errorf("left %q", m.read())
		}
	}
}

func TestAFileOfNothingButAByteOrderMark(t *testing.T) {
	for _, document := range []string{"\ufeff", "\ufeff\r\n"} {
		m := newMachine(t, document)
		m.install(Request{})
		if text := m.read(); !strings.HasPrefix(text, "\ufeff{") || m.servers()["snapshots"].command != program {
			t.Errorf("%q", text)
		}
		if m.uninstall(); m.read() != document {
			t.Errorf("left %q", m.read())
		}
	}
}

func TestAPlanThatChangesMoreIsRefused(t *testing.T) {
	const entry = `"snapshots": {"command": "c"}`
	for after, fine := range map[string]bool{
		`{"a": 1, "mcpServers": {"b": {}, ` + entry + `}}`:                    true,
		`{"a": 1, /**/ "mcpServers": {"b": {}, ` + entry + `,},}`:             true,
		`{"a": 1, "mcpServers": {"b": {}}}`:                                   false, // without the entry
		`{"a": 2, "mcpServers": {"b": {}, ` + entry + `}}`:                    false,
		`{"mcpServers": {"b": {}, ` + entry + `}}`:                            false,
		`{"a": 1, "mcpServers": {"c": {}, ` + entry + `}}`:                    false,
		`{"a": 1, "mcpServers": {` + entry + `}}`:                             false,
		`{"a": 1, "mcpServers": {"b": {}, ` + entry + `}, ` + entry + `}`:     false,
		`{"a": 1, "mcpServers": {"b": {}, ` + entry + `, ` + entry + `}}`:     false,
		`{"a": 1, "mcpServers": {"b": {"x": 1}, ` + entry + `}}`:              false,
		`{"a": 1, "mcpServers": {"b": {}, ` + entry + ` "c": 1}}`:             false,
		`{"mcpServers": {"b": {}, ` + entry + `}, "a": 1}`:                    false, // in another order
		`{"a": 1, "mcpServers": {"b": {}, ` + entry + `}, "mcpServers": {} }`: false,
	} {
		p := Plan{Client: client(t, "cursor"), Name: "snapshots", Before: []byte(`{"a": 1, "mcpServers": {"b": {}}}`), After: []byte(after)}
		if err := p.verify(true); fine != (err == nil) {
			t.Errorf("%s: %v", after, err)
		}
	}
}

func TestWhatIsNotWrittenIsNotRemembered(t *testing.T) {
	m := newMachine(t, `{"mcpServers": {}}`)
	install := func(args ...string) error {
		t.Helper()
		plan, err := Install(client(t, "cursor"), m.system, Request{Name: "snapshots", Entry: Entry{Command: program, Args: args}})
		if err != nil {
			t.Fatal(err)
		}
		before := m.read()
		m.write(before + " ") // by another program
		_, err = plan.Do(m.records())
		m.write(before)
		return err
	}
	if err := install(); err == nil || m.records().of(m.file, "") != nil {
		t.Errorf("%v, remembered %+v", err, m.records().all)
	}
	m.install(Request{})
	remembered := *m.records().of(m.file, "")
	if err := install("--db", "x"); err == nil || *m.records().of(m.file, "") != remembered {
		t.Errorf("%v, remembered %+v, and before %+v", err, m.records().all, remembered)
	}
	if m.uninstall(); m.read() != `{"mcpServers": {}}` {
		t.Errorf("left %q", m.read())
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(m.file), "*")); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestAnInstallThatWasKilledIsUndone leaves off after what is done is remembered, and before
// it is done.
func TestAnInstallThatWasKilledIsUndone(t *testing.T) {
	const document = `{"a": 1}`
	m := newMachine(t, document)
	plan, backup := m.install(Request{})
	m.write(document)
	if plan := m.uninstall(); plan.Status != Absent || m.read() != document || m.records().of(m.file, "") != nil {
		t.Errorf("%+v, %q", plan, m.read())
	}
	if text, err := os.ReadFile(backup); err != nil || string(text) != string(plan.Before) {
		t.Errorf("the backup is %q, %v", text, err)
	}
}

func TestTwoInstallsAtOnceAreBothRemembered(t *testing.T) {
	folder := t.TempDir()
	read := func() *Records {
		records, err := ReadRecords(folder)
		if err != nil {
			t.Fatal(err)
		}
		return records
	}
	one, other := read(), read()
	if err := errors.Join(one.add(record{File: "a", Name: "n"}), other.add(record{File: "b", Name: "n"})); err != nil {
		t.Fatal(err)
	}
	if err := one.forget(record{File: "a", Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if all := read(); all.of("a", "n") != nil || all.of("b", "n") == nil {
		t.Errorf("remembered %+v", all.all)
	}
}

func TestAFileThatChangesInTheLastMomentIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Plan{File: path, Exists: true, Before: []byte("before")}
	err := writeWhole(path, []byte("ours"), 0o600, func(path string) error {
		if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		return p.unchanged(path)
	})
	text, failed := os.ReadFile(path)
	if err == nil || failed != nil || string(text) != "theirs" {
		t.Errorf("%v, %q, %v", err, text, failed)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}
