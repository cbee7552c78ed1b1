package audit

import (
	"bytes"
	"io"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLog writes lines of JSON.
func newLog(out io.Writer) *Log {
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		MessageKey: "msg", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeDuration: zapcore.SecondsDurationEncoder,
	})
	return New(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(out), zap.InfoLevel)))
}

func TestARecordIsOneLine(t *testing.T) {
	var out bytes.Buffer
	log := newLog(&out)
	log.Write(Record{
		RequestID: "r", User: "u", Issuer: "i", Client: "c", Era: "modern", Method: "tools/call", Tool: "t\nforged",
		Decision: Allow, Rule: "base", Outcome: Error, Code: -32601, Duration: time.Second, BytesIn: 1, BytesOut: 2,
	})
	log.About("https://mcp.example.com/mcp").Write(Record{Outcome: OK})
	const want = `{"level":"info","msg":"call","request_id":"r","user":"u","issuer":"i","client":"c","era":"modern","method":"tools/call","tool":"t\nforged","decision":"allow","rule":"base","outcome":"error","duration":1,"bytes_in":1,"bytes_out":2,"code":-32601}
{"level":"info","msg":"call","resource":"https://mcp.example.com/mcp","request_id":"","user":"","issuer":"","client":"","era":"","method":"","tool":"","decision":"","rule":"","outcome":"ok","duration":0,"bytes_in":0,"bytes_out":0}
`
	if got := out.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// BenchmarkWrite is the cost of a record but for its way to a file.
func BenchmarkWrite(b *testing.B) {
	log := newLog(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		log.Write(Record{
			RequestID: "5cf7bb47-8bf1-4b3c-8ac7-5d4a1b0f5a34", User: "5b1c6b4d2f", Issuer: "https://login.example.com", Client: "bench",
			Era: "legacy", Method: "tools/call", Tool: "echo", Decision: Allow, Rule: "base", Outcome: OK, Duration: time.Millisecond, BytesIn: 200, BytesOut: 100,
		})
	}
}

func TestNoLogWritesNothing(t *testing.T) {
	var none *Log
	none.Write(Record{})
	none.About("https://mcp.example.com/mcp").Write(Record{})
	(&Log{}).Write(Record{})
	New(nil).Write(Record{})
}
