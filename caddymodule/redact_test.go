package caddymodule

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// logging is a server with a log of everything, ready to serve, with further global options.
func logging(t *testing.T, options, caddyfile string) (server *caddyhttp.Server, log func() string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	p := provisionWith(t, "log {\noutput file "+file+"\nformat json\nlevel DEBUG\n}\n"+options, caddyfile)
	var handlers []starter
	for _, o := range p.oauths {
		handlers = append(handlers, o)
		o.start(trailsTo(p.http, o), nil)
		t.Cleanup(func() { _ = o.Cleanup() })
	}
	confine(place(p.http, handlers))
	return p.http.Servers["srv0"], func() string { return contents(t, file) }
}

func contents(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const logCredentials = "servers {\nlog_credentials\n}"

// secretRequest has secrets of all kinds.
func secretRequest(host, uri string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, uri, nil)
	r.Host = host
	r.Header.Set("Authorization", "Bearer the-secret-token")
	r.Header.Set("Mcp-Session-Id", "the-secret-session")
	r.Header.Add("DPoP", "the-secret-proof")
	r.Header.Add("DPoP", "the-secret-second")
	r.Header.Set("Cookie", "name=the-secret-cookie")
	r.Header.Set("X-Assertion", "the-secret-assertion")
	return r
}

const allSeen = `{http.request.header.Authorization} {http.request.header.Mcp-Session-Id} {http.request.header.DPoP} {http.request.header.Cookie} {http.request.uri} {http.request.orig_uri} {http.request.orig_uri.query}`

// sites are one with a protected server and one without.
const sites = `http://mcp.example.com {
	ACCESS
	mcp /mcp {
		stdio snapshotd
		oauth https://auth.example.com {
			resource https://mcp.example.com/mcp
			token_header x-assertion
		}
	}
	uri /rewritten* replace rewritten seen
	respond /seen*  "` + allSeen + `"
	vars /fails* known "of old"
	header /fails* X-Known yes
	header /fails* Server Own
	map {path} {mapped} {
		/fails "of old"
	}
	error /fails* 503
	handle_errors {
		respond "` + allSeen + `{vars.known}{mapped}"
	}
}
http://other.example.com {
	ACCESS
	respond "` + allSeen + `"
}`

// Handlers, error routes among them, see a request as it came; a log does not, whether it is
// the access log or that of errors alone.
func TestHandlersSeeWhatTheLogsDoNot(t *testing.T) {
	t.Run("access log with credentials", func(t *testing.T) {
		handlersSeeWhatTheLogsDoNot(t, logCredentials, "log")
	})
	t.Run("no access log", func(t *testing.T) { handlersSeeWhatTheLogsDoNot(t, "", "") })
}

func handlersSeeWhatTheLogsDoNot(t *testing.T, options, access string) {
	server, log := logging(t, options, strings.ReplaceAll(sites, "ACCESS", access))
	const secrets = "Bearer the-secret-token the-secret-session the-secret-proof,the-secret-second name=the-secret-cookie"
	const query = "a=1&access_token=the-secret-query;b=2"
	for path, status := range map[string]int{"/seen": 200, "/rewritten": 200, "/fails": 503} {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, secretRequest("mcp.example.com", path+"?"+query))
		uri := path + "?" + query
		if path == "/rewritten" {
			uri = "/seen?" + query
		}
		want := secrets + " " + uri + " " + path + "?" + query + " " + query
		if path == "/fails" {
			want += "of oldof old"
			if w.Header().Get("X-Known") != "yes" || w.Header().Get("Server") != "Own" {
				t.Errorf("the answer's headers are %v", w.Header())
			}
		}
		if w.Code != status || w.Body.String() != want {
			t.Errorf("%s: %d\n%s, want\n%s", path, w.Code, w.Body, want)
		}
	}
	before := log()
	for line := range strings.Lines(before) {
		if strings.Contains(line, "the-secret") {
			t.Errorf("logged: %s", line)
		}
	}
	entries := 2 // of the error, and of the rewrite
	if access != "" {
		entries += 3
	}
	if n := strings.Count(before, `"Mcp-Session-Id":["REDACTED"]`); n != entries {
		t.Errorf("%d entries say that something was left out:\n%s", n, before)
	}
	if !strings.Contains(before, `"uri":"/fails?a=1&access_token=REDACTED;b=2"`) || !strings.Contains(before, `"X-Assertion":["REDACTED"]`) {
		t.Errorf("logged: %s", before)
	}

	if access == "" {
		return
	}
	// Another site is its operator's own affair.
	w := httptest.NewRecorder()
	server.ServeHTTP(w, secretRequest("other.example.com", "/x"))
	if added := log()[len(before):]; w.Code != 200 || !strings.Contains(added, "the-secret-token") || !strings.Contains(added, "the-secret-session") {
		t.Errorf("%d, logged of another site: %s", w.Code, added)
	}
}

// Caddy provisions named routes too late for a redactor. What comes by one only is not
// logged, and neither is the error of what stands behind.
func TestNamedRouteLeavesNoSecretInTheLogs(t *testing.T) {
	server, log := logging(t, logCredentials, `&(api) {
	mcp_oauth {
		oauth https://auth.example.com {
			resource https://mcp.example.com/mcp
		}
	}
	error 502
}
http://mcp.example.com {
	log
	invoke api
}`)
	for range 2 {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, secretRequest("mcp.example.com", "/mcp"))
		if w.Code == http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	text := log()
	if strings.Contains(text, "the-secret") {
		t.Errorf("logged: %s", text)
	}
	if n := strings.Count(text, "by a named route"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, text)
	}
}

func TestSettleAnswersInCaddysPlace(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{{caddyhttp.Error(http.StatusBadGateway, http.ErrHandlerTimeout), 502}, {caddyhttp.HandlerError{}, 500}, {http.ErrHandlerTimeout, 500}} {
		w := httptest.NewRecorder()
		if err := settle(w, c.err, slog.New(slog.DiscardHandler)); err != nil || w.Code != c.status {
			t.Errorf("%v: %d %v", c.err, w.Code, err)
		}
	}
}
