package audit

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestARecordIsOneLine(t *testing.T) {
	var out bytes.Buffer
	log := New(slog.New(slog.NewTextHandler(&out, nil)))
	log.Write(Record{
		RequestID: "r", User: "u", Issuer: "i", Client: "c", Era: "modern", Method: "tools/call", Tool: "t\nforged",
		Decision: Allow, Rule: "base", Outcome: Error, Code: -32601, Duration: time.Second, BytesIn: 1, BytesOut: 2,
	})
	_, got, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), " ")
	const want = `level=INFO msg=call request_id=r user=u issuer=i client=c era=modern method=tools/call tool="t\nforged" decision=allow rule=base outcome=error duration=1s bytes_in=1 bytes_out=2 code=-32601`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoLogWritesNothing(t *testing.T) {
	var none *Log
	none.Write(Record{})
	(&Log{}).Write(Record{})
	New(nil).Write(Record{})
}
