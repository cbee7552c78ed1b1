//go:build !race

package message

// The race detector allocates as well, so this is held by the run without it.

import (
	"runtime"
	"testing"
)

// allocated is how many bytes are allocated in a run, on average.
func allocated(run func()) int {
	const runs = 10
	var before, after runtime.MemStats
	run()
	runtime.ReadMemStats(&before)
	for range runs {
		run()
	}
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc-before.TotalAlloc) / runs
}

// read reads a call as the gateway does.
func read(t *testing.T, call []byte) *Message {
	m, err := Parse(call, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A call is read where it lies: it is copied once, when what the server gets is written. The
// other copy that there may be is the one of the request's body.
func TestACallIsCopiedOnce(t *testing.T) {
	small := costly(256)
	if n := testing.AllocsPerRun(100, func() { read(t, small) }); n > 3 {
		t.Errorf("to read a call takes %v allocations, at most 3 are allowed", n)
	}
	large := costly(1 << 20)
	if n := allocated(func() { read(t, large) }); n > 64<<10 {
		t.Errorf("to read a call of 1 MiB takes %d bytes", n)
	}
	stamp := MetaValue{"io.github.snapgate/identity", []byte(`{"subject":"alice"}`)}
	n := allocated(func() {
		read(t, large).Edit().ID([]byte("42")).MetaMember(MetaProgressToken, []byte("42")).DropMeta("io.github.snapgate/").SetMeta(stamp).Bytes()
	})
	if n > 5<<18 {
		t.Errorf("to carry a call of 1 MiB takes %d bytes, which is more than a copy", n)
	}
}
