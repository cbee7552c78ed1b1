package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
)

// client makes the requests of one session.
type client struct {
	wire    wire
	session string // its id, once there is one
}

// wire carries requests, one at a time, with the id of a session unless that is "".
type wire interface {
	do(method, session string, body []byte) (reply, error)
	close() error
}

// reply is good until the next request.
type reply struct {
	status  int
	session string
	body    []byte // of an event stream: the data of its last event
}

// dialer makes a client of one kind; header are lines of every request.
type dialer func(address string, roots *x509.CertPool, header ...string) (*client, error)

// always are the lines of every request to every server.
var always = []string{"Content-Type: application/json", "Accept: application/json, text/event-stream"}

const legacyVersion = "2025-11-25"

// do makes one request. An answer other than 2xx is an error, with the reply beside it.
func (c *client) do(method string, body []byte) (reply, error) {
	r, err := c.wire.do(method, c.session, body)
	switch {
	case err != nil:
	case r.status == http.StatusServiceUnavailable:
		err = fmt.Errorf("%w: %.200s", errBusy, r.body)
	case r.status/100 != 2:
		err = fmt.Errorf("status %d: %.200s", r.status, r.body)
	}
	return r, err
}

// errBusy means that a server has more to do than it takes.
var errBusy = errors.New("status 503")

// echo calls the echo server; meta is the content of _meta.
func (c *client) echo(meta string) func(int, []byte) error {
	k := caller{meta: meta}
	return func(id int, text []byte) error {
		r, err := c.do(http.MethodPost, k.call(id, text))
		if err != nil {
			return err
		}
		return k.check(r.body, id, text)
	}
}

// begin begins a legacy session.
func (c *client) begin() error {
	c.session = ""
	r, err := c.do(http.MethodPost, []byte(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+legacyVersion+`","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`))
	if err != nil {
		return err
	}
	if r.session == "" || !bytes.Contains(r.body, []byte(`"serverInfo"`)) {
		return fmt.Errorf("initialize, session %q: %.200s", r.session, r.body)
	}
	c.session = r.session
	_, err = c.do(http.MethodPost, []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))
	return err
}

// end ends the session that was begun last.
func (c *client) end() error {
	_, err := c.do(http.MethodDelete, nil)
	return err
}

func (c *client) close() error { return c.wire.close() }

// legacy begins a session on a connection of its own.
func legacy(name, address string, roots *x509.CertPool, header ...string) way {
	return way{name: name, open: func(dial dialer) (*session, error) {
		c, err := dial(address, roots, header...)
		if err != nil {
			return nil, err
		}
		if err := c.begin(); err != nil {
			_ = c.close()
			return nil, err
		}
		return &session{c.echo(""), func() error {
			defer c.close()
			return c.end()
		}}, nil
	}}
}
