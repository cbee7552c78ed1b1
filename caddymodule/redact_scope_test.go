package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// guarded is an mcp_oauth on a resource of its own.
const guarded = "mcp_oauth {\n oauth https://auth.example.com {\n resource https://mcp.example.com/mcp\n}\n}\n"

// visible is a site whose way to its handler is in the routes.
const visible = "http://visible.example {\n log\n mcp_oauth {\n oauth https://auth.example.com\n}\n}\n"

// hiddenWays are such as the routes do not show, or not as requests come.
var hiddenWays = map[string]struct {
	caddyfile string
	logged    int // of two requests
}{
	"in intercept": {visible + `http://mcp.example.com {
			log
			intercept {
				@ok status 200
				handle_response @ok {
					` + guarded + `
				}
			}
			respond "ok"
		}`, 2},
	"in handle_errors": {visible + `http://mcp.example.com {
			log
			error 503
			handle_errors {
				` + guarded + `
			}
		}`, 2},
	"an inner host behind a changed Host": {`http://*.example.com {
			log
			route {
				request_header Host inner.example.net
				@inner host inner.example.net
				route @inner {
					` + guarded + `
				}
			}
		}`, 2},
	"a host only behind a changed Host": {`:80 {
			log
			route {
				request_header Host inner.example.net
				@inner host inner.example.net
				route @inner {
					` + guarded + `
				}
			}
		}`, 1},
}

// Wherever a handler stands, and whatever Host header leads there, no request that came to it
// leaves a secret in the access log. The later ones are all in it.
func TestNoWayToAHandlerLeavesASecretInTheLog(t *testing.T) {
	for name, c := range hiddenWays {
		t.Run(name, func(t *testing.T) {
			server, log := logging(t, logCredentials, c.caddyfile)
			for range 2 {
				w := httptest.NewRecorder()
				r := secretRequest("mcp.example.com", "/mcp")
				r.Header.Del("X-Assertion") // which is secret where token_header names it
				server.ServeHTTP(w, r)
				if w.Code != http.StatusBadRequest && w.Code != http.StatusUnauthorized {
					t.Errorf("%d %s: the handler was not reached", w.Code, w.Body)
				}
			}
			text := log()
			for line := range strings.Lines(text) {
				if strings.Contains(line, "the-secret") {
					t.Errorf("logged: %s", line)
				}
			}
			if n := strings.Count(text, `"logger":"http.log.access`); n != c.logged {
				t.Errorf("%d entries in the access log, want %d:\n%s", n, c.logged, text)
			}
		})
	}
}

// patience is a connection that remembers until when the last write had time.
type patience struct {
	*httptest.ResponseRecorder
	deadline, write time.Time
}

func (p *patience) SetReadDeadline(time.Time) error    { return nil }
func (p *patience) SetWriteDeadline(t time.Time) error { p.deadline = t; return nil }

func (p *patience) Write(data []byte) (int, error) {
	p.write = p.deadline
	return p.ResponseRecorder.Write(data)
}

func (p *patience) WriteString(data string) (int, error) { return p.Write([]byte(data)) }

// A site may be more patient than its server. It is so for requests that go through the server
// twice, too.
func TestSecondPassKeepsTheTimeoutsOfTheSite(t *testing.T) {
	server, _ := logging(t, "", `http://mcp.example.com {
		log
		route {
			timeouts {
				read_timeout 10h
				write_timeout 10h
			}
			respond "x"
		}
		handle /mcp {
`+guarded+`}
	}`)
	server.ReadIdleTimeout, server.WriteIdleTimeout = caddy.Duration(time.Minute), caddy.Duration(time.Minute)
	for _, secret := range []string{"", "the-secret-session"} {
		w := &patience{ResponseRecorder: httptest.NewRecorder()}
		r := secretRequest("mcp.example.com", "/x")
		r.Header = http.Header{}
		if secret != "" {
			r.Header.Set("Mcp-Session-Id", secret)
		}
		server.ServeHTTP(w, r)
		if w.Body.String() != "x" || time.Until(w.write) < time.Hour {
			t.Errorf("with the session %q: %s, the write deadline is in %v", secret, w.Body, time.Until(w.write))
		}
	}
}

// The log of an error has the request as it came, Host and values in place included, where
// there is no access log.
func TestErrorIsLoggedWithTheRequestAsItCame(t *testing.T) {
	server, log := logging(t, "", `http://mcp.example.com {
		route /x {
			request_header Host inner.example.net
			request_header X-Kind old new
			request_header -X-Gone
			error 503
		}
		handle /mcp {
`+guarded+`}
	}`)
	r := secretRequest("mcp.example.com", "/x")
	r.Header.Del("X-Assertion")
	r.Header["X-Kind"] = []string{"old one", "old two"}
	r.Header.Set("X-Gone", "still here")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	text := log()
	for _, want := range []string{`"host":"mcp.example.com"`, `"X-Kind":["old one","old two"]`, `"X-Gone":["still here"]`, `"Mcp-Session-Id":["REDACTED"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("the entry lacks %s:\n%s", want, text)
		}
	}
	if w.Code != http.StatusServiceUnavailable || strings.Contains(text, "the-secret") {
		t.Errorf("%d, logged: %s", w.Code, text)
	}
}

// Without an access log, a request that does not fail costs no memory.
func TestNoLogCostsNoMemory(t *testing.T) {
	server, _ := logging(t, "", "http://mcp.example.com {\n"+guarded+"}")
	d := redactorOf(server)
	d.chain = silent{}
	r, w := secretRequest("mcp.example.com", "/mcp"), httptest.NewRecorder()
	if n := allocations(func() {
		if err := d.serveUnlogged(w, r, server); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// silent answers nothing, and does not fail.
type silent struct{}

func (silent) ServeHTTP(http.ResponseWriter, *http.Request) error { return nil }
