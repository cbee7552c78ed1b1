package caddymodule

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// Caddy counts the requests of a route under its first handler. So it does of the route that
// takes its place.
func TestRedactedRoutesAreCountedAsBefore(t *testing.T) {
	b := serveBehind(t, "b", nil)
	server, _ := logging(t, "metrics", besideEndpoint("metrics /metrics\nreverse_proxy /x "+b.host))
	if w := ask(server, "/x"); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	want := `caddy_http_requests_total{handler="subroute",server="srv0"} 1`
	if w := ask(server, "/metrics"); !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d, without %s:\n%s", w.Code, want, w.Body)
	}
}

// What fastcgi logs cannot be told from what it sends, so it is said where it would be logged.
func TestLogOfFastCGIIsWarnedOf(t *testing.T) {
	const warning = "the transport fastcgi logs requests"
	server, log := logging(t, "", besideEndpoint("reverse_proxy /x 127.0.0.1:1 {\n\ttransport fastcgi\n}"))
	if w := ask(server, "/other"); w.Code != 200 || !strings.Contains(log(), warning) {
		t.Errorf("%d, logged: %s", w.Code, log())
	}
	b := serveBehind(t, "b", nil)
	server, log = logging(t, "", besideEndpoint("reverse_proxy /x "+b.host))
	if w := ask(server, "/x"); w.Code != 200 || strings.Contains(log(), warning) {
		t.Errorf("%d, logged: %s", w.Code, log())
	}
}

// transport is one that Caddy asks more of than to carry requests.
type transport struct{ http.RoundTripper }

func (transport) ProxyProtocolEnabled() bool  { return true }
func (transport) RequiresContentLength() bool { return true }

func TestTransportOfAnotherKindIsAskedAsBefore(t *testing.T) {
	for _, c := range []struct {
		inner http.RoundTripper
		want  bool
	}{{transport{}, true}, {http.DefaultTransport, false}} {
		replaced := (&rerouting{}).transport(c.inner)
		proxied, ok := replaced.(reverseproxy.ProxyProtocolTransport)
		if !ok || proxied.ProxyProtocolEnabled() != c.want {
			t.Errorf("%T: the PROXY protocol is not asked for as before", c.inner)
		}
		sized, ok := replaced.(reverseproxy.ContentLengthRequiredTransport)
		if !ok || sized.RequiresContentLength() != c.want {
			t.Errorf("%T: the length is not asked for as before", c.inner)
		}
	}
	if _, ok := (&rerouting{}).transport(new(reverseproxy.HTTPTransport)).(reverseproxy.TLSTransport); !ok {
		t.Error("Caddy's own transport is not asked about TLS")
	}
}

// An error tells what was wrong with an answer, not what stood in it, and stays what it was.
func TestErrorsHaveNoLineOfAnAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon: "the-secret"`: "net/http: HTTP/1.x transport connection broken: malformed MIME header: REDACTED",
		`malformed MIME header line: the-secret`:               "malformed MIME header line: REDACTED",
		`malformed HTTP response "Mcp-Session-Id: the-secret"`: "malformed HTTP response: REDACTED",
		"malformed chunked encoding":                           "malformed chunked encoding",
		"dial tcp 127.0.0.1:1: connect: connection refused":    "dial tcp 127.0.0.1:1: connect: connection refused",
	} {
		err := errors.New(text)
		got := withoutLine(err)
		if got.Error() != want || !errors.Is(got, err) {
			t.Errorf("%q has become %q", text, got)
		}
	}
}

// Routes without a handler that logs stay the very same.
func TestRoutesThatLogNothingAreLeftAlone(t *testing.T) {
	p := provisionWith(t, "log {\nlevel DEBUG\n}", besideEndpoint("respond /x 418"))
	for _, server := range p.http.Servers {
		d := redactorOf(server)
		if _, changed := d.rerouting.of(d.routes, nil); changed {
			t.Error("routes have been replaced")
		}
		if w := ask(server, "/x"); w.Code != http.StatusTeapot {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// A route that Caddy cannot find is its own to tell of.
func TestUnknownNamedRouteStays(t *testing.T) {
	r := &rerouting{server: &caddyhttp.Server{}, named: map[string]*caddyhttp.Route{}}
	if h := r.handler(&caddyhttp.Invoke{Name: "none"}); h != nil {
		t.Errorf("a %T takes its place", h)
	}
}
