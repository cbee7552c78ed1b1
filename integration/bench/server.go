package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
)

// serverProcess is this program in the part of an HTTP server.
type serverProcess struct {
	cmd *exec.Cmd
	url string
}

// startServer starts one; the variable says which.
func startServer(variable string) (*serverProcess, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &serverProcess{cmd: exec.Command(os.Args[0]), url: "http://" + address + "/"}
	s.cmd.Env = append(os.Environ(), variable+"="+address)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := listens(address); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return s, nil
}

func (s *serverProcess) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // by that
}

func (s *serverProcess) way(name string) way {
	return way{name: name, open: func() (*session, error) {
		c, err := dial(s.url, nil)
		if err != nil {
			return nil, err
		}
		return &session{c.echo(""), c.close}, nil
	}}
}
