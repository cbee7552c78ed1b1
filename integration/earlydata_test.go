package integration_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

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
	tickets := tls.NewLRUClientSessionCache(8)
	token := g.token(t, "alice")

	// A whole handshake first, for the ticket that early data needs.
	if status, early := overHTTP3(t, g, tickets, http.MethodGet, token); early || status != http.StatusBadRequest {
		t.Fatalf("without early data: %d, early %v", status, early)
	}
	// The rest of the handshake may overtake the request on its way through the server,
	// and then the request is no longer early. So there is more than one attempt.
	var seen []string
	for range 20 {
		status, early := overHTTP3(t, g, tickets, http3.MethodGet0RTT, token)
		if early && status == http.StatusTooEarly {
			return
		}
		seen = append(seen, fmt.Sprintf("%d early %v", status, early))
	}
	t.Errorf("no early request was refused: %s", strings.Join(seen, ", "))
}

// overHTTP3 sends one request on a connection of its own. It says whether the server
// took early data on it.
func overHTTP3(t *testing.T, g *gateway, tickets tls.ClientSessionCache, method, token string) (status int, early bool) {
	t.Helper()
	var conn *quic.Conn
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: g.roots, ClientSessionCache: tickets},
		Dial: func(ctx context.Context, addr string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			var err error
			conn, err = quic.DialAddrEarly(ctx, addr, config, quicConfig)
			return conn, err
		},
	}
	defer transport.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, strings.Replace(g.url, "localhost", "127.0.0.1", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = g.host
	transport.TLSClientConfig.ServerName = "localhost"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "text/event-stream")
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, conn.ConnectionState().Used0RTT
}
