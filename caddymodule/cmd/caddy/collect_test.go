package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
)

func TestPercentGrowsTheHeapToTheFloor(t *testing.T) {
	for marked, want := range map[uint64]int{
		0: 800, 1 << 20: 800, 4 << 20: 700, 8 << 20: 300, 16 << 20: 100, 64 << 20: 100, 1 << 40: 100,
	} {
		if got := percentFor(marked); got != want {
			t.Errorf("%d MiB marked: %d, want %d", marked>>20, got, want)
		}
	}
}

// The collector runs about as often as the floor says, unless the operator says how often.
func TestSmallHeapIsNotCollectedBeforeTheFloor(t *testing.T) {
	byOperator, byFloor := collectionsWith(t, "GOGC=100"), collectionsWith(t, "GOGC=")
	if byFloor == 0 || byFloor > 3*garbage/heapFloor || byFloor > byOperator/2 {
		t.Errorf("%d collections for %d MiB of garbage, %d with GOGC=100", byFloor, garbage>>20, byOperator)
	}
}

// collectionsWith runs this test binary as the program that makes garbage: what a process has
// set for its collector would stay set for the tests that follow.
func collectionsWith(t *testing.T, env string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), garbageVar+"=1", env)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	garbageVar = "COLLECT_TEST_GARBAGE"
	garbage    = 512 << 20 // bytes
)

var sink []byte

func TestMain(m *testing.M) {
	if os.Getenv(garbageVar) == "" {
		os.Exit(m.Run())
	}
	keepFloor()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range garbage >> 12 {
		sink = make([]byte, 1<<12)
	}
	runtime.ReadMemStats(&after)
	fmt.Print(after.NumGC - before.NumGC)
}
