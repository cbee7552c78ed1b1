package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// restoreAfter restores a backup, and has others do something between the first look at the
// target and the moment when it is overwritten.
func restoreAfter(t *testing.T, backup, path string, how Restoration, meanwhile func()) (aside string, err error) {
	t.Helper()
	ctx := context.Background()
	found, err := lookAtTarget(ctx, backup, path, how)
	if err != nil {
		t.Fatal(err)
	}
	staged, owner, err := stage(ctx, backup, path, found, how)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := removePartial(staged); err != nil {
			t.Error(err)
		}
	}()
	meanwhile()
	return overwrite(ctx, staged, path, overwriting{found, owner, how})
}

// TestWhatIsSavedWhileARestoreBeginsIsKept begins with an empty file, of which no copy
// would have been made.
func TestWhatIsSavedWhileARestoreBeginsIsKept(t *testing.T) {
	backup := backupOf(t, "old")
	for _, vacant := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "a.db")
		s := open(t, path, Options{})
		aside, err := restoreAfter(t, backup, path, Restoration{Vacant: vacant}, func() {
			save(t, s, Draft{Summary: "meanwhile 1", Context: "c"})
			save(t, s, Draft{Summary: "meanwhile 2", Context: "c"})
		})
		newest, failed := s.LoadNewest(context.Background())
		if failed != nil {
			t.Fatal(failed)
		}
		switch {
		case vacant && (!errors.Is(err, os.ErrExist) || newest.Summary != "meanwhile 2"):
			t.Errorf("a file that must be empty: %v, and has %q", err, newest.Summary)
		case !vacant && (err != nil || newest.Summary != "old"):
			t.Errorf("%v, and has %q", err, newest.Summary)
		case !vacant:
			kept(t, aside, 2)
		}
		if problems, err := s.Check(context.Background()); err != nil || problems != nil {
			t.Errorf("check: %v, %v", problems, err)
		}
	}
}

func TestAFileThatBecomesAnothersWhileARestoreBeginsIsLeftAlone(t *testing.T) {
	alice, bob := Owner{User: "a", Issuer: "i", Subject: "alice"}, Owner{User: "b", Issuer: "i", Subject: "bob"}
	for _, test := range []struct {
		how  Restoration
		want error
	}{
		{Restoration{}, ErrOwner}, {Restoration{Owner: &bob}, ErrOwner}, {Restoration{Owner: new(Owner)}, ErrOwner}, {Restoration{Owner: &alice}, nil},
	} {
		path := filepath.Join(t.TempDir(), "a.db")
		if err := open(t, path, Options{}).Close(); err != nil {
			t.Fatal(err)
		}
		_, err := restoreAfter(t, backupOf(t, "old"), path, test.how, func() { open(t, path, Options{Owner: &alice}) })
		if !errors.Is(err, test.want) {
			t.Errorf("%+v: %v", test.how.Owner, err)
		}
		if user, err := inspect(context.Background(), path, ""); err != nil || user.Subject != "alice" {
			t.Errorf("%+v: it belongs to %+v, %v", test.how.Owner, user, err)
		}
	}
}

// TestALogWithoutItsFileIsNotPlayedIntoAnother is about who removes a database by hand, and
// not its log, which SQLite would take for that of whatever gets the name next.
func TestALogWithoutItsFileIsNotPlayedIntoAnother(t *testing.T) {
	backup := backupOf(t, "old")
	orphan := func(t *testing.T) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "a.db")
		s := open(t, path, Options{})
		for range 20 {
			save(t, s, Draft{Summary: "new", Context: strings.Repeat("c", 5000)})
		}
		log, err := os.ReadFile(path + "-wal")
		if err != nil || len(log) == 0 {
			t.Fatalf("a log of %d bytes, %v", len(log), err)
		}
		path = filepath.Join(t.TempDir(), "a.db")
		if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("restore", func(t *testing.T) {
		path := orphan(t)
		got, err := Restore(context.Background(), backup, path, Restoration{})
		if err != nil || got.Aside != path+".replaced.bak-wal" {
			t.Fatalf("%+v, %v", got, err)
		}
		s := open(t, path, Options{})
		if newest, err := s.LoadNewest(context.Background()); err != nil || newest.Summary != "old" {
			t.Errorf("newest %q, %v", newest.Summary, err)
		}
		if problems, err := s.Check(context.Background()); err != nil || problems != nil {
			t.Errorf("check: %v, %v", problems, err)
		}
		if _, err := os.Stat(got.Aside); err != nil {
			t.Error(err)
		}
	})
	t.Run("backup", func(t *testing.T) {
		path := orphan(t)
		if err := Copy(context.Background(), backup, path, nil); !errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), "-wal") {
			t.Errorf("copy: %v", err)
		}
		if err := open(t, backup, Options{}).Backup(context.Background(), path, nil); !errors.Is(err, os.ErrExist) {
			t.Errorf("backup: %v", err)
		}
		if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	t.Run("copied aside", func(t *testing.T) {
		path := fixture(t, firstSchema+firstRows)
		if err := os.WriteFile(path+".v1.bak-wal", []byte("stale"), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, path, Options{})
		kept(t, path+".v1.2.bak", 3)
	})
}

func TestTheDatabaseOfAnotherProgramIsNotReplacedWithoutACopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.sqlite")
	exec(t, path, "CREATE TABLE bookmarks (url); INSERT INTO bookmarks VALUES ('https://example.com')")
	if _, err := Restore(context.Background(), backupOf(t, "old"), path, Restoration{Vacant: true}); !errors.Is(err, os.ErrExist) {
		t.Errorf("one that must be empty: %v", err)
	}
	got, err := Restore(context.Background(), backupOf(t, "old"), path, Restoration{})
	if err != nil || got.Aside == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if url := query[string](t, got.Aside, `SELECT url FROM bookmarks`); url != "https://example.com" {
		t.Errorf("aside: %s", url)
	}
}

func TestIdsThatCannotBeMovedAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := open(t, path, Options{})
	save(t, s, Draft{Summary: "s", Context: "c"})
	exec(t, path, `INSERT INTO snapshots (id, summary, context) VALUES (-3, 's', 'c'), (0, 's', 'c'), (9007199254740992, 's', 'c')`)
	problems, err := s.Check(context.Background())
	if err != nil || len(problems) != 3 {
		t.Fatalf("found %v, %v", problems, err)
	}
	for _, p := range problems {
		if p.Repairable || !strings.Contains(p.What, "an id that is not from 1 to") {
			t.Errorf("found %+v", p)
		}
	}
}

func TestKeysThatLeadElsewhereAreNone(t *testing.T) {
	for _, key := range []string{"", ".", "..", "../a", "a/b", `a\b`, "/a", "c:", "a\x00", "a/.."} {
		if IsUserKey(key) {
			t.Errorf("%q is a key", key)
		}
	}
	if !IsUserKey("h67l22ladaxbogmejh2vtaxvkm") {
		t.Error("a key is none")
	}
}
