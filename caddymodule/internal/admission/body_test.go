package admission

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

func TestContentTypes(t *testing.T) {
	g := gate(t, Settings{})
	for kind, want := range map[string]int{
		"application/json": 0, "Application/JSON; charset=UTF-8": 0, `application/json;charset="utf-8"`: 0,
		"": 415, "text/plain": 415, "application/json; charset=latin1": 415, "application/jsonp": 415, "application/json, text/plain": 415,
		"multipart/form-data; boundary=x": 415, "application/x-www-form-urlencoded": 415, ";": 415,
	} {
		if _, _, got := status(g, post(ping, "Content-Type", kind)); got != want {
			t.Errorf("Content-Type %q: %d, want %d", kind, got, want)
		}
	}
	for encoding, want := range map[string]int{"identity": 0, " Identity ": 0, "gzip": 415, "br": 415, "identity, gzip": 415} {
		if _, refusal, got := status(g, post(ping, "Content-Encoding", encoding)); got != want || got == 415 && refusal.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("Content-Encoding %q: %d, want %d", encoding, got, want)
		}
	}
}

func TestTheBodyIsBoundedToTheByte(t *testing.T) {
	g := gate(t, Settings{MaxBody: int64(len(ping))})
	for body, want := range map[string]int{ping: 0, ping + " ": 413} {
		if _, _, got := status(g, post(body)); got != want {
			t.Errorf("%d bytes: %d, want %d", len(body), got, want)
		}
		chunked := post(body)
		chunked.ContentLength = -1
		if _, _, got := status(g, chunked); got != want {
			t.Errorf("%d bytes in chunks: %d, want %d", len(body), got, want)
		}
	}
}

// serve runs the gate on real connections and returns its address.
func serve(t *testing.T, s Settings) string {
	g := gate(t, s)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, refusal := g.Admit(w, r); refusal != nil {
			refusal.Write(w, nil)
			return
		}
		fmt.Fprint(w, "in")
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func dial(t *testing.T, address, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s", request)
	return conn, bufio.NewReader(conn)
}

func TestASlowBodyIs408AndItsConnectionIsClosed(t *testing.T) {
	address := serve(t, Settings{BodyTimeout: 100 * time.Millisecond})
	for _, request := range []string{
		"Content-Length: 100\r\n\r\n{",
		"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
	} {
		_, in := dial(t, address, request)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusRequestTimeout || !resp.Close || !strings.Contains(string(body), "did not arrive") {
			t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("the connection stays open: %v", err)
		}
	}
}

func TestAConnectionIsGoodForMoreAfterTheBodyTimeout(t *testing.T) {
	const timeout = time.Second
	address := serve(t, Settings{BodyTimeout: timeout})
	request := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(ping), ping)
	conn, in := dial(t, address, request)
	for n := range 2 {
		if n > 0 {
			time.Sleep(timeout + timeout/4) // the deadline of the first body passes while the connection is idle
			fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s", request)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "in" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
}

func TestABodyThatEndsTooEarlyIs400(t *testing.T) {
	address := serve(t, Settings{})
	conn, in := dial(t, address, "Content-Length: 100\r\n\r\n{")
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%d", resp.StatusCode)
	}
}
