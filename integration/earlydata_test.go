package integration_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Whoever records early data can send it again, so nothing may act on it (RFC 8470).
// Caddy takes it over HTTP/3; crypto/tls has no early data over TCP.
func TestEarlyDataIsRefused(t *testing.T) {
	t.Parallel()
	s := standin()
	s.protocols = "h1 h2 h3"
	g := start(t, s)
	client, err := json.Marshal(earlyClient{
		URL: strings.Replace(g.url, "localhost", "127.0.0.1", 1), Host: g.host, Token: g.token(t, "alice"),
		Roots: g.rootFile(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), earlyVar+"="+string(client), "GORACE=halt_on_error=0 exitcode=0 "+promptExit)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// earlyVar has an [earlyClient] for the test binary, which then is that and nothing else: quic-go
// reads what it remembers of a server while the handshake writes what that says now, and the race
// detector would blame the tests that run at that moment.
const earlyVar = "SNAPGATE_TEST_EARLY_CLIENT"

type earlyClient struct {
	URL, Host, Token string
	Roots            string // file
	tickets          tls.ClientSessionCache
}

// runEarlyClient fails unless the server takes early data and the gateway refuses it.
func runEarlyClient(text string) error {
	c := earlyClient{tickets: tls.NewLRUClientSessionCache(8)}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	// A whole handshake first, for the ticket that early data needs.
	status, early, err := c.get(http.MethodGet)
	if err != nil || early || status != http.StatusBadRequest {
		return fmt.Errorf("without early data: %d, early %v, %v", status, early, err)
	}
	// The rest of the handshake may overtake the request on its way through the server,
	// and then the request is no longer early. So there is more than one attempt, and the more the
	// busier the machine is.
	seen := map[string]int{}
	for deadline := time.Now().Add(patience); len(seen) == 0 || time.Now().Before(deadline); {
		status, early, err := c.get(http3.MethodGet0RTT)
		if early && status == http.StatusTooEarly {
			return err
		}
		seen[fmt.Sprintf("%d early %v %v", status, early, err)]++
	}
	return fmt.Errorf("no early request was refused: %v", seen)
}

// get sends one request on a connection of its own. It says whether the server took early data
// on it.
func (c *earlyClient) get(method string) (status int, early bool, err error) {
	pem, err := os.ReadFile(c.Roots)
	if err != nil {
		return 0, false, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var conn *quic.Conn
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: c.tickets},
		QUICConfig:      patientQUIC(),
		Dial: func(ctx context.Context, addr string, config *tls.Config, quicConfig *quic.Config) (_ *quic.Conn, err error) {
			conn, err = quic.DialAddrEarly(ctx, addr, config, quicConfig)
			return conn, err
		},
	}
	defer transport.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.URL, nil)
	if err != nil {
		return 0, false, err
	}
	r.Host = c.Host
	r.Header.Set("Authorization", "Bearer "+c.Token)
	r.Header.Set("Accept", "text/event-stream")
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, conn.ConnectionState().Used0RTT, err
}
