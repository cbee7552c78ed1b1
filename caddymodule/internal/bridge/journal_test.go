package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// journal keeps log records, and lets a test wait for one.
type journal struct {
	mu      sync.Mutex
	added   *sync.Cond
	records []map[string]string
}

func newJournal() *journal {
	j := &journal{}
	j.added = sync.NewCond(&j.mu)
	return j
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
	j.added.Broadcast()
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
	late := false
	timer := time.AfterFunc(patience, func() {
		j.mu.Lock()
		late = true
		j.mu.Unlock()
		j.added.Broadcast()
	})
	defer timer.Stop()
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		for _, record := range j.records {
			if fits(record) {
				return record
			}
		}
		if late {
			t.Fatalf("no record: %s", what)
		}
		j.added.Wait()
	}
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

// count is how many lines with all the texts the children have read.
func (j *journal) count(texts ...string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range j.records {
		if hasAll(r["line"], texts) {
			n++
		}
	}
	return n
}
