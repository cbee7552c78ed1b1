package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/settings"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const issuer = "https://as.example"

// today is the clock of the tests.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shell runs commands on a machine of its own.
type shell struct {
	t        testing.TB
	home     string
	env      map[string]string
	in       string
	terminal bool
	now      func() time.Time
}

func newShell(t testing.TB) *shell {
	return &shell{t: t, home: t.TempDir(), env: map[string]string{}, now: func() time.Time { return today }}
}

// path is a path on the machine.
func (s *shell) path(below ...string) string {
	return filepath.Join(append([]string{s.home}, below...)...)
}

type outcome struct {
	status   int
	out, log string
}

func (s *shell) run(args ...string) outcome {
	s.t.Helper()
	var out, log bytes.Buffer
	status := Run(context.Background(), args, Surroundings{
		System: settings.System{
			Getenv: func(name string) string { return s.env[name] },
			Home:   func() (string, error) { return s.home, nil },
			OS:     "linux",
		},
		In: strings.NewReader(s.in), Out: &out, Log: &log, Terminal: s.terminal, Now: s.now,
		Executable: func() (string, error) { return "/usr/local/bin/snapshotd", nil },
	})
	return outcome{status, out.String(), log.String()}
}

// do runs a command that must be done without a word on standard error.
func (s *shell) do(args ...string) string {
	s.t.Helper()
	got := s.run(args...)
	if got.status != Done || got.log != "" {
		s.t.Fatalf("%v: %+v", args, got)
	}
	return got.out
}

// reads runs a command with --json and decodes what it prints.
func reads[T any](s *shell, args ...string) T {
	s.t.Helper()
	var v T
	decoder := json.NewDecoder(strings.NewReader(s.do(append(args, "--json")...)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// fails runs a command that must fail with a status and say all these.
func (s *shell) fails(status int, wants []string, args ...string) {
	s.t.Helper()
	got := s.run(args...)
	if got.status != status || got.out != "" {
		s.t.Errorf("%v: %+v, want status %d", args, got, status)
	}
	for _, want := range wants {
		if !strings.Contains(got.log, want) {
			s.t.Errorf("%v: %q does not say %q", args, got.log, want)
		}
	}
}

func ownerOf(subject string) store.Owner {
	return store.Owner{User: identity.UserKey(issuer, subject), Issuer: issuer, Subject: subject}
}

// file opens a database on the machine as a server would, until the test ends.
func (s *shell) file(path string, owner *store.Owner) store.Store {
	s.t.Helper()
	opened, err := store.Open(context.Background(), path, store.Options{Owner: owner, Adopt: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return opened
}

func (s *shell) user(subject string) store.Store {
	s.t.Helper()
	owner := ownerOf(subject)
	return s.file(store.UserFile(s.path("users"), owner), &owner)
}

func fill(t testing.TB, s store.Store, summaries ...string) {
	t.Helper()
	for _, summary := range summaries {
		if _, err := s.Save(context.Background(), store.Draft{Summary: summary, Context: "context"}); err != nil {
			t.Fatal(err)
		}
	}
}

// summaries are those of all snapshots, the newest first.
func summaries(t testing.TB, s store.Store) string {
	t.Helper()
	entries, err := s.List(context.Background(), -1)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Summary)
	}
	return strings.Join(all, " ")
}

// dated writes snapshots as lines, each a day older than the one before.
func dated(names ...string) string {
	var b strings.Builder
	for i, name := range names {
		at := today.AddDate(0, 0, -i).Format(time.DateTime)
		fmt.Fprintf(&b, `{"id":%d,"name":%q,"summary":"s%d","context":"c","created_at":%q}`+"\n", len(names)-i, name, i, at)
	}
	return b.String()
}
