package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What is between a client and a handler on the wire goes on through both passes: the wait for
// a 100, a connection that is kept, and one that is taken over.
func TestSecondPassKeepsTheWire(t *testing.T) {
	server, log := logging(t, "", `http://mcp.example.com {
		log
		respond /body "{http.request.body}"
		reverse_proxy /upgrade `+serveBehind(t, "b", switches(t)).host+`
		handle /mcp {
			`+guarded+`
		}
	}`)
	server.EnableFullDuplex = true
	front := httptest.NewServer(server)
	defer front.Close()
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	from := bufio.NewReader(conn)
	answer := func(status int) *http.Response {
		t.Helper()
		r, err := http.ReadResponse(from, nil)
		if err != nil || r.StatusCode != status {
			t.Fatalf("%v, %v; want %d", r, err, status)
		}
		return r
	}
	const head = " HTTP/1.1\r\nHost: mcp.example.com\r\nMcp-Session-Id: the-secret-session\r\n"

	fmt.Fprint(conn, "POST /body"+head+"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	answer(http.StatusContinue)
	fmt.Fprint(conn, "hello")
	r := answer(http.StatusOK)
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "hello" {
		t.Errorf("%q, %v", body, err)
	}

	fmt.Fprint(conn, "GET /upgrade"+head+"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	answer(http.StatusSwitchingProtocols)
	fmt.Fprint(conn, "ping\n")
	if line, err := from.ReadString('\n'); err != nil || line != "ping\n" {
		t.Errorf("%q, %v", line, err)
	}
	text := log() // the first entry was written before the second request was read
	if !strings.Contains(text, `"uri":"/body","headers":{`) || !strings.Contains(text, `"Mcp-Session-Id":["REDACTED"]`) {
		t.Errorf("logged: %s", text)
	}
	holds(t, text)
}
