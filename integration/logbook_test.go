package integration_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// entry is one line of Caddy's log.
type entry = map[string]any

// logbook takes what a process writes and reads its lines as JSON.
type logbook struct {
	mu      sync.Mutex
	all     bytes.Buffer
	rest    []byte // the line that is not complete yet
	entries []entry
	more    chan struct{} // closed and replaced when entries are added
}

func newLogbook() *logbook { return &logbook{more: make(chan struct{})} }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		var e entry
		if json.Unmarshal(line, &e) == nil { // what comes before the log is set up is no JSON
			l.entries = append(l.entries, e)
		}
		l.rest = rest
	}
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// find returns the entries that match.
func (l *logbook) find(match func(entry) bool) (found []entry, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if match(e) {
			found = append(found, e)
		}
	}
	return found, l.more
}

// await waits until count entries match.
func (l *logbook) await(t testing.TB, count int, match func(entry) bool) []entry {
	t.Helper()
	timeout := time.After(patience)
	for {
		found, more := l.find(match)
		if len(found) >= count {
			return found
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%d of %d expected log entries came:\n%s", len(found), count, l.text())
		}
	}
}

// isAccess matches entries of the access log.
func isAccess(e entry) bool {
	name, _ := e["logger"].(string)
	return strings.HasPrefix(name, "http.log.access")
}

// accessed matches entries of the access log by a field.
func accessed(field string, value any) func(entry) bool {
	return func(e entry) bool { return isAccess(e) && e[field] == value }
}

// faults are the panics and data races in a log, those of Caddy's own code apart, which
// no test of ours can mend.
func faults(log string) (found []string) {
	for part := range strings.SplitSeq(log, "==================\n") {
		// A function of package main has no path in a report.
		if strings.HasPrefix(part, "WARNING: DATA RACE") && strings.Contains(part, "github.com/snapgate/snapgate/") {
			found = append(found, part)
		}
	}
	for line := range strings.Lines(log) {
		// What a server writes on standard error is a member of an entry.
		child := strings.HasPrefix(line, "{") && strings.Contains(line, "DATA RACE")
		if child || strings.Contains(line, "panic:") || strings.Contains(line, "fatal error:") {
			_, rest, _ := strings.Cut(log, line)
			found = append(found, line+rest[:min(len(rest), 8000)])
		}
	}
	return found
}

func TestFaultsOfOursAreSeenInALog(t *testing.T) {
	const sep, warning = "==================\n", "WARNING: DATA RACE\n"
	cases := map[string]int{
		`{"msg":"fine"}` + "\n": 0,
		sep + warning + "  github.com/caddyserver/caddy/v2.run()\n  main.main()\n" + sep:    0,
		sep + warning + "  github.com/snapgate/snapgate/caddymodule.(*App).Start()\n" + sep: 1,
		`{"msg":"stderr of the process","line":"WARNING: DATA RACE"}` + "\n":                1,
		"panic: runtime error\n":                                   1,
		`{"line":"fatal error: all goroutines are asleep"}` + "\n": 1,
	}
	for log, want := range cases {
		if got := faults("{}\n" + log + "{}\n"); len(got) != want {
			t.Errorf("%q: %q, want %d", log, got, want)
		}
	}
}
