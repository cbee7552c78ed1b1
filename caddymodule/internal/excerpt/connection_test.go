package excerpt

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"
	"time"
)

var noDeadline time.Time

// counting is a context that counts the early hints of a request.
func counting(t *testing.T, hints *int) context.Context {
	t.Helper()
	return httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints {
			*hints++
		}
		return nil
	}})
}

// blackHole is a response that nobody reads.
type blackHole struct{ header http.Header }

func (b blackHole) Header() http.Header       { return b.header }
func (blackHole) WriteHeader(int)             {}
func (blackHole) Write(p []byte) (int, error) { return len(p), nil }
func (b blackHole) FlushError() error         { return nil }

// What is not cut costs one call more for each piece, and no memory.
func BenchmarkWrite(b *testing.B) {
	piece := []byte("data: " + told + "\n\n")
	for name, open := range map[string]func() http.ResponseWriter{
		"bare": func() http.ResponseWriter { return blackHole{http.Header{}} },
		"untouched": func() http.ResponseWriter {
			return NewWriter(blackHole{http.Header{"Content-Type": {asJSON}}}, Settings{Cut: ofCall()})
		},
		"events": func() http.ResponseWriter {
			return NewWriter(blackHole{http.Header{"Content-Type": {asEvents}}}, Settings{Cut: ofCall(), Report: func(string) {}})
		},
	} {
		b.Run(name, func(b *testing.B) {
			w := open()
			w.WriteHeader(http.StatusOK)
			b.SetBytes(int64(len(piece)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Write(piece); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
