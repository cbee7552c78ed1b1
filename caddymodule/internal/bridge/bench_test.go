package bridge

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkLegacyCall is one call in a session, through a real HTTP connection and a
// child that answers at once.
func BenchmarkLegacyCall(b *testing.B) {
	g := open(b, quiet)
	header := g.session("alice")
	b.ReportAllocs()
	for b.Loop() {
		benchCall(b, g, tool(`1`, "echo", ``), header)
	}
}

// BenchmarkModernCall is one call without a session.
func BenchmarkModernCall(b *testing.B) {
	g := open(b, quiet)
	body, header := modernTool(`1`, "echo", ``)
	benchCall(b, g, body, header)
	b.ReportAllocs()
	for b.Loop() {
		benchCall(b, g, body, header)
	}
}

// BenchmarkModernCallParallel has many callers share one process.
func BenchmarkModernCallParallel(b *testing.B) {
	g := open(b, quiet)
	g.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	body, header := modernTool(`1`, "echo", ``)
	benchCall(b, g, body, header)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			benchCall(b, g, body, header)
		}
	})
}

// BenchmarkSSE writes one event of 256 bytes and flushes it.
func BenchmarkSSE(b *testing.B) {
	w := &reception{header: http.Header{}}
	s := newSSE(w)
	s.begin("session")
	e := event{frame: []byte(strings.Repeat("x", 256)), number: 1}
	b.ReportAllocs()
	for b.Loop() {
		s.add("stream", e)
		if err := s.flush(); err != nil {
			b.Fatal(err)
		}
	}
	if w.flushes == 0 || s.bytes != w.flushes*len(e.frame) {
		b.Errorf("%d bytes in %d events", s.bytes, w.flushes)
	}
}

// reception is a connection whose client takes everything at once.
type reception struct {
	header  http.Header
	flushes int
}

func (r *reception) Header() http.Header              { return r.header }
func (r *reception) Write(p []byte) (int, error)      { return len(p), nil }
func (r *reception) WriteHeader(int)                  {}
func (r *reception) SetWriteDeadline(time.Time) error { return nil }
func (r *reception) Flush()                           { r.flushes++ }

func quiet(s *Settings) { s.Audit, s.Logger, s.MaxConcurrent = nil, nil, 1000 }

func benchCall(b *testing.B, g *gateway, body string, header []string) {
	resp, err := g.send(b.Context(), http.MethodPost, body, header...)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(got), `"result"`) {
		b.Errorf("%s, %v", got, err)
	}
}
