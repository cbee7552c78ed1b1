package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The entry of a rewrite is the one that Caddy writes, as far as it is not secret.
func TestRewriteEntriesAreCaddysOwn(t *testing.T) {
	const rewriting = "\n\thandle_path /files/* {\n\t\trewrite * /at/{http.request.header.X-Place}?x=1\n\t\tmethod put\n\t\trespond {http.request.uri}\n\t}\n"
	server, log := logging(t, "", besideEndpoint(rewriting)+"http://other.example.com {"+rewriting+"}")
	entries := map[string][]any{}
	for _, host := range []string{"mcp.example.com", "other.example.com"} {
		before := len(log())
		r := httptest.NewRequest(http.MethodGet, "/files/x?y=2", nil)
		r.Host = host
		r.Header.Set("X-Place", "here")
		r.Header.Set("Cookie", "name=value")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Body.String() != "/at/here?x=1" {
			t.Errorf("%s: %d %s", host, w.Code, w.Body)
		}
		for line := range strings.Lines(log()[before:]) {
			var e map[string]any
			if err := json.Unmarshal([]byte(strings.ReplaceAll(line, host, "host")), &e); err != nil {
				t.Fatal(err)
			}
			if e["msg"] == "rewrote request" {
				delete(e, "ts")
				entries[host] = append(entries[host], e)
			}
		}
	}
	own, ours := fmt.Sprint(entries["other.example.com"]), fmt.Sprint(entries["mcp.example.com"])
	if len(entries["other.example.com"]) != 3 || own != ours {
		t.Errorf("the entries are\n%s\nCaddy's own are\n%s", ours, own)
	}
}

// pushing is a connection that takes pushes, as one of HTTP/2 does.
type pushing struct {
	*httptest.ResponseRecorder
	pushed []string
}

func (p *pushing) Push(target string, _ *http.PushOptions) error {
	p.pushed = append(p.pushed, target)
	return nil
}

// A push is logged without the token in the address of its page, which others see.
func TestPushLogsNoToken(t *testing.T) {
	server, log := logging(t, "", besideEndpoint("push * /style.css\nrespond {http.request.uri}"))
	for _, uri := range []string{"/x?access_token=the-secret-query", "/x?a=1"} {
		w := &pushing{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodGet, uri, nil)
		r.Host = "mcp.example.com"
		server.ServeHTTP(w, r)
		if w.Body.String() != uri || len(w.pushed) != 1 {
			t.Errorf("%s: %s, with %v", uri, w.Body, w.pushed)
		}
	}
	holds(t, log(), "pushing resource")
	if n := strings.Count(log(), `"uri":"/x?a`); n != 2 {
		t.Errorf("%d addresses are logged:\n%s", n, log())
	}
}
