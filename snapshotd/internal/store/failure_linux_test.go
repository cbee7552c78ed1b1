package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func init() {
	children["unprivileged"] = dropPrivileges
	children["use"] = useAndTell
	children["fill"] = fillAndTell
	children["without room"] = func(path string) error {
		return errors.Join(limitFiles(64<<10), useAndTell(path))
	}
}

// dropPrivileges becomes the child "use", without what lets root write to anything.
// A user of fewer rights would not do: they may not reach the folders of the test.
func dropPrivileges(string) error {
	runtime.LockOSThread() // the thread's set is what the new program gets
	if os.Getuid() == 0 {
		const dacOverride, dacReadSearch = 1, 2 // capabilities(7)
		for _, capability := range []uintptr{dacOverride, dacReadSearch} {
			if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_CAPBSET_DROP, capability, 0); errno != 0 {
				return fmt.Errorf("drop capability %d: %w", capability, errno)
			}
		}
	}
	if err := os.Setenv(childName, "use"); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// useAndTell reads and writes a file and prints what came of it.
func useAndTell(path string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Println("open:", Reason(err))
		return nil
	}
	newest, err := s.LoadNewest(context.Background())
	fmt.Println("load:", newest.Summary, Reason(err))
	_, err = s.Save(context.Background(), Draft{Summary: "s", Context: "c"})
	fmt.Println("save:", Reason(err))
	return s.Close()
}

// toldBy is what a child printed.
func toldBy(t *testing.T, name, path string) string {
	t.Helper()
	command := child(name, path)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("the other process: %v", err)
	}
	return string(out)
}

func TestReadOnlyIsToldAndChangesNothing(t *testing.T) {
	readOnly := ErrReadOnly.Error()
	current := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "a.db")
		s, err := Open(context.Background(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		save(t, s, Draft{Summary: "before", Context: "c"})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, test := range map[string]struct {
		file         func(t *testing.T) string
		mode, folder os.FileMode
		want         string
	}{
		"folder, no file":    {func(t *testing.T) string { return filepath.Join(t.TempDir(), "a.db") }, 0, 0o500, "open: " + readOnly},
		"folder":             {current, 0o600, 0o500, "open: " + readOnly},
		"file":               {current, 0o400, 0o700, "load: before \nsave: " + readOnly},
		"file of old schema": {func(t *testing.T) string { return fixture(t, lastSchema+firstRows) }, 0o400, 0o700, "open: " + readOnly},
		"not even readable":  {current, 0, 0o700, "open: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := test.file(t)
			folder := filepath.Dir(path)
			before, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if before != nil {
				chmod(t, path, test.mode)
			}
			chmod(t, folder, test.folder)
			told := toldBy(t, "unprivileged", path)
			chmod(t, folder, 0o700)
			if !strings.HasPrefix(told, test.want) || strings.Contains(told, folder) {
				t.Errorf("told %q, want %q", told, test.want)
			}
			if before != nil {
				chmod(t, path, 0o600)
			}
			if after, err := os.ReadFile(path); !slices.Equal(after, before) {
				t.Errorf("the file was changed, %v", err)
			}
			if left := backups(t, path); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// roomLeft is by how much a file may grow in the child "fill".
const roomLeft = 256 << 10

// fillAndTell saves until its files may grow no more, and prints what was acknowledged
// and the failure.
func fillAndTell(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := limitFiles(info.Size() + roomLeft); err != nil {
		return err
	}
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Println("open:", Reason(err))
		return nil
	}
	for {
		saved, err := s.Save(context.Background(), Draft{Summary: "s", Context: strings.Repeat("some context ", 2000)})
		if err != nil {
			fmt.Println(Reason(err))
			break
		}
		fmt.Println("saved", saved.ID)
	}
	if _, err := s.LoadNewest(context.Background()); err != nil {
		return err
	}
	_ = s.Close() // may find no room for its last checkpoint
	return nil
}

// limitFiles lets this process write no file beyond a size, as a quota does.
func limitFiles(size int64) error {
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(size), Max: uint64(size)})
}

func TestFullQuotaIsToldAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(toldBy(t, "fill", path)), "\n")
	acknowledged, last := len(lines)-1, lines[len(lines)-1]
	if acknowledged == 0 || last != ErrFull.Error() {
		t.Fatalf("after %d: %q", acknowledged, last)
	}
	kept(t, path, acknowledged)
	s = open(t, path, Options{})
	save(t, s, Draft{Summary: "after", Context: "c"})
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}

func TestMigrationWithoutRoomChangesNothing(t *testing.T) {
	path := fixture(t, firstSchema+`
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO snapshots (summary, context) SELECT 'number ' || i, hex(randomblob(400)) FROM n;`)
	text := query[string](t, path, `SELECT group_concat(context) FROM snapshots`)
	if told := strings.TrimSpace(toldBy(t, "without room", path)); told != "open: "+ErrFull.Error() {
		t.Fatalf("told %q", told)
	}
	if query[string](t, path, `SELECT group_concat(context) FROM snapshots`) != text {
		t.Error("the snapshots were changed")
	}
	kept(t, path, 3000)
	if left := slices.DeleteFunc(backups(t, path), func(name string) bool { return name == "snapshots.db.v1.bak" }); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	open(t, path, Options{}) // with room it is made
}
