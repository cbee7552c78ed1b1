package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
)

// The rows of servers that answer themselves, or pass on, and do nothing else.
const (
	bareName     = "bare HTTP"
	caddyName    = "handler in Caddy, http"
	leastName    = "least gateway, http"
	leastInCaddy = "least in Caddy, http"
)

// passPath is where a server passes on, profilePath where that in Caddy says what it is busy with.
const (
	passPath    = "/pass"
	profilePath = "/profile"
)

// serverProcess is an HTTP server that answers itself, in a process of its own.
type serverProcess struct {
	cmd *exec.Cmd
	url string
}

// startInCaddy starts the one in Caddy.
func (r *report) startInCaddy() (*serverProcess, error) {
	return startServer(func(address string) *exec.Cmd { return exec.Command(r.inCaddy, address, os.Args[0]) })
}

// startServer starts one by a command for its address.
func startServer(command func(address string) *exec.Cmd) (*serverProcess, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &serverProcess{cmd: command(address), url: "http://" + address}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := listens(address); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w", s.cmd.Path, err)
	}
	return s, nil
}

func (s *serverProcess) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // by that
}

// answering is the way to what answers itself.
func (s *serverProcess) answering(name string) way {
	return way{name: name, pid: s.cmd.Process.Pid, open: func(dial dialer) (*session, error) {
		c, err := dial(s.url+"/", nil)
		if err != nil {
			return nil, err
		}
		return &session{c.echo(""), c.close}, nil
	}}
}

// passing is the way to a process for each connection.
func (s *serverProcess) passing(name string) way {
	return way{name: name, pid: s.cmd.Process.Pid, open: func(dial dialer) (*session, error) {
		c, err := dial(s.url+passPath, nil)
		if err != nil {
			return nil, err
		}
		return &session{c.echo(""), func() error {
			defer c.close()
			return c.end()
		}}, nil
	}}
}

// profile is that of its CPU in the time of the query.
func (s *serverProcess) profile(query string) ([]byte, error) {
	return getProfile(http.DefaultClient, s.url+profilePath+query)
}
