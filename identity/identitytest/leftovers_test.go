//go:build unix

package identitytest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// beginFault does what a faulty server does before it serves.
func beginFault(fault string) {
	folder, ok := strings.CutPrefix(fault, "leaves-child:")
	if !ok {
		return
	}
	// The child holds a lock, which goes with it, and honours neither the end of its
	// input nor SIGTERM.
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err == nil {
		child := exec.Command("sh", "-c", `trap "" TERM; echo >"$0"; while :; do sleep 1; done`, filepath.Join(folder, "ready"))
		child.ExtraFiles = []*os.File{file}
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		err = child.Start()
	}
	if err != nil {
		panic(err)
	}
}

func TestNothingOfAServerIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	folder := t.TempDir()
	config := faulty(t, "leaves-child:"+folder).withDefaults()
	config.StopTimeout = 100 * time.Millisecond
	v, err := converse(context.Background(), config, Legacy)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Fatalf("the child does not hold its lock: %v", err)
	}
	for wait := time.Millisecond; ; wait *= 2 {
		if _, err := os.Stat(filepath.Join(folder, "ready")); err == nil {
			break
		}
		if time.Sleep(wait); wait > 10*time.Second {
			t.Fatal("the child is not ready")
		}
	}
	if step := v.close(); step != "SIGKILL" {
		t.Errorf("the last step was %q", step)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Errorf("the lock: %v", err)
	}
	if _, err := os.Stat(v.server.temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder: %v", err)
	}
	for wait := time.Millisecond; runtime.NumGoroutine() > before; wait *= 2 {
		if time.Sleep(wait); wait > 10*time.Second {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// A server that reads nothing holds up neither a call nor the end.
func TestAServerThatReadsNothingIsGivenUp(t *testing.T) {
	config := faulty(t, "reads-nothing").withDefaults()
	config.StopTimeout, config.Timeout = 100*time.Millisecond, 100*time.Millisecond
	s, err := startServer(config, nil, func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	v := &conversation{era: Legacy, timeout: config.Timeout, server: s, pending: make(map[int64]chan []byte)}
	big := message{method: "ping", meta: []member{field("x", strings.Repeat("x", hugeClaims))}}
	for range 10 {
		if _, err := v.do(context.Background(), big); !errors.Is(err, errSilent) {
			t.Errorf("error = %v, want %v", err, errSilent)
		}
	}
	if step := v.close(); step == "" {
		t.Error("it ended by itself")
	}
	if _, err := v.do(context.Background(), big); !errors.Is(err, errGone) {
		t.Errorf("error = %v, want %v", err, errGone)
	}
	report, err := Check(context.Background(), Config{
		Command: config.Command, Env: config.Env, Write: addNote, Read: listNotes,
		Timeout: config.Timeout, StopTimeout: config.StopTimeout,
	})
	if err != nil || len(report.Findings()) != 2 || len(report.Spoken) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
