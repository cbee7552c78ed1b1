package integration_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// patientQUIC gives a handshake more than the usual five seconds.
func patientQUIC() *quic.Config {
	return &quic.Config{HandshakeIdleTimeout: patience, MaxIdleTimeout: 2 * patience}
}

// overQUIC has all requests to a gateway go over HTTP/3 from now on.
func (g *gateway) overQUIC(t *testing.T) {
	t.Helper()
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: g.roots, ServerName: "localhost"},
		QUICConfig:      patientQUIC(),
		Dial: func(ctx context.Context, addr string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, strings.Replace(addr, "localhost", "127.0.0.1", 1), config, quicConfig)
		},
	}
	t.Cleanup(func() { transport.Close() })
	g.client = &http.Client{Transport: transport}
}

// Over HTTP/3 a short answer is sent when its handler has returned. A session's id is in it
// nevertheless, and in no log.
func TestSessionsBeginOverHTTP3(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]site{
		"a process":                standin(),
		"a server":                 {proxy: mortalServer(t).host},
		"a server with its own id": {proxy: mortalServer(t).host, mcp: []string{"bind_sessions off"}},
	} {
		t.Run(name, func(t *testing.T) {
			lines, files := everyLog(t.TempDir())
			s.protocols, s.routes = "h1 h2 h3", append(lines, "redir /moved /to{uri}")
			g := start(t, s)
			g.overQUIC(t)
			token := g.token(t, "alice")
			p := g.legacy(t, token)
			if a := p.post(pingMessage); a.status != http.StatusOK {
				t.Errorf("in the session: %d %s", a.status, a.body)
			}
			l := &leaker{t: t, present: set("Authorization", "Bearer "+token), secrets: map[string]bool{p.session: true, serverSession: true, "secret-in-the-query": true}}
			g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			a := p.do(http.MethodGet, "", func(r *http.Request) {
				r.URL.Path, r.URL.RawQuery = "/moved", "access_token=secret-in-the-query"
			})
			if location := a.header.Get("Location"); location != "/to/moved?access_token=secret-in-the-query" {
				t.Errorf("%d, sent on to %s", a.status, location)
			}
			l.search(l.logs(g, files))
		})
	}
}
