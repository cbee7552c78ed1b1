package echo

import (
	"io"
	"net/http"
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
	children map[string]*Child // by the client's address
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
	return c.Call(append(body, '\n'))
}

func (p *Pass) of(connection string) (*Child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.children[connection]; c != nil {
		return c, nil
	}
	c, err := Start(p.Start())
	if err != nil {
		return nil, err
	}
	if p.children == nil {
		p.children = map[string]*Child{}
	}
	p.children[connection] = c
	return c, nil
}

func (p *Pass) end(connection string) {
	p.mu.Lock()
	c := p.children[connection]
	delete(p.children, connection)
	p.mu.Unlock()
	if c != nil {
		_ = c.End() // its status is nobody's here
	}
}
