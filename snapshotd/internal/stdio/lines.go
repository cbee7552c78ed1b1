package stdio

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// errTooLong means that a line was longer than MaxLine and has been skipped.
var errTooLong = errors.New("message too long")

// line is one line of input without its end, or the error in its place.
type line struct {
	data []byte
	err  error
}

// readLines hands on the lines of the input until it ends or the connection is
// closed. Blank lines are skipped; a last line without its end is a line.
func (c *conn) readLines() {
	r := bufio.NewReaderSize(c.in, 64<<10)
	for {
		data, err := readLine(r, MaxLine)
		switch {
		case errors.Is(err, errTooLong):
			if !c.hand(line{err: err}) {
				return
			}
			continue
		case len(data) > 0:
			if !c.hand(line{data: data}) {
				return
			}
		}
		if err != nil {
			c.hand(line{err: err})
			return
		}
	}
}

func (c *conn) hand(l line) bool {
	select {
	case c.lines <- l:
		return true
	case <-c.closed:
		return false
	}
}

// readLine returns the next line, trimmed, in memory of its own. Of a line over
// the limit nothing is kept; it is read past and errTooLong returned. Data may
// come with io.EOF.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var data []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if len(data)+len(part) > limit+1 {
			long, data = true, nil
		}
		if !long {
			data = append(data, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && (err == nil || errors.Is(err, io.EOF)):
			return nil, errTooLong
		}
		return bytes.TrimSpace(data), err
	}
}

// lineWriter writes whole lines. It is safe for concurrent use.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lineWriter) writeLine(data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.out.Write(append(data, '\n'))
	return err
}
