package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestWhatIsCreatedIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	path := filepath.Join(t.TempDir(), "new", "folder", "a.db")
	s := open(t, path, Options{})
	save(t, s, Draft{Summary: "s", Context: "c"})
	for _, folder := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if mode := modeOf(t, folder); mode != 0o700 {
			t.Errorf("%s has mode %o", folder, mode)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if mode := modeOf(t, path+suffix); mode != 0o600 {
			t.Errorf("%s has mode %o", suffix, mode)
		}
	}
}

func TestPrivateTightensWhatIsThere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	for _, private := range []bool{true, false} {
		path := fixture(t, lastSchema)
		if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		open(t, path, Options{Private: private})
		want := map[bool][2]os.FileMode{true: {0o600, 0o700}, false: {0o644, 0o755}}[private]
		if got := modeOf(t, path); got != want[0] {
			t.Errorf("private %v: file %o", private, got)
		}
		if got := modeOf(t, filepath.Dir(path)); got != want[1] {
			t.Errorf("private %v: folder %o", private, got)
		}
	}
}

func TestNamesWithSpecialCharacters(t *testing.T) {
	for _, name := range []string{"a b.db", "what?.db", "100%41.db", "frag#ment.db", "a&b=c.db", "quote'.db", "ünï.db", "semi;colon.db"} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, "?") {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		save(t, open(t, path, Options{}), Draft{Summary: "s", Context: "c"})
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
			t.Errorf("%s: not written there: %v", name, err)
		}
	}
}

func TestUnusableFilesAreRefused(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		folder:                         "folder",
		text:                           "not a database",
		filepath.Join(text, "in.file"): "",
	} {
		if _, err := Open(context.Background(), path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestManyMayOpenANewFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := Open(context.Background(), path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range 10 {
				if _, err := s.Save(context.Background(), Draft{Summary: "s", Context: "c"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := query[int](t, path, "SELECT count(*) FROM snapshots"); n != 80 {
		t.Errorf("%d snapshots", n)
	}
}

func TestOwner(t *testing.T) {
	alice := Owner{User: "a", Issuer: "https://as", Subject: "alice"}
	others := []Owner{{User: "a", Issuer: "https://as", Subject: "bob"}, {User: "a", Issuer: "https://as2", Subject: "alice"}}
	path := filepath.Join(t.TempDir(), "a.db")
	open(t, path, Options{Owner: &alice})
	save(t, open(t, path, Options{Owner: &alice}), Draft{Summary: "s", Context: "c"})
	for _, other := range others {
		for _, adopt := range []bool{true, false} {
			if _, err := Open(context.Background(), path, Options{Owner: &other, Adopt: adopt}); !errors.Is(err, ErrOwner) {
				t.Errorf("%+v: %v", other, err)
			}
		}
	}
	// Whoever has the file may read it as a local one.
	if found, err := open(t, path, Options{}).LoadNewest(context.Background()); err != nil || found.Summary != "s" {
		t.Errorf("local: %v %v", found, err)
	}
}

func TestFileOfNoOwner(t *testing.T) {
	alice := Owner{User: "a", Issuer: "https://as", Subject: "alice"}
	bob := Owner{User: "b", Issuer: "https://as", Subject: "bob"}
	used, empty := fixture(t, lastSchema+firstRows), fixture(t, lastSchema)
	if _, err := Open(context.Background(), used, Options{Owner: &alice}); !errors.Is(err, ErrOwner) {
		t.Errorf("used, not adopted: %v", err)
	}
	open(t, empty, Options{Owner: &alice})
	open(t, used, Options{Owner: &alice, Adopt: true})
	for _, path := range []string{used, empty} {
		if _, err := Open(context.Background(), path, Options{Owner: &bob, Adopt: true}); !errors.Is(err, ErrOwner) {
			t.Errorf("now alice's, opened by bob: %v", err)
		}
	}
}
