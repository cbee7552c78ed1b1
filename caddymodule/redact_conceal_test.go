package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A platform's assertion is secret under whatever name it comes, in the logs of handlers too, and
// where a handler has taken the header away whose copy it is.
func TestCopiesOfAnAssertionAreInNoHandlersLog(t *testing.T) {
	b := serveBehind(t, "b", nil)
	for name, options := range map[string]string{"no access log": "", "access log": "log\n"} {
		t.Run(name, func(t *testing.T) {
			server, log := logging(t, "", besideEndpoint(options+"request_header -X-Assertion\nuri strip_prefix /y\nreverse_proxy "+b.host))
			assertion := "the-secret-" + strings.Repeat("assertion", 5)
			r := httptest.NewRequest(http.MethodGet, "/y/x", nil)
			r.Host = "mcp.example.com"
			r.Header.Set("X-Assertion", assertion)
			r.Header.Set("X-Access-Token", "Bearer "+assertion)
			server.ServeHTTP(httptest.NewRecorder(), r)
			if h := b.took()[0]; h.Get("X-Access-Token") != "Bearer "+assertion {
				t.Errorf("the server got %v", h)
			}
			holds(t, log(), "upstream roundtrip", "rewrote request")
			if n := strings.Count(log(), `"X-Access-Token":["REDACTED"]`); n < 2 {
				t.Errorf("%d entries say that something was left out:\n%s", n, log())
			}
		})
	}
}

// Addresses with a token in them come in header fields as well: that of the page before, and those
// by which proxies tell of a request.
func TestAddressesInHeadersLogNoToken(t *testing.T) {
	b := serveBehind(t, "b", nil)
	for name, options := range map[string]string{"no access log": "", "access log": "log\n"} {
		t.Run(name, func(t *testing.T) {
			server, log := logging(t, "", besideEndpoint(options+"error /fails 503\nuri strip_prefix /y\nreverse_proxy "+b.host))
			fields := map[string]string{
				"Referer":         "https://mcp.example.com/x?a=1&access_token=the-secret-query",
				"X-Forwarded-Uri": "/x?access_token=the-secret-query",
				"X-Original-Url":  "/form?next=%2Fx%3Faccess_token%3Dthe-secret-query",
			}
			for _, path := range []string{"/y/x", "/fails"} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host = "mcp.example.com"
				for name, value := range fields {
					r.Header.Set(name, value)
				}
				server.ServeHTTP(httptest.NewRecorder(), r)
			}
			h := b.took()[0]
			for name, value := range fields {
				if h.Get(name) != value {
					t.Errorf("the server got %s: %s", name, h.Get(name))
				}
			}
			holds(t, log(), "upstream roundtrip", "rewrote request")
			if n := strings.Count(log(), `"Referer":["https://mcp.example.com/x?a=1&access_token=REDACTED"]`); n < 3 {
				t.Errorf("%d entries have the address:\n%s", n, log())
			}
		})
	}
}

// A handler that a request comes to under another host than its routes show has what stands behind
// it log no secret either.
func TestUnguardedRequestIsCoveredForWhatStandsBehind(t *testing.T) {
	b := serveBehind(t, "b", nil)
	server, log := logging(t, "", visible+`:80 {
	route {
		request_header Host inner.example.net
		@inner host inner.example.net
		route @inner {
			intercept {
				@refused status 401
				handle_response @refused {
					reverse_proxy `+b.host+`
				}
			}
			`+guarded+`
		}
	}
}`)
	r := secretRequest("mcp.example.com", "/mcp")
	r.Header.Del("X-Assertion") // which is secret where token_header names it
	server.ServeHTTP(httptest.NewRecorder(), r)
	if h := b.took()[0]; h.Get("Mcp-Session-Id") != "the-secret-session" {
		t.Errorf("the server got %v", h)
	}
	holds(t, log(), "upstream roundtrip")
}
