package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// allRoutes have proxies and rewrites in routes of all kinds, by names as well.
func allRoutes(host string) string {
	return strings.ReplaceAll(`&(shared) {
	reverse_proxy /shared HOST
	invoke deeper
}
&(deeper) {
	uri replace deep shallow
	invoke shared
}
`+besideEndpoint(`
	handle_path /files/* {
		respond "{http.request.uri} {http.request.header.Mcp-Session-Id}"
	}
	invoke /shared shared
	reverse_proxy /accel HOST {
		@accel header X-Accel *
		handle_response @accel {
			rewrite * /again
			copy_response_headers
			reverse_proxy HOST
		}
	}
	forward_auth /guarded HOST {
		uri /auth
	}
	respond /guarded let-in
	reverse_proxy /copied HOST {
		handle_response {
			copy_response 203
		}
	}
	intercept /intercepted {
		handle_response {
			reverse_proxy HOST
		}
	}
	respond /intercepted "in place of this"
	error /fails 503
	handle_errors {
		rewrite * /of-errors
		reverse_proxy HOST
	}`), "HOST", host)
}

// Routes for answers and for errors have proxies and rewrites, too, and are reached by names.
func TestRoutesOfAllKindsLogNoSecret(t *testing.T) {
	b := serveBehind(t, "b", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/accel" {
			w.Header().Set("X-Accel", "yes")
		}
	})
	server, log := logging(t, logCredentials, allRoutes(b.host))
	if w := ask(server, "/files/x"); w.Body.String() != "/x the-secret-session" {
		t.Errorf("/files/x: %d %s", w.Code, w.Body)
	}
	for path, status := range map[string]int{"/shared": 200, "/accel": 200, "/copied": 203, "/intercepted": 200, "/fails": 200} {
		w := ask(server, path)
		if id := w.Result().Header.Get("Mcp-Session-Id"); w.Code != status || !strings.HasPrefix(id, "the-secret-answer") {
			t.Errorf("%s: %d %v", path, w.Code, w.Result().Header)
		}
		for _, h := range b.took() {
			if !truly(h) {
				t.Errorf("%s: the server got %v", path, h)
			}
		}
	}
	if w := ask(server, "/guarded?access_token=the-secret-query"); w.Body.String() != "let-in" || b.took()[0].Get("X-Forwarded-Uri") != "/guarded?access_token=the-secret-query" {
		t.Errorf("/guarded: %d %s", w.Code, w.Body)
	}
	holds(t, log(), "upstream roundtrip", "rewrote request", "handling response")
	for _, uri := range []string{"/x", "/again", "/of-errors"} {
		if !strings.Contains(log(), `"method":"GET","uri":"`+uri+`"}`) {
			t.Errorf("there is no entry of the rewrite to %s:\n%s", uri, log())
		}
	}
}
