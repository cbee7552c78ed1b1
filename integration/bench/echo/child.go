package echo

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
)

// Child is a server that was started, for one caller at a time.
type Child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts a server.
func Start(cmd *exec.Cmd) (*Child, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Child{cmd, in, bufio.NewReaderSize(out, 1<<17)}, nil
}

// Call writes a line, with its end, and reads one without, which is good until the next call.
func (c *Child) Call(line []byte) ([]byte, error) {
	if _, err := c.in.Write(line); err != nil {
		return nil, err
	}
	answer, err := readLine(c.out)
	if err != nil {
		return nil, err
	}
	return answer[:len(answer)-1], nil
}

// End ends the input, and with it the server.
func (c *Child) End() error {
	_ = c.in.Close() // it may have ended
	return c.cmd.Wait()
}

// readLine reads a line with its end, which is good until the next. It copies only lines that
// are longer than the buffer.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	line = bytes.Clone(line)
	rest, err := r.ReadBytes('\n')
	return append(line, rest...), err
}
