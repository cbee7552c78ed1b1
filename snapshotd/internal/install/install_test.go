package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

const program = "/usr/local/bin/snapshotd"

// machine is a home folder with a configuration of Cursor.
type machine struct {
	t      *testing.T
	system settings.System
	file   string
	folder string // of the records
}

func newMachine(t *testing.T, configuration string) machine {
	t.Helper()
	home := t.TempDir()
	m := machine{t, system("linux", home, nil), filepath.Join(home, ".cursor", "mcp.json"), filepath.Join(home, "own")}
	if configuration != "" {
		if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
			t.Fatal(err)
		}
		m.write(configuration)
	}
	return m
}

func (m machine) write(text string) {
	m.t.Helper()
	if err := os.WriteFile(m.file, []byte(text), 0o640); err != nil {
		m.t.Fatal(err)
	}
}

// read returns the configuration, "" if there is none.
func (m machine) read() string {
	m.t.Helper()
	data, err := os.ReadFile(m.file)
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return string(data)
}

func (m machine) records() *Records {
	m.t.Helper()
	records, err := ReadRecords(m.folder)
	if err != nil {
		m.t.Fatal(err)
	}
	return records
}

func (m machine) install(want Request) (Plan, string) {
	m.t.Helper()
	if want.Name == "" {
		want.Name = "snapshots"
	}
	want.Entry.Command = program
	plan, err := Install(client(m.t, "cursor"), m.system, want)
	if err != nil {
		m.t.Fatal(err)
	}
	backup, err := plan.Do(m.records())
	if err != nil {
		m.t.Fatal(err)
	}
	return plan, backup
}

func (m machine) uninstall() Plan {
	m.t.Helper()
	records := m.records()
	plan, err := Uninstall(client(m.t, "cursor"), m.system, records, program, "", "snapshots")
	if err == nil {
		_, err = plan.Do(records)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return plan
}

// servers reads the configuration as the client would.
func (m machine) servers() map[string]found {
	m.t.Helper()
	root := mustParse(m.t, []byte(m.read()))
	all := make(map[string]found)
	if i, _ := root.find("mcpServers"); i >= 0 {
		for _, server := range root.members[i].value.members {
			all[server.key.text] = read(server.value)
		}
	}
	return all
}

func TestUninstallGivesBackEveryByte(t *testing.T) {
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, document)
			plan, backup := m.install(Request{})
			if plan.Status != Installed || m.servers()["snapshots"].command != program {
				t.Fatalf("%s: %s", plan.Status, m.read())
			}
			if text, err := os.ReadFile(backup); err != nil || string(text) != document {
				t.Errorf("backup: %q, %v", text, err)
			}
			if got := m.uninstall(); got.Status != Restored || m.read() != document {
				t.Errorf("%s: %q", got.Status, m.read())
			}
			if left, err := filepath.Glob(m.file + "*"); err != nil || len(left) != 1 {
				t.Errorf("left: %v, %v", left, err)
			}
			if got := m.uninstall(); got.Status != Absent {
				t.Errorf("again: %s", got.Status)
			}
		})
	}
}

func TestInstallMakesAFileAndUninstallRemovesIt(t *testing.T) {
	for _, empty := range []string{"", " \n"} {
		m := newMachine(t, empty)
		plan, _ := m.install(Request{})
		if plan.Status != Installed || !json.Valid([]byte(m.read())) || m.servers()["snapshots"].command != program {
			t.Errorf("%s: %q", plan.Status, m.read())
		}
		if got := m.uninstall(); got.Status != Restored || m.read() != empty {
			t.Errorf("%s: %q", got.Status, m.read())
		}
	}
}

func TestInstallAgainChangesOnlyWhatItIsTold(t *testing.T) {
	const before = "{\n  \"mcpServers\": {}\n}\n"
	m := newMachine(t, before)
	m.install(Request{Entry: Entry{Args: []string{"--db", "/a.db"}}})
	text := m.read()
	if plan, _ := m.install(Request{}); plan.Status != Unchanged || m.read() != text {
		t.Errorf("%s: %s", plan.Status, m.read())
	}
	plan, _ := m.install(Request{Entry: Entry{Args: []string{"--db", "/b.db"}}})
	if args := m.servers()["snapshots"].args; plan.Status != Updated || len(args) != 2 || args[1] != "/b.db" {
		t.Errorf("%s: %v", plan.Status, args)
	}
	if got := m.uninstall(); got.Status != Restored || m.read() != before {
		t.Errorf("%s: %q", got.Status, m.read())
	}
}

func TestUpdateKeepsWhatTheUserAdded(t *testing.T) {
	m := newMachine(t, `{"mcpServers": {"snapshots": {"env": {"SNAPSHOT_KEEP_DAYS": "9"}, "command": "/old/snapshotd" /* mine */}}}`)
	plan, _ := m.install(Request{Entry: Entry{Args: []string{"--db", "/a.db"}}})
	const want = `{"mcpServers": {"snapshots": {"env": {"SNAPSHOT_KEEP_DAYS": "9"}, "command": "/usr/local/bin/snapshotd", /* mine */ "args": ["--db","/a.db"]}}}`
	if plan.Status != Updated || m.read() != want {
		t.Errorf("%s: %s", plan.Status, m.read())
	}
}

func TestUninstallOfAFileThatWasChangedTakesTheEntryAlone(t *testing.T) {
	m := newMachine(t, "{\n  \"mcpServers\": {\n    \"a\": {}\n  }\n}\n")
	m.install(Request{})
	m.write(strings.Replace(m.read(), `"a": {}`, `"b": {"command": "new"}`, 1))
	if got := m.uninstall(); got.Status != Removed || m.read() != "{\n  \"mcpServers\": {\n    \"b\": {\"command\": \"new\"}\n  }\n}\n" {
		t.Errorf("%s: %s", got.Status, m.read())
	}
}

func TestUninstallRemovesTheListThatItMade(t *testing.T) {
	m := newMachine(t, "{\n  \"a\": 1\n}\n")
	m.install(Request{})
	m.write(strings.Replace(m.read(), `"a": 1`, `"a": 2`, 1))
	if got := m.uninstall(); got.Status != Removed || m.read() != "{\n  \"a\": 2\n}\n" {
		t.Errorf("%s: %s", got.Status, m.read())
	}
}

func TestUninstallWithoutARecord(t *testing.T) {
	m := newMachine(t, `{"mcpServers": {"snapshots": {"command": "C:\\bin\\SnapshotD.exe"}, "b": {}}}`)
	if got := m.uninstall(); got.Status != Removed || m.read() != `{"mcpServers": { "b": {}}}` && m.read() != `{"mcpServers": {"b": {}}}` {
		t.Errorf("%s: %s", got.Status, m.read())
	}
}

func TestAnEntryThatIsOursNoMoreIsLeftAlone(t *testing.T) {
	m := newMachine(t, "{}")
	m.install(Request{})
	m.write(`{"mcpServers": {"snapshots": {"command": "/other/server"}}}`)
	_, err := Uninstall(client(t, "cursor"), m.system, m.records(), program, "", "snapshots")
	if err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("got %v", err)
	}
}

// originalEntry is what the TypeScript server's installer wrote.
const originalEntry = `{
      "command": "node",
      "args": ["/opt/claude-snapshots/dist/index.js"],
      "env": {"SNAPSHOT_DB_PATH": "/home/a/snapshots.db"}
    }`

func TestTheOriginalIsReplacedOnlyByConsentAndPutBack(t *testing.T) {
	for _, name := range []string{"snapshots", "claude-snapshots"} {
		before := "{\n  \"mcpServers\": {\n    \"" + name + "\": " + originalEntry + ",\n    \"b\": {}\n  }\n}\n"
		m := newMachine(t, before)
		_, err := Install(client(t, "cursor"), m.system, Request{Name: "snapshots", Entry: Entry{Command: program}})
		if err == nil || !strings.Contains(err.Error(), "TypeScript server") || !strings.Contains(err.Error(), "--replace") {
			t.Errorf("without consent: %v", err)
		}
		plan, _ := m.install(Request{Replace: true})
		entry := m.servers()[name]
		if plan.Status != Replaced || entry.command != program || len(entry.args) != 2 || entry.args[1] != "/home/a/snapshots.db" {
			t.Errorf("%s: %s", plan.Status, m.read())
		}
		if !strings.Contains(plan.Note, "/home/a/snapshots.db is kept") {
			t.Errorf("note %q", plan.Note)
		}
		// Also where somebody has changed the file since.
		m.write(strings.Replace(m.read(), `"b": {}`, `"b": {"x": 1}`, 1))
		if got := m.uninstall(); got.Status != Removed || m.read() != strings.Replace(before, `"b": {}`, `"b": {"x": 1}`, 1) {
			t.Errorf("%s: %s", got.Status, m.read())
		}
	}
}

func TestTheOriginalOnAnotherDatabaseStays(t *testing.T) {
	m := newMachine(t, "{\"mcpServers\": {\"old\": "+originalEntry+"}}")
	plan, _ := m.install(Request{Database: "/other.db", Entry: Entry{Args: []string{"--db", "/other.db"}}})
	if servers := m.servers(); plan.Status != Installed || servers["old"].command != "node" || servers["snapshots"].command != program {
		t.Errorf("%s: %s", plan.Status, m.read())
	}
}

func TestAnotherServersEntryIsRefused(t *testing.T) {
	m := newMachine(t, `{"mcpServers": {"snapshots": {"command": "other"}}}`)
	_, err := Install(client(t, "cursor"), m.system, Request{Name: "snapshots", Entry: Entry{Command: program}})
	if err == nil || !strings.Contains(err.Error(), "another --name") {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeEditedSafelyIsLeftAlone(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"mcpServers\": oops}":             "line 2",
		"[]":                                   "must hold an object",
		`{"mcpServers": []}`:                   `"mcpServers" must be an object`,
		`{"mcpServers": {}, "mcpServers": {}}`: `"mcpServers" is there twice`,
		`{"mcpServers": {"snapshots": 1, "snapshots": 2}}`:  `"snapshots" is there twice`,
		`{"mcpServers": {}, "\u006dcpServers": {"a": "b"}}`: `"mcpServers" is there twice`,
	} {
		m := newMachine(t, text)
		if _, err := Install(client(t, "cursor"), m.system, Request{Name: "snapshots"}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), m.file) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestLinksAndModesAreKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes, and links need a privilege")
	}
	m := newMachine(t, "{}")
	target := filepath.Join(t.TempDir(), "dotfiles.json")
	if err := os.Rename(m.file, target); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, m.file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o604); err != nil {
		t.Fatal(err)
	}
	_, backup := m.install(Request{})
	if info, err := os.Lstat(m.file); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o604 {
		t.Errorf("mode %v, %v", info, err)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: mode %v, %v", info, err)
	}
	m.uninstall()
	if text, err := os.ReadFile(target); err != nil || string(text) != "{}" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestALinkThatLeadsNowhereIsLeftAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege on Windows")
	}
	m := newMachine(t, "{}")
	if err := os.Remove(m.file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere.json", m.file); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(client(t, "cursor"), m.system, Request{Name: "snapshots"}); err == nil || !strings.Contains(err.Error(), "link to a file that is not there") {
		t.Errorf("got %v", err)
	}
}

func TestAFileThatChangesMeanwhileIsNotOverwritten(t *testing.T) {
	m := newMachine(t, "{}")
	plan, err := Install(client(t, "cursor"), m.system, Request{Name: "snapshots", Entry: Entry{Command: program}})
	if err != nil {
		t.Fatal(err)
	}
	m.write(`{"theirs": true}`)
	if _, err := plan.Do(m.records()); err == nil || !strings.Contains(err.Error(), "changed by another program") {
		t.Errorf("got %v", err)
	}
	if m.read() != `{"theirs": true}` {
		t.Errorf("left %s", m.read())
	}
	if left, err := filepath.Glob(m.file + "*"); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestDiffShowsTheChangeAndItsSurroundings(t *testing.T) {
	p := Plan{File: "f", Exists: true, Remains: true, Before: []byte("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), After: []byte("1\n2\n3\n4\n5\nx\ny\n7\n8\n9\n")}
	if got, want := p.Diff(), "--- f\n+++ f\n@@ -3,7 +3,8 @@\n 3\n 4\n 5\n-6\n+x\n+y\n 7\n 8\n 9\n"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := (Plan{File: "f", Remains: true, After: []byte("a\n")}).Diff(), "--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a\n"; got != want {
		t.Errorf("got %s", got)
	}
	if got := (Plan{File: "f", Exists: true, Remains: true, Before: []byte("a"), After: []byte("a")}).Diff(); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestDamagedRecordsAreTold(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, recordName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRecords(folder); err == nil || !strings.Contains(err.Error(), recordName) {
		t.Errorf("got %v", err)
	}
}
