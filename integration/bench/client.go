package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// patience is far longer than any answer takes.
const patience = time.Minute

// client speaks HTTP/1.1 on one connection, and as much of it as the servers here need:
// net/http's client costs more than the handler that is measured with it.
type client struct {
	conn    net.Conn
	in      *bufio.Reader
	path    string
	header  string // lines of every request
	session string // a line more, once there is a session
	out     []byte
	body    []byte
}

// reply is good until the next request.
type reply struct {
	status  int
	session string
	body    []byte // of an event stream: the data of its last event
}

// dial connects; header are lines of every request.
func dial(address string, roots *x509.CertPool, header ...string) (*client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, patience)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: u.Hostname()})
	}
	header = append(header, "Host: "+u.Host, "Content-Type: application/json", "Accept: application/json, text/event-stream")
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), path: u.Path, header: strings.Join(header, "\r\n") + "\r\n"}, nil
}

func (c *client) close() error { return c.conn.Close() }

// do makes one request. An answer other than 2xx is an error, with the reply beside it.
func (c *client) do(method string, body []byte) (reply, error) {
	out := append(c.out[:0], method...)
	out = append(append(append(out, ' '), c.path...), " HTTP/1.1\r\n"...)
	out = append(append(out, c.header...), c.session...)
	out = strconv.AppendInt(append(out, "Content-Length: "...), int64(len(body)), 10)
	c.out = append(append(out, "\r\n\r\n"...), body...)
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return reply{}, err
	}
	r, err := c.read()
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

var (
	contentLength    = []byte("Content-Length")
	contentType      = []byte("Content-Type")
	transferEncoding = []byte("Transfer-Encoding")
	sessionID        = []byte("Mcp-Session-Id")
	eventStream      = []byte("text/event-stream")
)

func (c *client) read() (reply, error) {
	line, err := c.line()
	if err != nil {
		return reply{}, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return reply{}, fmt.Errorf("no status line: %.100q", line)
	}
	var r reply
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return reply{}, err
	}
	length, chunked, events := 0, false, false
	for {
		line, err := c.line()
		if err != nil {
			return reply{}, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, contentLength):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return reply{}, err
			}
		case bytes.EqualFold(name, contentType):
			events = bytes.HasPrefix(value, eventStream)
		case bytes.EqualFold(name, transferEncoding):
			chunked = true
		case bytes.EqualFold(name, sessionID):
			r.session = string(value)
		}
	}
	c.body = c.body[:0]
	if chunked {
		err = c.chunks()
	} else {
		err = c.more(length)
	}
	r.body = c.body
	if events {
		r.body = lastData(r.body)
	}
	return r, err
}

// line is good until the next read.
func (c *client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// more reads n bytes onto the end of the body.
func (c *client) more(n int) error {
	had := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.in, c.body[had:])
	return err
}

// chunks reads a body of RFC 9112, section 7.1.
func (c *client) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return err
		}
		if err := c.more(int(size)); err != nil {
			return err
		}
		if line, err := c.line(); err != nil || len(line) > 0 {
			return fmt.Errorf("no end of a chunk: %q %w", line, err)
		}
		if size == 0 {
			return nil
		}
	}
}

// lastData is the data of the last event that has any; all here fit one line.
func lastData(stream []byte) []byte {
	for len(stream) > 0 {
		stream = bytes.TrimRight(stream, "\r\n")
		begin := bytes.LastIndexByte(stream, '\n') + 1
		if data, ok := bytes.CutPrefix(stream[begin:], []byte("data: ")); ok && len(data) > 0 {
			return data
		}
		stream = stream[:begin]
	}
	return nil
}

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
	r, err := c.do(http.MethodPost, []byte(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`))
	if err != nil {
		return err
	}
	if r.session == "" || !bytes.Contains(r.body, []byte(`"serverInfo"`)) {
		return fmt.Errorf("initialize, session %q: %.200s", r.session, r.body)
	}
	c.session = "Mcp-Session-Id: " + r.session + "\r\nMcp-Protocol-Version: 2025-11-25\r\n"
	_, err = c.do(http.MethodPost, []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`))
	return err
}

// end ends the session that was begun last.
func (c *client) end() error {
	_, err := c.do(http.MethodDelete, nil)
	return err
}

// legacy begins a session on a connection of its own.
func legacy(name, address string, roots *x509.CertPool, header ...string) way {
	return way{name: name, open: func() (*session, error) {
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
