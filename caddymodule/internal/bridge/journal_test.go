package bridge

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// journal keeps log records, and what children have read, and lets a test wait for either.
type journal struct {
	mu      sync.Mutex
	records []map[string]string
	trace   *bufio.Reader // of the file that children write to; nil if they do not
	begun   string        // of a line that was not there whole
}

func newJournal() *journal { return &journal{} }

// traces replaces [trace] in an environment by the name of a file for it. A log would leave
// lines out where there are many at once, and have the others late.
func (j *journal) traces(t testing.TB, env []string) []string {
	t.Helper()
	if !slices.Contains(env, trace) {
		return env
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "trace"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	j.trace = bufio.NewReader(file)
	env = slices.Clone(env)
	for i, variable := range env {
		if variable == trace {
			env[i] = "TEST_TRACE=" + file.Name()
		}
	}
	return env
}

// follow enters what children have read by now. j.mu is held.
func (j *journal) follow() {
	for j.trace != nil {
		text, err := j.trace.ReadString('\n')
		j.begun += text
		if err != nil {
			return
		}
		j.records = append(j.records, map[string]string{"line": strings.TrimSuffix(j.begun, "\n")})
		j.begun = ""
	}
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	record := map[string]string{"msg": r.Message}
	r.Attrs(func(a slog.Attr) bool {
		record[a.Key] = a.Value.String()
		return true
	})
	j.add(record)
	return nil
}

func (j *journal) add(record map[string]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, record)
}

// journalCore puts audit records into the same journal.
type journalCore struct {
	zapcore.LevelEnabler
	journal *journal
}

func (c journalCore) With([]zap.Field) zapcore.Core { return c }
func (c journalCore) Sync() error                   { return nil }

func (c journalCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return to.AddCore(e, c)
}

func (c journalCore) Write(e zapcore.Entry, fields []zap.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(values)
	}
	record := map[string]string{"msg": e.Message}
	for name, value := range values.Fields {
		record[name] = fmt.Sprint(value)
	}
	c.journal.add(record)
	return nil
}

// await returns the first record that fits.
func (j *journal) await(t testing.TB, what string, fits func(map[string]string) bool) map[string]string {
	t.Helper()
	looked := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		late := time.Now().After(deadline)
		for _, record := range j.since(looked) {
			if looked++; fits(record) {
				return record
			}
		}
		if late {
			t.Fatalf("no record: %s", what)
		}
	}
}

// since returns the records behind the first n.
func (j *journal) since(n int) []map[string]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.follow()
	return j.records[n:len(j.records):len(j.records)]
}

// read waits until a child has read a line with all the texts. It needs [trace].
func (j *journal) read(t testing.TB, texts ...string) string {
	t.Helper()
	return j.await(t, "the child reads "+strings.Join(texts, " and "), func(r map[string]string) bool {
		return strings.HasPrefix(r["line"], "read ") && hasAll(r["line"], texts)
	})["line"]
}

func hasAll(s string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(s, text) {
			return false
		}
	}
	return true
}

// outcome waits for the audit record of a method or tool.
func (j *journal) outcome(t testing.TB, of string) map[string]string {
	t.Helper()
	return j.await(t, "a call of "+of, func(r map[string]string) bool {
		return r["msg"] == "call" && (r["method"] == of || r["tool"] == of)
	})
}

// count is how many lines with all the texts the children have read. They have read what they
// have answered.
func (j *journal) count(texts ...string) int {
	n := 0
	for _, r := range j.since(0) {
		if hasAll(r["line"], texts) {
			n++
		}
	}
	return n
}
