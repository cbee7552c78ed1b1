package echo

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
)

// Pass is the least of a gateway: it gives what is posted on a connection to a process that
// belongs to the connection, and the next line of the process as the answer. It does not
// parse, know who calls, or see what a server says by itself, and a server that does not
// answer keeps it waiting for ever. No gateway can do less.
type Pass struct {
	// Start makes the command of a process.
	Start func() *exec.Cmd

	mu       sync.Mutex
	children map[string]*child // by the client's address
}

type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// ServeHTTP passes one message on. DELETE ends the connection's process.
func (p *Pass) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		p.end(r.RemoteAddr)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer, err := p.pass(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // the client sees that it is missing
}

// pass returns the answer, which is good until the next one on the connection.
func (p *Pass) pass(r *http.Request) ([]byte, error) {
	body := make([]byte, r.ContentLength, r.ContentLength+1)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, err
	}
	c, err := p.of(r.RemoteAddr)
	if err != nil {
		return nil, err
	}
	if _, err := c.in.Write(append(body, '\n')); err != nil {
		return nil, err
	}
	line, err := ReadLine(c.out)
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

func (p *Pass) of(connection string) (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.children[connection]; c != nil {
		return c, nil
	}
	cmd := p.Start()
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
	if p.children == nil {
		p.children = map[string]*child{}
	}
	c := &child{cmd, in, bufio.NewReaderSize(out, 1<<17)}
	p.children[connection] = c
	return c, nil
}

func (p *Pass) end(connection string) {
	p.mu.Lock()
	c := p.children[connection]
	delete(p.children, connection)
	p.mu.Unlock()
	if c != nil {
		_ = c.in.Close()
		_ = c.cmd.Wait() // it ends with its input
	}
}
