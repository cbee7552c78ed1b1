package backend

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

func TestAMalformedAnswerFailsItsOwnCallOnly(t *testing.T) {
	for _, test := range []struct{ name, line string }{
		{"duplicate key", `{"jsonrpc":"2.0","id":$id,"result":{"a":1,"a":2}}`},
		{"duplicate key before the id", `{"result":{"a":1,"a":2},"jsonrpc":"2.0","id":$id}`},
		{"bad UTF-8", `{"jsonrpc":"2.0","id":$id,"result":{"a":"<bad utf-8>"}}`},
		{"too deep", `{"jsonrpc":"2.0","id":$id,"result":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`},
		{"no result and no error", `{"jsonrpc":"2.0","id":$id}`},
		{"result beside error", `{"jsonrpc":"2.0","id":$id,"result":{},"error":{"code":1,"message":""}}`},
		{"wrong version", `{"jsonrpc":"1.0","id":$id,"result":{}}`},
		{"look-alike", `{"jsonrpc":"2.0","id":$id,"Result":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, protocol.Legacy)
			_, other := c.say(`1`)
			_, in := c.say(`1`, test.line)
			if e := in.next(t); e.Err == nil || !e.Last || e.Frame != nil {
				t.Errorf("the call was told %s, error %v", e.Frame, e.Err)
			}
			c.seen()
			other.silent(t)
		})
	}
}

// A line nested deeper than the lenient reader goes must not leave its call waiting
// until call_timeout.
func TestAnAnswerNestedVeryDeepFailsItsCall(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`, `{"jsonrpc":"2.0","id":$id,"result":{"a":<deep>}}`)
	c.seen()
	select {
	case e := <-in:
		if e.Err == nil {
			t.Errorf("the call was told %s", e.Frame)
		}
	default:
		t.Error("the call still waits")
	}
}

// A look-alike of the id names another call than the id does.
func TestALookAlikeOfTheIDDoesNotFailAnothersCall(t *testing.T) {
	c := start(t, protocol.Modern)
	_, other := c.say(`1`)
	id := string(parse(t, c.sawLine(`"say"`)).ID)
	_, in := c.say(`2`, `{"jsonrpc":"2.0","id":$id,"ID":`+id+`,"result":{}}`)
	c.seen()
	other.silent(t)
	if len(in) != 1 {
		t.Error("the call whose answer it was still waits")
	}
}

func TestRubbishIsIgnored(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`,
		`Server listening on port 3000`, ``, `[]`, `[{"jsonrpc":"2.0","id":$id,"result":{"batch":1}}]`, `{}`, `{"jsonrpc":"2.0"}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`, `{"jsonrpc":"2.0","id":"$id","result":{}}`,
		`{"jsonrpc":"2.0","id":424242,"result":{}}`, `{"jsonrpc":"2.0","id":true,"result":{}}`, `{"level":"info","msg":"a log line","id":"x"}`,
		`{"jsonrpc":"2.0","id":$id,"result":{"good":1}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{"good":1}}`)
	if n := len(c.unclaimed); n > 0 {
		t.Errorf("%d lines were passed on", n)
	}
}

func TestAMalformedRequestOrNotificationOfTheChildFailsNoCall(t *testing.T) {
	c := start(t, protocol.Legacy)
	_, in := c.say(`1`,
		`{"jsonrpc":"2.0","id":$id,"method":"ping","params":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","id":$id,"result":{}}`)
	wants(t, in.frame(t), `{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// A child that writes rubbish without end fills no disk.
func TestComplaintsAboutAChildAreBounded(t *testing.T) {
	var complaints, leftOut atomic.Int64
	c := prepare(t, "modern", protocol.Legacy)
	cfg := *c.cfg.Load()
	cfg.Logger = slog.New(counting{slog.DiscardHandler, &complaints, &leftOut})
	c.cfg.Store(&cfg)
	began := time.Now()
	c.begin()
	lines := make([]string, 5000)
	for i := range lines {
		lines[i] = `{}`
	}
	_, in := c.say(`1`, append(lines, `{"jsonrpc":"2.0","id":$id,"result":{}}`)...)
	in.frame(t)
	c.Close("the test has seen enough")
	c.ended()
	<-c.closed
	seconds := int64(time.Since(began)/time.Second) + 1
	if n := complaints.Load(); n == 0 || n > 2*maxComplaints*seconds {
		t.Errorf("%d complaints within %d s", n, seconds)
	}
	if told := complaints.Load() + leftOut.Load(); told < int64(len(lines)) {
		t.Errorf("the log accounts for %d of %d lines", told, len(lines))
	}
}

// counting counts warnings, and what they say was left out.
type counting struct {
	slog.Handler
	n, leftOut *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }

func (c counting) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		c.n.Add(1)
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "left_out" {
				c.leftOut.Add(a.Value.Int64())
			}
			return true
		})
	}
	return nil
}

func TestWhatIsLeftOutOfTheLogIsCounted(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	var c complaints
	now := time.Unix(0, 0)
	for range maxComplaints + 7 {
		c.log(log, now, errors.New("odd"), 2)
	}
	c.log(log, now.Add(time.Second), errors.New("again"), 2)
	if got := strings.Count(b.String(), "error=odd"); got != maxComplaints {
		t.Errorf("%d complaints, want %d", got, maxComplaints)
	}
	if !strings.Contains(b.String(), "left_out=7") || strings.Count(b.String(), "left_out") != 1 || !strings.Contains(b.String(), "error=again") {
		t.Error(b.String()[max(0, b.Len()-500):])
	}
}

// What a child asks in a way that nobody can read is refused, or it would wait for ever.
func TestAMalformedRequestOfTheChildIsAnswered(t *testing.T) {
	c := start(t, protocol.Legacy)
	for line, refusal := range map[string]string{
		`{"jsonrpc":"2.0","id":"q1","method":"roots/list","params":{"a":1,"a":2}}`: `{"jsonrpc":"2.0","id":"q1","error":{"code":-32600,`,
		`{"jsonrpc":"2.0","method":"roots/list","params":[],"id": 72 }`:            `{"jsonrpc":"2.0","id":72,"error":{"code":-32600,`,
	} {
		_, in := c.say(`1`, line, `{"jsonrpc":"2.0","id":$id,"result":{}}`)
		in.frame(t)
		c.sawLine(refusal)
	}
	for _, line := range []string{ // of nobody who could be answered
		`{"jsonrpc":"2.0","method":"x","params":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","id":"<bad utf-8>","method":"x"}`,
		`{"jsonrpc":"2.0","id":{},"method":"x"}`,
	} {
		_, in := c.say(`1`, line, `{"jsonrpc":"2.0","id":$id,"result":{}}`)
		in.frame(t)
	}
	if read := strings.Join(c.seen(), "\n"); strings.Count(read, `"error"`) != 2 {
		t.Errorf("the child has read\n%s", read)
	}
}
