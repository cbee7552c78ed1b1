package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A request goes through the server twice, and through the routes once: metrics count one,
// its id is one, and all of its body is there.
func TestSecondPassIsSeenByNobody(t *testing.T) {
	p := provisionWith(t, "metrics", `http://mcp.example.com {
		log
		respond /x "{http.request.uuid} {http.request.uuid} {http.request.body}"
		handle /mcp {
			`+guarded+`
		}
	}`)
	server := p.http.Servers["srv0"]
	large := strings.Repeat("large ", 1<<16)
	send := func(header http.Header) {
		r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(large))
		r.Host, r.Header = "mcp.example.com", header
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		ids := strings.SplitN(w.Body.String(), " ", 3)
		if len(ids) != 3 || ids[0] != ids[1] || ids[2] != large {
			t.Errorf("%d %.100s", w.Code, w.Body)
		}
	}
	send(http.Header{})
	plain := routed(t, p)
	send(http.Header{"Mcp-Session-Id": {"the-secret-session"}})
	if n := routed(t, p); plain == 0 || n != 2*plain {
		t.Errorf("%v routes are counted of a request, and %v of one with a secret", plain, n-plain)
	}
}

// routed is how many requests Caddy's metrics count, at all routes together.
func routed(t *testing.T, p provisioned) (count float64) {
	t.Helper()
	families, err := p.ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "caddy_http_requests_total" {
			for _, m := range family.GetMetric() {
				count += m.GetCounter().GetValue()
			}
		}
	}
	return count
}

// Whoever sends the mark has sent it: no secret is behind it, and it says nothing to a
// handler.
func TestForgedMarkIsAValueLikeAnother(t *testing.T) {
	server, log := logging(t, "", strings.ReplaceAll(sites, "ACCESS", "log"))
	r := httptest.NewRequest(http.MethodGet, "/seen?access_token=REDACTED", nil)
	r.Host = "mcp.example.com"
	r.Header.Set("Mcp-Session-Id", redacted)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	if want := " REDACTED   /seen?access_token=REDACTED /seen?access_token=REDACTED access_token=REDACTED"; w.Body.String() != want {
		t.Errorf("%q, want %q", w.Body, want)
	}
	if n := strings.Count(log(), `"msg":"handled request"`); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// A handler that panics, as reverse_proxy does to break off, leaves one entry, and no secret.
func TestPanicLeavesNoSecretInTheLog(t *testing.T) {
	server, log := logging(t, "", strings.ReplaceAll(sites, "ACCESS", "log"))
	redactorOf(server).compile.Do(func() {})
	redactorOf(server).chain = panicking{}
	func() {
		defer func() {
			if fault := recover(); fault != http.ErrAbortHandler {
				t.Errorf("the panic is %v", fault)
			}
		}()
		server.ServeHTTP(httptest.NewRecorder(), secretRequest("mcp.example.com", "/seen"))
	}()
	text := log()
	if strings.Contains(text, "the-secret") || strings.Count(text, `"msg":"handled request"`) != 1 {
		t.Errorf("logged: %s", text)
	}
}

type panicking struct{}

func (panicking) ServeHTTP(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Mcp-Session-Id", "the-secret-answer") // which nobody is sent any more
	panic(http.ErrAbortHandler)
}

// Platforms send an assertion under several names. All of them are secret, and a short value
// hides nothing from the log.
func TestCopiesOfAnAssertionAreSecret(t *testing.T) {
	server, log := logging(t, "", strings.ReplaceAll(sites, "ACCESS", "log"))
	assertion := "the-secret-" + strings.Repeat("assertion", 5)
	for _, value := range []string{assertion, "Mozilla"} {
		r := httptest.NewRequest(http.MethodGet, "/seen", nil)
		r.Host = "mcp.example.com"
		r.Header.Set("X-Assertion", value)
		r.Header.Set("X-Access-Token", "Bearer "+assertion)
		if value != assertion {
			r.Header.Del("X-Access-Token")
		}
		r.Header.Set("User-Agent", "Mozilla")
		server.ServeHTTP(httptest.NewRecorder(), r)
	}
	text := log()
	if strings.Contains(text, "the-secret") || !strings.Contains(text, `"X-Access-Token":["REDACTED"]`) {
		t.Errorf("logged: %s", text)
	}
	if n := strings.Count(text, `"User-Agent":["Mozilla"]`); n != 2 {
		t.Errorf("%d entries name the client:\n%s", n, text)
	}
}

// Caddy's own redirect from http and what it refuses before any route come to no redactor.
// The manual says so, and this is the remedy it names.
func TestRedirectOfOnesOwnIsNotLogged(t *testing.T) {
	const site = "mcp.example.com {\n log\n mcp_oauth {\n oauth https://auth.example.com\n}\n}\n"
	for caddyfile, logged := range map[string]bool{
		site: true,
		site + "http://mcp.example.com {\n log_skip\n redir https://{host}{uri} 308\n}\n": false,
	} {
		file := t.TempDir() + "/log"
		p := provisionWith(t, "log {\noutput file "+file+"\nformat json\n}", caddyfile)
		answered := false
		for _, server := range p.http.Servers {
			if strings.HasSuffix(server.Listen[0], ":80") {
				w := httptest.NewRecorder()
				server.ServeHTTP(w, secretRequest("mcp.example.com", "/mcp"))
				answered = w.Code == http.StatusPermanentRedirect
			}
		}
		if got := strings.Contains(contents(t, file), "handled request"); !answered || got != logged {
			t.Errorf("answered %v, logged %v, want %v:\n%s", answered, got, logged, caddyfile)
		}
	}
}
