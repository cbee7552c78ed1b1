//go:build unix

package process

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStderrFloodIsDrainedAndBounded(t *testing.T) {
	r := play(t, "flood-stderr")
	r.expect(`{"done":true}`)
	r.Stop("test")
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	log := r.log.String()
	lines := strings.Count(log, "xxxxxxxx\"")
	lines += strings.Count(log, "xxxxxxxx\n")
	if lines < logLinesPerSpan || lines > 20*logLinesPerSpan {
		t.Errorf("%d of %d lines were logged", lines, floodLines)
	}
	if !strings.Contains(log, "suppressed=") {
		t.Error("the log does not say that lines were left out")
	}
}

func TestLineLogCountsWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b logBuffer
		l := newLineLog(slog.New(slog.NewTextHandler(&b, nil)), slog.LevelInfo, "said")
		for range 250 {
			l.add([]byte("a"))
		}
		time.Sleep(logSpan)
		l.add([]byte("b"))
		l.flush()
		log := b.String()
		if n := strings.Count(log, "line=a"); n != logLinesPerSpan {
			t.Errorf("%d lines in a span", n)
		}
		if strings.Count(log, "suppressed=150") != 1 || strings.Count(log, "suppressed=") != 1 {
			t.Errorf("the count is wrong:\n%s", log[len(log)-300:])
		}
		if strings.Index(log, "suppressed=150") > strings.Index(log, "line=b") {
			t.Error("the count comes after the next line")
		}
	})
}

func TestLineLogBoundsBytesAndCutsLongLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b logBuffer
		l := newLineLog(slog.New(slog.NewTextHandler(&b, nil)), slog.LevelInfo, "said")
		for range 50 {
			l.add([]byte(strings.Repeat("a", 3*logLineMax)))
		}
		l.flush()
		log := b.String()
		if n := strings.Count(log, "truncated=true"); n != logBytesPerSpan/logLineMax {
			t.Errorf("%d long lines logged", n)
		}
		if len(log) > logBytesPerSpan+4096 {
			t.Errorf("%d bytes of log", len(log))
		}
	})
}

func TestPrintableEscapesWhatDeceives(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 日本":           "plain é 日本",
		"a\tb\x1b[2J\x00":      `a\tb\x1b[2J\x00`,
		"\xff\x07\r":           `\xff\a\r`,
		"x\u202ey\u2028\ufeff": `x\u202ey\u2028\ufeff`,
		"it's":                 "it's",
	} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
