package caddymodule

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A server whose answers are broken may have written an id anywhere, and breaks off with the
// request's id in a warning.
func TestBrokenAnswersLeaveNoSecretInTheLogs(t *testing.T) {
	for name, options := range map[string]string{"": "", "access log": "log\n", "access log, held back": "log\nrequest_header Accept-Encoding gzip\nencode gzip\n"} {
		t.Run(name, func(t *testing.T) { brokenAnswersLeaveNoSecret(t, options) })
	}
}

// breakOff writes to a proxy what is no answer, or no whole one.
func breakOff(t *testing.T, w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text)
	if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, conn) // or what was not read would reset the connection before the answer is read
	}
}

func brokenAnswersLeaveNoSecret(t *testing.T, options string) {
	broken := map[string]string{
		"/line":    "HTTP/1.1 200 OK\r\nMcp-Session-Id the-secret-answer\r\n\r\n",
		"/name":    "HTTP/1.1 200 OK\r\nMcp(Session)Id: the-secret-answer\r\n\r\n",
		"/space":   "HTTP/1.1 200 OK\r\nConnection: close\r\nMcp-Session-Id : the-secret-answer\r\nContent-Length: 0\r\n\r\n",
		"/status":  "Mcp-Session-Id: the-secret-answer\r\n\r\n",
		"/breaks":  "HTTP/1.1 200 OK\r\nMcp-Session-Id: the-secret-answer\r\nContent-Length: 100\r\n\r\nsome",
		"/ends":    "HTTP/1.1 200 OK\r\nMcp-Session-Id: the-secret-answer\r\nContent-Length: 100\r\n\r\n",
		"/nothing": "",
	}
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		breakOff(t, w, broken[r.URL.Path])
	})
	server, log := logging(t, "", besideEndpoint(options+"reverse_proxy "+b.host))
	for path := range broken {
		func() {
			defer func() {
				if fault := recover(); fault != nil && (fault != http.ErrAbortHandler || path != "/breaks" && path != "/ends") {
					t.Errorf("%s: %v", path, fault)
				}
			}()
			status := http.StatusBadGateway
			if path == "/space" || path == "/breaks" || path == "/ends" {
				status = http.StatusOK
			}
			if w := ask(server, path); w.Code != status {
				t.Errorf("%s: %d", path, w.Code)
			}
		}()
	}
	holds(t, log(), "upstream roundtrip", "aborting with incomplete response")
	if n := strings.Count(log(), "malformed"); n < 3 {
		t.Errorf("what was wrong is said %d times:\n%s", n, log())
	}
}

// What an answer says is as true where its entry is written as where it is not: for edits of
// its header, for placeholders, and for the routes that are given it.
func TestAnswersAreUsedAsTheyCame(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	for _, level := range []string{"DEBUG", "INFO"} {
		p := provisionWith(t, "log {\nlevel "+level+"\noutput file "+filepath.Join(t.TempDir(), "log")+"\n}", besideEndpoint(strings.ReplaceAll(`
	reverse_proxy /edited HOST {
		header_down X-Copy {http.reverse_proxy.header.Mcp-Session-Id}
		header_down Mcp-Session-Id ^ edited-
	}
	reverse_proxy /handled HOST {
		handle_response {
			header X-Copy {http.reverse_proxy.header.Mcp-Session-Id}
			copy_response_headers
			respond 200
		}
	}
	reverse_proxy /fails HOST {
		handle_response {
			error 502
		}
	}
	handle_errors {
		header Mcp-Session-Id {http.reverse_proxy.header.Mcp-Session-Id}
		header X-Copy {http.reverse_proxy.header.Mcp-Session-Id}
		respond 200
	}
	route /guarded {
		forward_auth HOST {
			uri /auth
			copy_headers Mcp-Session-Id>X-Copied
		}
		header X-Copy {http.request.header.X-Copied}
		header Mcp-Session-Id {http.request.header.X-Copied}
		respond 200
	}`, "HOST", b.host)))
		for path, id := range map[string]string{"/edited": "edited-the-secret-answer", "/handled": "the-secret-answer", "/fails": "the-secret-answer", "/guarded": "the-secret-answer"} {
			h := ask(p.http.Servers["srv0"], path).Result().Header
			if h.Get("Mcp-Session-Id") != id || h.Get("X-Copy") != "the-secret-answer" {
				t.Errorf("%s, at %s: %v", path, level, h)
			}
		}
	}
}

// A session's id is in no log though a server sends it in a trailer. A line of a trailer that
// cannot be read may be one.
func TestTrailersLeaveNoSecretInTheLogs(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			breakOff(t, w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\nMcp-Session-Id the-secret-answer\r\n\r\n")
			return
		}
		if r.URL.Path == "/announced" {
			w.Header().Set("Trailer", "Mcp-Session-Id, X-Sum")
		}
		w.Header().Del("Mcp-Session-Id")
		_, _ = io.WriteString(w, "some")
		_ = http.NewResponseController(w).Flush()
		for _, prefix := range []string{"", http.TrailerPrefix} {
			w.Header().Set(prefix+"Mcp-Session-Id", "the-secret-trailer")
			w.Header().Set(prefix+"X-Sum", "12")
		}
	})
	server, log := logging(t, "", besideEndpoint("log\nreverse_proxy "+b.host))
	front := httptest.NewServer(server)
	defer front.Close()
	for _, path := range []string{"/broken", "/announced", "/unannounced"} {
		response, text, err := fetch(t.Context(), t, front.URL+path)
		if broken := path == "/broken"; (err != nil) != broken || text != "some" || !broken && response.Trailer.Get("X-Sum") != "12" {
			t.Errorf("%s: %q %v, and the trailer %v", path, text, err, response.Trailer)
		}
	}
	front.Close() // and with it what is logged of the last request
	holds(t, log(), "aborting with incomplete response", "handled request")
	if !strings.Contains(log(), `malformed MIME header: REDACTED`) {
		t.Errorf("logged: %s", log())
	}
}

// The client is sent on as it was, while nobody reads the token where it is sent.
func TestRedirectsLogNoToken(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/there?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusFound)
	})
	server, log := logging(t, "", besideEndpoint("log\nredir /here /there?{query}\nredir /login /form?next={uri}\nredir /bare /form?{uri}\nredir /app /#{uri}\nreverse_proxy /proxied "+b.host))
	for path, location := range map[string]string{
		"/here": "/there?access_token=the-secret-query", "/proxied": "/there?access_token=the-secret-query",
		"/login": "/form?next=/login?access_token=the-secret-query", "/bare": "/form?/bare?access_token=the-secret-query",
		"/app": "/#/app?access_token=the-secret-query",
	} {
		if w := ask(server, path+"?access_token=the-secret-query"); w.Result().Header.Get("Location") != location {
			t.Errorf("%s: %d %v", path, w.Code, w.Result().Header)
		}
	}
	holds(t, log(), "upstream roundtrip", "handled request")
	for _, shown := range []string{`"Location":["/there?access_token=REDACTED"]`, `"Location":["/form?next=REDACTED"]`, `"Location":["/form?REDACTED"]`, `"Location":["/#REDACTED"]`} {
		if !strings.Contains(log(), shown) {
			t.Errorf("no entry has %s:\n%s", shown, log())
		}
	}
}

// Interim answers go to the client as they come, from a goroutine of the transport, and the last
// one after them.
func TestInterimAnswersPass(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			w.WriteHeader(http.StatusEarlyHints)
		}
	})
	server, log := logging(t, "", besideEndpoint("reverse_proxy "+b.host))
	front := httptest.NewServer(server)
	defer front.Close()
	ids := []string{}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		ids = append(ids, h.Get("Mcp-Session-Id"))
		return nil
	}})
	response, _, err := fetch(ctx, t, front.URL+"/x")
	if err != nil {
		t.Fatal(err)
	}
	if ids = append(ids, response.Header.Get("Mcp-Session-Id")); len(ids) != 4 || len(slices.Compact(ids)) != 1 || ids[0] != "the-secret-answer" {
		t.Errorf("the ids are %v", ids)
	}
	holds(t, log(), "upstream roundtrip")
}

// An error that nobody handles is answered with the headers that were there, of which no secret is
// logged.
func TestFailedAnswersLeaveNoSecretInTheLogs(t *testing.T) {
	b := serveBehind(t, "b", nil)
	fails := `log
	reverse_proxy /fails ` + b.host + ` {
		handle_response {
			copy_response_headers
			error 502
		}
	}`
	for name, routes := range map[string]string{
		"no routes for errors": "", "none that matches": "\nhandle_errors 404 {\nrespond 200\n}", "failing routes": "\nhandle_errors {\nerror 503\n}",
	} {
		t.Run(name, func(t *testing.T) {
			server, log := logging(t, "", besideEndpoint(fails+routes))
			if w := ask(server, "/fails"); w.Code != http.StatusBadGateway || w.Result().Header.Get("Mcp-Session-Id") != "the-secret-answer" {
				t.Errorf("%d %v", w.Code, w.Result().Header)
			}
			holds(t, log(), "handled request")
			if !strings.Contains(log(), `"status":502,"resp_headers"`) {
				t.Errorf("the status is missing:\n%s", log())
			}
		})
	}
}

// An answer that no handler begins is one of Caddy's, with the headers that are there.
func TestEmptyAnswersLeaveNoSecretInTheLogs(t *testing.T) {
	b := serveBehind(t, "b", nil)
	server, log := logging(t, "", besideEndpoint(`log
	route {
		forward_auth `+b.host+` {
			uri /auth
			copy_headers Mcp-Session-Id>X-Copied
		}
		header Mcp-Session-Id {http.request.header.X-Copied}
	}`))
	if w := ask(server, "/x"); w.Code != http.StatusOK || w.Result().Header.Get("Mcp-Session-Id") != "the-secret-answer" {
		t.Errorf("%d %v", w.Code, w.Result().Header)
	}
	text := strings.ReplaceAll(log(), `"X-Copied":["the-secret-answer"]`, "") // which is what the operator wrote
	holds(t, text, "NOP")
}
