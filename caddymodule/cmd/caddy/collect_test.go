package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"
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

// The goal is the size that Go lets the heap grow to before it collects. How often it then
// collects depends on how busy the machine is, so that is not what is held here.
func TestHeapGrowsToTheFloorUnlessTheOperatorPacesIt(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name, env   string
		live        int // MiB
		least, most uint64
	}{
		{"little lives", "GOGC=", 0, heapFloor - mib, heapFloor + 4*mib},
		{"some lives", "GOGC=", 8, heapFloor - 2*mib, heapFloor + 6*mib},
		{"much lives", "GOGC=", 64, 128 * mib, 140 * mib},
		{"the operator's pace", "GOGC=100", 0, 4 * mib, heapFloor / 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := goalWith(t, tt.env, tt.live, tt.least, tt.most); got < tt.least || got > tt.most {
				t.Errorf("the heap grows to %d KiB, want %d to %d", got>>10, tt.least>>10, tt.most>>10)
			}
		})
	}
}

// goalWith runs this test binary as a program that keeps so much alive, and returns the goal
// of its heap in bytes. What a process has set for its collector would stay set for the tests
// that follow.
func goalWith(t *testing.T, env string, live int, least, most uint64) uint64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", goalVar, live, least, most), env)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	goal, err := strconv.ParseUint(string(out), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return goal
}

// goalVar makes this test binary keep a number of MiB alive and print its heap's goal, once
// that is between two bounds, or after a while.
const goalVar = "COLLECT_TEST_GOAL"

func TestMain(m *testing.M) {
	wanted := os.Getenv(goalVar)
	if wanted == "" {
		os.Exit(m.Run())
	}
	var live int
	var least, most uint64
	if _, err := fmt.Sscan(wanted, &live, &least, &most); err != nil {
		panic(err)
	}
	kept := make([]byte, live<<20)
	keepFloor()
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
		runtime.GC() // what it changes by its cleanup counts from the next one
		metrics.Read(goal)
		if got := goal[0].Value.Uint64(); got >= least && got <= most {
			break
		}
	}
	runtime.KeepAlive(kept)
	fmt.Print(goal[0].Value.Uint64())
}
