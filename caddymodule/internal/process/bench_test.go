//go:build unix

package process

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// benchFrame is a message of 256 bytes.
var benchFrame = []byte(`{"x":"` + strings.Repeat("x", 256-8) + `"}`)

func startEcho(b *testing.B, onLine func([]byte)) *Process {
	b.Helper()
	p, err := Start(Config{
		Command: os.Args[0],
		Env:     []string{roleVar + "=echo"},
		OnLine:  onLine,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		p.Kill(nil)
		<-p.Done()
	})
	return p
}

// BenchmarkRoundTrip sends one message and waits for its echo.
func BenchmarkRoundTrip(b *testing.B) {
	back := make(chan struct{}, 1)
	p := startEcho(b, func([]byte) { back <- struct{}{} })
	b.SetBytes(int64(len(benchFrame)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Send(benchFrame); err != nil {
			b.Fatal(err)
		}
		<-back
	}
}

// BenchmarkInFlight keeps as many messages under way as the queue takes.
func BenchmarkInFlight(b *testing.B) {
	var received atomic.Int64
	p := startEcho(b, func([]byte) { received.Add(1) })
	b.SetBytes(int64(len(benchFrame)))
	b.ReportAllocs()
	sent := int64(0)
	for b.Loop() {
		for {
			err := p.Send(benchFrame)
			if err == nil {
				break
			}
			if !errors.Is(err, ErrQueueFull) {
				b.Fatal(err)
			}
			runtime.Gosched()
		}
		sent++
	}
	for received.Load() < sent {
		runtime.Gosched()
	}
}

// BenchmarkParallel has 32 callers, each waiting for an echo before it sends the
// next message.
func BenchmarkParallel(b *testing.B) {
	back := make(chan struct{}, 1024)
	p := startEcho(b, func([]byte) { back <- struct{}{} })
	b.SetBytes(int64(len(benchFrame)))
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := p.Send(benchFrame); err != nil {
				b.Error(err)
				return
			}
			<-back
		}
	})
}

// BenchmarkStartStop is the life of a process that does nothing.
func BenchmarkStartStop(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		p, err := Start(Config{Command: "cat"})
		if err != nil {
			b.Fatal(err)
		}
		p.Stop("bench")
		<-p.Done()
	}
}
