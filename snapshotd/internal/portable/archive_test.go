package portable

import (
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func numbered(n int64) store.Snapshot {
	s := snapshot(store.Draft{Summary: "s", Context: "c"})
	s.ID = n
	return s
}

// some yields snapshots and then perhaps an error.
func some(err error, ids ...int64) iter.Seq2[store.Snapshot, error] {
	return func(yield func(store.Snapshot, error) bool) {
		for _, id := range ids {
			if !yield(numbered(id), nil) {
				return
			}
		}
		if err != nil {
			yield(store.Snapshot{}, err)
		}
	}
}

func TestAUserWhoCannotBeReadLeavesNothingInAnArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := NewArchiveWriter(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for user, failure := range map[string]error{"a": nil, "b": broken, "c": nil} {
		if _, err := w.User(store.Owner{User: user, Issuer: "i", Subject: user}, some(failure, 1, 5)); !errors.Is(err, failure) {
			t.Errorf("%s: %v", user, err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if len(a.Users) != 2 || a.Users[0].User == "b" || a.Users[1].User == "b" {
		t.Fatalf("users %+v", a.Users)
	}
	for range 2 { // it can be read again
		for i := range 2 {
			user := a.Users[1-i]
			var ids []int64
			for s, err := range a.Snapshots(user) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, s.ID)
			}
			if len(ids) != 2 || ids[0] != 1 || ids[1] != 5 || user.Subject != user.User {
				t.Errorf("%+v has %v", user, ids)
			}
		}
	}
}

func TestAnArchiveThatIsNotWholeIsRefused(t *testing.T) {
	const (
		begin = `{"archive":"snapshotd","version":1}` + "\n"
		user  = `{"user":"u","issuer":"i","subject":"s"}` + "\n"
		one   = `{"id":1,"summary":"s","context":"c","created_at":"2025-10-26 12:00:00"}` + "\n"
		done  = `{"end":"u","snapshots":1}` + "\n"
		other = `{"user":"o"}` + "\n" + `{"end":"o"}` + "\n"
		end   = `{"archive":"end","users":1,"snapshots":1}` + "\n"
	)
	for text, want := range map[string]string{
		begin + user + one + done + end: "",
		"":                              "does not begin",
		`{"archive":"snapshotd","version":2}` + "\n": "version 2",
		begin:                                  "its end is missing",
		begin + user + one:                     "its end is missing",
		begin + user + one + done:              "its end is missing",
		begin + user + done + end:              `line 3: it must be the end of user "u" with 0 snapshots`,
		begin + user + one + user + done + end: "line 4: it must be the end",
		begin + one + end:                      "line 2: it belongs to no user",
		begin + user + one + one + done + end:  "line 4: its id is 1",
		begin + user + strings.Replace(one, "2025", "long ago", 1) + done + end:                "line 3: ",
		begin + user + one + done + user + one + done + end:                                    `line 5: user "u" is there twice`,
		begin + user + one + done + other + end:                                                "counts 1 users and 1 snapshots, and there are 2 and 1",
		begin + user + one + done + end + begin + user + one + done + end:                      "line 6: there is more behind its end",
		begin + user + one + done + end + "\x00\x00":                                           "line 6: there is more behind its end",
		begin + user + one + done + end + "\n\r\n":                                             "",
		strings.ReplaceAll(begin+user+one+done+end, "\n", "\r\n"):                              "",
		begin + strings.ReplaceAll(user+one+done, `"u"`, `".."`) + end:                         `line 2: ".." is no user's key`,
		begin + strings.ReplaceAll(user+one+done, `"u"`, `"../../u"`) + end:                    "is no user's key",
		begin + strings.ReplaceAll(user+one+done, `"u"`, `"/u"`) + end:                         "is no user's key",
		begin + strings.ReplaceAll(user+one+done, `"u"`, `"\\u"`) + end:                        "is no user's key",
		begin + strings.ReplaceAll(user+one+done, `"u"`, `"."`) + end:                          "is no user's key",
		begin + strings.ReplaceAll(user+one+done, `"u"`, `""`) + end:                           "", // a local user
		begin + strings.ReplaceAll(user+one+done, `"u"`, `"\u0000"`) + end:                     "is no user's key",
		begin + user + strings.Replace(one, `"id":1`, `"id":0`, 1) + done + end:                "line 3: its id is 0",
		begin + user + strings.Replace(one, `"id":1`, `"id":-1`, 1) + done + end:               "line 3: its id is -1",
		begin + user + strings.Replace(one, `"id":1`, `"id":9007199254740992`, 1) + done + end: "line 3: ",
		begin + user + strings.Replace(one, `"id":1`, `"id":1.5`, 1) + done + end:              "line 3: ",
		begin + user + strings.Replace(one, `:"s"`, ":\"\xed\xa0\x80\"", 1) + done + end:       "line 3: it is not UTF-8",
		begin + user + strings.Replace(one, `"s"`, "\"\x00\"", 1) + done + end:                 "line 3: ",
	} {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := OpenArchive(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if err == nil {
			a.Close()
		}
		if is, err := IsArchive(path); err != nil || is != strings.HasPrefix(text, `{"archive"`) {
			t.Errorf("%q: archive %v, %v", text, is, err)
		}
	}
}

// TestWhatCouldNotBeRestoredIsNotArchived is about rows that other programs wrote: an archive
// is no backup if it is refused when it is needed.
func TestWhatCouldNotBeRestoredIsNotArchived(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "a.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := NewArchiveWriter(file)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*store.Snapshot)) store.Snapshot {
		s := numbered(5)
		change(&s)
		return s
	}
	for _, s := range []store.Snapshot{
		with(func(s *store.Snapshot) { s.CreatedAt = "yesterday" }), with(func(s *store.Snapshot) { s.ID = store.MaxID + 1 }),
		with(func(s *store.Snapshot) { s.ID = 0 }), with(func(s *store.Snapshot) { s.ID = -5 }),
		with(func(s *store.Snapshot) { s.Context = "caf\xe9" }), with(func(s *store.Snapshot) { s.ContinuationPrompt = "\xff" }),
	} {
		_, err := w.User(store.Owner{User: "u"}, func(yield func(store.Snapshot, error) bool) { yield(s, nil) })
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := w.User(store.Owner{User: "u"}, some(nil, 1)); err != nil {
		t.Error(err)
	}
}

func TestAFileThatCannotBeReadIsNotTakenForNoArchive(t *testing.T) {
	folder := t.TempDir()
	if is, err := IsArchive(folder); is || err != nil { // the folder that "backup --all" makes
		t.Errorf("a folder: %v, %v", is, err)
	}
	if is, err := IsArchive(filepath.Join(folder, "none")); is || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v, %v", is, err)
	}
	broken := errors.New("input/output error")
	for text, want := range map[string]error{"": broken, `{"archive":"snapshotd",`: broken, `{"archive":"snapshotd","version":1}` + "\n": nil} {
		is, err := beginsAsArchive(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
		if !errors.Is(err, want) || is != (want == nil) {
			t.Errorf("%q and then nothing more can be read: %v, %v", text, is, err)
		}
	}
}
