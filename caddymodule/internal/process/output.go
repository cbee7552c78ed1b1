package process

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
)

// stdoutBuffer holds many usual messages, so that one read serves them all.
const stdoutBuffer = 64 << 10

// readStdout hands lines to OnLine until the pipe ends, is closed, or a line is
// too long.
func (p *Process) readStdout() {
	defer p.outputEnded()
	rubbish := newLineLog(p.log, slog.LevelWarn, "stdout line of the process is not JSON, skipped")
	defer rubbish.flush()
	lines := lineReader{src: bufio.NewReaderSize(counted{&output{file: p.child.stdout}, &p.heard}, stdoutBuffer), limit: p.cfg.MaxLine}
	for {
		line, ended, err := lines.next()
		if err == errOverLimit {
			p.Kill(fmt.Errorf("%w of %d bytes", ErrLineTooLong, p.cfg.MaxLine))
			return
		}
		switch {
		case isBlank(line):
		case looksLikeJSON(line) && (ended || json.Valid(line)):
			p.cfg.OnLine(line)
		case ended:
			rubbish.add(line)
		default:
			rubbish.addCut(line, false)
		}
		if err != nil {
			// Mostly the process is just ending. If not, nothing that it is asked would ever
			// be answered.
			p.climb("standard output closed by the process", ErrOutputClosed)
			return
		}
	}
}

// lastWords is how many bytes are read of an output once there is no more waiting for it: more
// than a pipe can hold. It bounds what is read of a descendant that writes on and on.
const lastWords = 2 << 20

// output is a pipe from the child. When its deadline has passed the child is dead, and what it
// wrote before is in the pipe: that is read, however late its reader gets to run, and nothing
// is waited for.
type output struct {
	file *os.File
	late int // bytes read after the deadline
}

func (o *output) Read(p []byte) (n int, err error) {
	n, err = o.file.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) || o.late >= lastWords {
		return n, err
	}
	raw, err := o.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	if closed := raw.Control(func(fd uintptr) { n, err = readNow(fd, p) }); closed != nil {
		return 0, closed
	}
	o.late += n
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// counted counts the bytes that were read.
type counted struct {
	io.Reader
	bytes *atomic.Uint64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes.Add(uint64(n))
	return n, err
}

// outputEnded is called by each reader of a pipe at its end.
func (p *Process) outputEnded() {
	if p.reading.Add(-1) == 0 {
		close(p.outputsEnded)
	}
}

// isBlank finds lines of nothing but JSON's white space (RFC 8259 section 2).
func isBlank(line []byte) bool {
	return len(bytes.TrimLeft(line, " \t\r")) == 0
}

// looksLikeJSON says whether the line begins like a JSON-RPC message or batch. A
// byte order mark does not (RFC 8259 section 8.1).
func looksLikeJSON(line []byte) bool {
	rest := bytes.TrimLeft(line, " \t\r")
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == '[')
}

// lineReader cuts a stream into lines of limited length.
type lineReader struct {
	src   *bufio.Reader
	limit int // bytes without the line end
}

const errOverLimit = lineError("line over the limit")

type lineError string

func (e lineError) Error() string { return string(e) }

// next returns the next line without its end ("\n" or "\r\n") in memory of its
// own, and whether it had an end. At the end of the stream the error is the
// reader's, and the line what was left, often nothing. errOverLimit comes as soon
// as the line is too long, before it is read whole.
func (r *lineReader) next() (line []byte, ended bool, err error) {
	var long []byte
	for {
		part, err := r.src.ReadSlice('\n')
		ended = err == nil
		if ended {
			part = part[:len(part)-1]
		}
		// One more than the limit may yet turn out to be the '\r' of the end.
		if len(long)+len(part) > r.limit+1 {
			return nil, false, errOverLimit
		}
		if err != bufio.ErrBufferFull {
			line = appendExact(long, part)
			if ended {
				line = bytes.TrimSuffix(line, []byte{'\r'})
			}
			if len(line) > r.limit {
				return nil, false, errOverLimit
			}
			return line, ended, err
		}
		long = append(long, part...)
	}
}

// appendExact makes a line that fitted the buffer no larger than it is.
func appendExact(long, part []byte) []byte {
	if long == nil {
		return append(make([]byte, 0, len(part)), part...)
	}
	return append(long, part...)
}
