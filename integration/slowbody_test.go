package integration_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// The body has thirty seconds to arrive. A client that sends a part and then nothing
// would otherwise keep a connection for as long as it likes.
func TestSlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped with -short: it waits the thirty seconds that a body may take")
	}
	g := start(t, standin())
	conn, err := tls.Dial("tcp", g.host, &tls.Config{RootCAs: g.roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30*time.Second + patience)); err != nil {
		t.Fatal(err)
	}
	began := time.Now() // before the gateway's own clock
	_, err = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: application/json, text/event-stream\r\n"+
		"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\":", g.host, g.token(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if took := time.Since(began); response.StatusCode != http.StatusRequestTimeout || took < 29*time.Second {
		t.Errorf("status %d after %v", response.StatusCode, took)
	}
	if n := len(g.processes(t)); n != 0 {
		t.Errorf("%d processes", n)
	}
}
