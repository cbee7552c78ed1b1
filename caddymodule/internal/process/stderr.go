package process

import (
	"bufio"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What one child may write to the log through one pipe. Beyond it lines are
// counted and not logged, but always read: a child must not hang because it
// talks much.
const (
	logLineMax      = 8 << 10  // bytes of one line
	logLinesPerSpan = 100      // lines
	logBytesPerSpan = 64 << 10 // bytes of lines
	logSpan         = time.Second
)

// readStderr logs what the child writes on standard error, which is free text
// and no sign of failure (MCP, stdio transport).
func (p *Process) readStderr() {
	defer p.outputEnded()
	log := newLineLog(p.log, slog.LevelInfo, "stderr of the process")
	defer log.flush()
	src := bufio.NewReaderSize(counted{&output{file: p.child.stderr}, &p.heard}, logLineMax)
	for {
		line, err := src.ReadSlice('\n')
		cut := err == bufio.ErrBufferFull
		if !isBlank(trimNewline(line)) {
			log.addCut(trimNewline(line), cut)
		}
		for err == bufio.ErrBufferFull {
			_, err = src.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func trimNewline(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// lineLog writes a child's lines to the log within a budget for each second. It
// belongs to one goroutine.
type lineLog struct {
	logger  *slog.Logger
	level   slog.Level
	message string

	since      time.Time // begin of the span
	lines      int       // logged in it
	bytes      int
	suppressed int
}

func newLineLog(logger *slog.Logger, level slog.Level, message string) *lineLog {
	return &lineLog{logger: logger, level: level, message: message}
}

// add logs a line, cut to the limit.
func (l *lineLog) add(line []byte) { l.addCut(line, false) }

// addCut does so for a line of which the rest may be missing already.
func (l *lineLog) addCut(line []byte, cut bool) {
	if now := time.Now(); now.Sub(l.since) >= logSpan {
		l.flush()
		l.since, l.lines, l.bytes = now, 0, 0
	}
	if len(line) > logLineMax {
		line, cut = line[:logLineMax], true
	}
	if l.lines >= logLinesPerSpan || l.bytes+len(line) > logBytesPerSpan {
		l.suppressed++
		return
	}
	l.lines++
	l.bytes += len(line)
	attrs := []slog.Attr{slog.String("line", printable(line))}
	if cut {
		attrs = append(attrs, slog.Bool("truncated", true))
	}
	l.logger.LogAttrs(context.Background(), l.level, l.message, attrs...)
}

// flush logs how many lines were left out since the last time, if any.
func (l *lineLog) flush() {
	if l.suppressed == 0 {
		return
	}
	l.logger.LogAttrs(context.Background(), slog.LevelWarn, l.message+": too many, some left out",
		slog.Int("suppressed", l.suppressed))
	l.suppressed = 0
}

// printable escapes what could deceive a reader of the log, whatever handler
// writes it: control characters, invalid UTF-8, and invisible or reordering
// characters (Unicode category Cf).
func printable(line []byte) string {
	var b strings.Builder
	b.Grow(len(line))
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x`)
			b.WriteString(strconv.FormatUint(uint64(line[0])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		line = line[size:]
	}
	return b.String()
}
