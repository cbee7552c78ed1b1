package store

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

var kills = flag.Int("kills", 15, "how often TestKilledProcessLosesNoAcknowledgedSave kills")

// The test binary is also the other process: it saves into writerFile, as often as
// writerSaves says (for ever if it is not set), prints the id of each that is
// acknowledged, and deletes every fifth: then it prints the id below zero before, and
// 0 when that is acknowledged.
const (
	writerFile  = "SNAPSHOTD_TEST_WRITER"
	writerSaves = "SNAPSHOTD_TEST_SAVES"
)

func TestMain(m *testing.M) {
	if child := os.Getenv(childName); child != "" {
		exitWith(children[child](os.Getenv(childFile)))
	}
	path := os.Getenv(writerFile)
	if path == "" {
		os.Exit(m.Run())
	}
	exitWith(writeForEver(path))
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Other things that the test binary does as another process: childName is one of
// children, and childFile the file it is given.
const (
	childName = "SNAPSHOTD_TEST_CHILD"
	childFile = "SNAPSHOTD_TEST_FILE"
)

var children = map[string]func(path string) error{}

// promptExit keeps the race detector from holding up the end of a child by its usual second.
const promptExit = "GORACE=atexit_sleep_ms=0"

// child is a command for the other process.
func child(name, path string) *osexec.Cmd {
	command := osexec.Command(os.Args[0])
	command.Env = append(os.Environ(), childName+"="+name, childFile+"="+path, promptExit)
	return command
}

func writeForEver(path string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	saves, err := strconv.Atoi(os.Getenv(writerSaves))
	for i := 0; i < saves || err != nil; i++ {
		saved, err := s.Save(context.Background(), Draft{Name: "n", Summary: fmt.Sprint("save ", i), Context: "東京 context of some length"})
		if err != nil {
			return err
		}
		fmt.Println(saved.ID)
		if i%5 == 4 {
			fmt.Println(-saved.ID)
			if err := s.Delete(context.Background(), saved.ID); err != nil {
				return err
			}
			fmt.Println(0)
		}
	}
	return s.Close()
}

// writer starts the other process. Its output is what it has acknowledged.
func writer(t *testing.T, path string, saves int) (*osexec.Cmd, *bufio.Scanner) {
	t.Helper()
	command := osexec.Command(os.Args[0])
	command.Env = append(os.Environ(), writerFile+"="+path, promptExit)
	if saves > 0 {
		command.Env = append(command.Env, fmt.Sprint(writerSaves, "=", saves))
	}
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command, bufio.NewScanner(out)
}

// acknowledged reads ids until the output ends.
func acknowledged(t *testing.T, lines *bufio.Scanner) (ids []int64) {
	t.Helper()
	for lines.Scan() {
		id, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Errorf("the other process wrote %q", lines.Text())
		}
		ids = append(ids, id)
	}
	return ids
}

// remaining are the ids that were saved and of which no deletion was begun, in order.
func remaining(ids []int64) []int64 {
	var left []int64
	for _, id := range ids {
		if id > 0 && !slices.Contains(ids, -id) {
			left = append(left, id)
		}
	}
	slices.Sort(left)
	return left
}

func idsIn(t *testing.T, s *SQLite) []int64 {
	t.Helper()
	ids, err := oldest(context.Background(), s.db, `true ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestKilledProcessLosesNoAcknowledgedSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var all []int64
	random := rand.New(rand.NewPCG(3, 4))
	for range *kills {
		process, lines := writer(t, path, 0)
		// Killed after some acknowledgements and a part of the next save.
		for range 1 + random.IntN(20) {
			if !lines.Scan() {
				break
			}
			id, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, id)
		}
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		all = append(all, acknowledged(t, lines)...)
		_ = process.Wait() // killed
	}
	s := open(t, path, Options{})
	there := idsIn(t, s)
	for _, id := range remaining(all) {
		if !slices.Contains(there, id) {
			t.Errorf("save %d was acknowledged and is gone", id)
		}
	}
	for i, id := range all {
		if id == 0 && slices.Contains(there, -all[i-1]) {
			t.Errorf("the deletion of %d was acknowledged and it is there", -all[i-1])
		}
	}
	// What was in flight may be there too, one save or deletion a kill.
	if extra := len(there) - len(remaining(all)); extra > *kills {
		t.Errorf("%d are there, %d were acknowledged", len(there), len(remaining(all)))
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}

func TestTwoProcessesOnOneFile(t *testing.T) {
	saves := 150
	if raceDetector { // it sees nothing of what one process does to another
		saves = 50
	}
	path := filepath.Join(t.TempDir(), "a.db")
	var mu sync.Mutex
	var all []int64
	var group sync.WaitGroup
	for range 3 {
		process, lines := writer(t, path, saves)
		group.Go(func() {
			ids := acknowledged(t, lines)
			if err := process.Wait(); err != nil {
				t.Errorf("the other process: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, ids...)
		})
	}
	s := open(t, path, Options{})
	for range saves { // and this one reads and writes
		id := save(t, s, Draft{Summary: "ours", Context: "c"}).ID
		if _, err := s.Search(context.Background(), "save 東京", "", 10); err != nil {
			t.Error(err)
		}
		mu.Lock()
		all = append(all, id)
		mu.Unlock()
	}
	group.Wait()
	if want, got := remaining(all), idsIn(t, s); !slices.Equal(got, want) || len(want) != 3*saves*4/5+saves {
		t.Errorf("%d are there, %d were acknowledged and not deleted", len(got), len(want))
	}
	if problems, err := s.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("check: %v, %v", problems, err)
	}
}
