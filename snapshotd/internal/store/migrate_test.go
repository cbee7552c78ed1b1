package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func backups(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range found {
		if name != path && name != path+"-wal" && name != path+"-shm" {
			names = append(names, filepath.Base(name))
		}
	}
	return names
}

func TestFirstSchemaIsBroughtUpToDate(t *testing.T) {
	path := fixture(t, firstSchema+firstRows)
	s := open(t, path, Options{})
	newest, err := s.LoadNewest(context.Background())
	if err != nil || newest.Summary != "second" || newest.ContinuationPrompt != "Resuming: second\n\nContext:\nc2" {
		t.Errorf("newest %+v, %v", newest, err)
	}
	named, err := s.LoadNamed(context.Background(), "alpha")
	if err != nil || named.ContinuationPrompt != "Resuming: first\n\nContext:\nc1\n\nNext:\nn1" {
		t.Errorf("named %+v, %v", named, err)
	}
	if saved := save(t, s, Draft{Summary: "fourth", Context: "c"}); saved.ID != 4 {
		t.Errorf("saved as %d", saved.ID)
	}
	names := backups(t, path)
	if len(names) != 1 || names[0] != "snapshots.db.v1.bak" {
		t.Fatalf("copies: %v", names)
	}
	copied := path + ".v1.bak"
	if mode := modeOf(t, copied); mode&0o077 != 0 {
		t.Errorf("copy has mode %o", mode)
	}
	if n := query[int](t, copied, "SELECT count(*) FROM snapshots"); n != 3 {
		t.Errorf("copy has %d snapshots", n)
	}
	if n := query[int](t, copied, "SELECT count(*) FROM pragma_table_info('snapshots')"); n != 6 {
		t.Errorf("copy has %d columns", n)
	}
}

func TestTableOfTheLastSchemaIsLeftAsItIs(t *testing.T) {
	path := fixture(t, lastSchema+firstRows+`UPDATE snapshots SET continuation_prompt = 'its own' WHERE id = 2;`)
	const schema = `SELECT group_concat(sql, ';') FROM sqlite_schema WHERE name NOT LIKE 'snapshotd%'`
	before := query[string](t, path, schema)
	s := open(t, path, Options{})
	if newest, err := s.LoadNewest(context.Background()); err != nil || newest.ContinuationPrompt != "its own" {
		t.Errorf("newest %+v, %v", newest, err)
	}
	save(t, s, Draft{Summary: "fourth", Context: "c"})
	if after := query[string](t, path, schema); after != before {
		t.Errorf("schema was\n%s\nis\n%s", before, after)
	}
	if names := backups(t, path); len(names) != 1 || names[0] != "snapshots.db.v2.bak" {
		t.Errorf("copies: %v", names)
	}
}

// The original creates what is missing, adds its column if it is not there, and
// inserts by the names of the columns.
func TestOriginalOpensTheFileAgain(t *testing.T) {
	alice := Owner{User: "a", Issuer: "https://as", Subject: "alice"}
	for name, path := range map[string]string{
		"first":  fixture(t, firstSchema+firstRows),
		"last":   fixture(t, lastSchema+firstRows),
		"new":    filepath.Join(t.TempDir(), "new.db"),
		"a user": filepath.Join(t.TempDir(), "user.db"),
	} {
		t.Run(name, func(t *testing.T) {
			options := Options{}
			if name == "a user" {
				options.Owner = &alice
			}
			s, err := Open(context.Background(), path, options)
			if err != nil {
				t.Fatal(err)
			}
			save(t, s, Draft{Summary: "ours", Context: "c"})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			exec(t, path, firstSchema) // CREATE … IF NOT EXISTS
			if n := query[int](t, path, `SELECT count(*) FROM pragma_table_info('snapshots') WHERE name = 'continuation_prompt'`); n != 1 {
				t.Fatalf("%d such columns", n)
			}
			exec(t, path, `INSERT INTO snapshots (name, summary, context, next_steps, continuation_prompt) VALUES ('o', 'theirs', 'c', NULL, 'p')`)
			if got := query[string](t, path, `SELECT summary FROM snapshots WHERE continuation_prompt LIKE 'Resuming: ours%'`); got != "ours" {
				t.Errorf("got %q", got)
			}
			if found, err := open(t, path, options).LoadNamed(context.Background(), "o"); err != nil || found.ContinuationPrompt != "p" {
				t.Errorf("got %+v, %v", found, err)
			}
		})
	}
}

func TestNewerSchemaIsRefusedAndUntouched(t *testing.T) {
	path := fixture(t, lastSchema+firstRows+"PRAGMA user_version = 99;")
	_, err := Open(context.Background(), path, Options{})
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Fatalf("got %v", err)
	}
	if n := query[int](t, path, "PRAGMA user_version"); n != 99 {
		t.Errorf("version is %d", n)
	}
	base := t.TempDir()
	listed := UserFile(base, Owner{User: "u"})
	if err := os.Mkdir(filepath.Dir(listed), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, listed); err != nil {
		t.Fatal(err)
	}
	if users, err := (Folder{Base: base}).Users(context.Background(), "", 10); err != nil || len(users) != 1 || users[0].Problem != ErrNewer.Error() {
		t.Errorf("listed %+v, %v", users, err)
	}
}

func TestForeignTableIsRefusedAndUntouched(t *testing.T) {
	path := fixture(t, "CREATE TABLE snapshots (id INTEGER, taken TEXT);")
	if _, err := Open(context.Background(), path, Options{}); !errors.Is(err, ErrForeign) {
		t.Fatalf("got %v", err)
	}
	if n := query[int](t, path, "SELECT count(*) FROM pragma_table_info('snapshots')"); n != 2 {
		t.Errorf("%d columns", n)
	}
}

func TestNewFileIsNotCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path, Options{})
	if names := backups(t, path); len(names) != 0 {
		t.Errorf("copies: %v", names)
	}
	if n := query[int](t, path, "PRAGMA user_version"); n != 3 {
		t.Errorf("version is %d", n)
	}
}

func TestEarlierCopyIsKept(t *testing.T) {
	path := fixture(t, firstSchema+firstRows)
	if err := os.WriteFile(path+".v1.bak", []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path, Options{})
	if text, err := os.ReadFile(path + ".v1.bak"); err != nil || string(text) != "earlier" {
		t.Errorf("%q, %v", text, err)
	}
	if n := query[int](t, path+".v1.2.bak", "SELECT count(*) FROM snapshots"); n != 3 {
		t.Errorf("copy has %d snapshots", n)
	}
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	path := fixture(t, firstSchema+firstRows)
	s := open(t, path, Options{})
	broken := migration{number: 4, sql: "CREATE TABLE half (id INTEGER); CREATE TABLE half (id INTEGER);"}
	all, err := loadMigrations()
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(context.Background(), s.db, append(all, broken)); err == nil {
		t.Fatal("applied")
	}
	if n := query[int](t, path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"); n != 0 {
		t.Error("half of it is there")
	}
	if n := query[int](t, path, "PRAGMA user_version"); n != 3 {
		t.Errorf("version is %d", n)
	}
}

func TestManyMayMigrateAtOnce(t *testing.T) {
	path := fixture(t, firstSchema+firstRows)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			s, err := Open(context.Background(), path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	names := backups(t, path)
	if len(names) != 1 {
		t.Errorf("copies: %v", names)
	}
	for _, name := range names {
		if n := query[int](t, filepath.Join(filepath.Dir(path), name), "SELECT count(*) FROM pragma_table_info('snapshots')"); n != 6 {
			t.Errorf("%s was copied after the change", name)
		}
	}
}
