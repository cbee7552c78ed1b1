package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is far longer than any answer takes.
const patience = time.Minute

// connection speaks HTTP/1.1, and as much of it as the servers here need: net/http's client
// costs more than the handler that is measured with it.
type connection struct {
	conn   net.Conn
	in     *bufio.Reader
	path   string
	header string // lines of every request
	out    []byte
	body   []byte
}

// connect is the [dialer] of what costs least.
func connect(address string, roots *x509.CertPool, header ...string) (*client, error) {
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
	header = append(slices.Concat(header, always), "Host: "+u.Host)
	c := &connection{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), path: u.Path, header: strings.Join(header, "\r\n") + "\r\n"}
	return &client{wire: c}, nil
}

func (c *connection) close() error { return c.conn.Close() }

func (c *connection) do(method, session string, body []byte) (reply, error) {
	out := append(c.out[:0], method...)
	out = append(append(append(out, ' '), c.path...), " HTTP/1.1\r\n"...)
	out = append(out, c.header...)
	if session != "" {
		out = append(append(append(out, "Mcp-Session-Id: "...), session...), "\r\nMcp-Protocol-Version: "+legacyVersion+"\r\n"...)
	}
	out = strconv.AppendInt(append(out, "Content-Length: "...), int64(len(body)), 10)
	c.out = append(append(out, "\r\n\r\n"...), body...)
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return reply{}, err
	}
	return c.read()
}

var (
	contentLength    = []byte("Content-Length")
	contentType      = []byte("Content-Type")
	transferEncoding = []byte("Transfer-Encoding")
	sessionID        = []byte("Mcp-Session-Id")
	eventStream      = []byte("text/event-stream")
)

func (c *connection) read() (reply, error) {
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
func (c *connection) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// more reads n bytes onto the end of the body.
func (c *connection) more(n int) error {
	had := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.in, c.body[had:])
	return err
}

// chunks reads a body of RFC 9112, section 7.1.
func (c *connection) chunks() error {
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
