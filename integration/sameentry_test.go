package integration_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// alike is a request of which the entries in the logs must be the same with a secret in it
// as without.
type alike struct {
	name   string // its User-Agent
	method string // default POST of a call
	path   string // default the endpoint
	body   func(*peer) string
	change func(*http.Request)
	status int
	access int // entries in the access log
	failed int // entries in the error log
}

// alikeRoutes change what is logged of requests in every way that Caddy has.
var alikeRoutes = []string{
	"log named {", "	no_hostname", "	output stderr", "	format json", "}",
	"encode gzip", "log_append request_id {http.request.uuid}", "log_append <early first", "log_append path {http.request.orig_uri.path}",
	"log_skip /skipped", "log_name /named named", "vars /warned log_level WARN",
	"respond /warned 418", "respond /named 200", "respond /skipped 200", "respond /large `" + strings.Repeat("large ", 1000) + "`",
	"error /fails 503", "error /handled 500", "error /missing 404",
	"handle_errors 500 {", "	respond \"{err.status_code} {http.request.orig_uri}\"", "}",
}

func alikeRequests() []alike {
	call := func(p *peer) string { return p.toolCall(1, "echo", object{"text": strings.Repeat("large ", 1000)}) }
	return []alike{
		{name: "call", body: call, status: 200, access: 1},
		{name: "stream", body: func(p *peer) string {
			return p.message(2, "tools/call", object{"name": "progress", "arguments": object{"count": 2}, "_meta": object{"progressToken": 1}})
		}, status: 200, access: 1},
		{name: "no token", body: call, change: func(r *http.Request) { r.Header.Del("Authorization") }, status: 401, access: 1},
		{name: "batch", body: func(*peer) string { return "[{}]" }, status: 400, access: 1},
		{name: "not a method", method: http.MethodPut, status: 405, access: 1},
		{name: "metadata", method: http.MethodGet, path: "/.well-known/oauth-protected-resource/mcp", status: 200, access: 1},
		{name: "failure behind", body: call, change: set("X-Fails", "1"), status: 502, access: 1, failed: 1},
		{name: "nothing there", method: http.MethodGet, path: "/nothing?x=%20y", status: 200, access: 1},
		{name: "large", method: http.MethodGet, path: "/large", status: 200, access: 1},
		{name: "level", method: http.MethodGet, path: "/warned", status: 418, access: 1},
		{name: "name", method: http.MethodGet, path: "/named", status: 200, access: 1},
		{name: "skipped", method: http.MethodGet, path: "/skipped", status: 200},
		{name: "fails", method: http.MethodGet, path: "/fails", status: 503, access: 1, failed: 1},
		{name: "fails mildly", method: http.MethodGet, path: "/missing", status: 404, access: 1, failed: 1},
		{name: "fails and is handled", method: http.MethodGet, path: "/handled?x=1", status: 500, access: 1, failed: 1},
	}
}

// logged is an entry as far as it does not depend on the moment, with the order of its
// members.
type logged struct {
	order  []string
	values entry
}

// Taking a secret out of the logs changes nothing else in them: for the same request there
// are the same entries, in the same logs, with the same members in the same order.
func TestEntriesWithoutASecretAreCaddysOwn(t *testing.T) {
	t.Parallel()
	s := scoped()
	s.mcp = append(s.mcp, failing...)
	s.log, s.routes, s.protocols = accessLog, alikeRoutes, "h1 h2 h3"
	g := start(t, s)
	p := g.modern(t, g.token(t, "alice"))
	for _, c := range alikeRequests() {
		t.Run(c.name, func(t *testing.T) {
			// Under the scheme Bearer a proof says nothing, and need not be one.
			plain := c.entries(t, g, p, "", "")
			secret := c.entries(t, g, p, "DPoP", "")
			query := c.path != "" && !strings.Contains(c.path, "?")
			if len(plain) != len(secret) {
				t.Fatalf("%d entries, without a secret %d", len(secret), len(plain))
			}
			for i := range plain {
				headers := secret[i].values["request"].(map[string]any)["headers"].(map[string]any)
				if mark := headers["Dpop"]; !reflect.DeepEqual(mark, []any{"REDACTED"}) {
					t.Errorf("for the secret stands %v", mark)
				}
				delete(headers, "Dpop")
				if !reflect.DeepEqual(plain[i], secret[i]) {
					t.Errorf("an entry is\n%v\nwithout a secret\n%v", secret[i], plain[i])
				}
			}
			if !query {
				return
			}
			for _, e := range c.entries(t, g, p, "", "?a=1;access_token=the-token&b=2") {
				if uri := e.values["request"].(map[string]any)["uri"]; uri != c.path+"?a=1;access_token=REDACTED&b=2" {
					t.Errorf("the address is %v", uri)
				}
			}
		})
	}
}

// entries sends the request, and returns what is logged of it in Caddy's own order.
func (c alike) entries(t *testing.T, g *gateway, p *peer, secret, query string) (found []logged) {
	t.Helper()
	method, body, agent := c.method, "", c.name+" "+secret+strings.ReplaceAll(query, "?", "") // in which a ? would make it an address
	if method == "" {
		method, body = http.MethodPost, c.body(p)
	}
	a := p.do(method, body, func(r *http.Request) {
		r.Header.Set("User-Agent", agent)
		r.Header.Set("Accept-Encoding", "gzip")
		if secret != "" {
			r.Header.Set(secret, "the-proof")
		}
		if path, own, _ := strings.Cut(c.path, "?"); path != "" {
			r.URL.Path, r.URL.RawQuery = path, own+strings.TrimPrefix(query, "?")
		}
		if c.change != nil {
			c.change(r)
		}
	})
	if a.status != c.status || len(a.header.Values("Alt-Svc")) != 1 {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if c.name == "fails and is handled" && a.body != "500 "+c.path {
		t.Errorf("the route for errors has %q", a.body)
	}
	await(t, "the entries", func() bool { found = loggedOf(t, g, agent); return len(found) >= c.access+c.failed })
	// What is not logged cannot be waited for: the entry of a later request comes after it.
	p.do(http.MethodGet, "", set("User-Agent", agent+" after"))
	g.logs.await(t, 1, requestOf(agent+" after"))
	if found = loggedOf(t, g, agent); len(found) != c.access+c.failed {
		t.Errorf("%d entries, want %d and %d", len(found), c.access, c.failed)
	}
	return found
}

// loggedOf finds the entries of access and error logs for a User-Agent.
func loggedOf(t *testing.T, g *gateway, agent string) (found []logged) {
	t.Helper()
	for line := range strings.Lines(g.logs.text()) {
		var e entry
		if !strings.Contains(line, agent) || !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		logger, _ := e["logger"].(string)
		request, _ := e["request"].(map[string]any)
		headers, _ := request["headers"].(map[string]any)
		if !strings.HasPrefix(logger, "http.log.") || !reflect.DeepEqual(headers["User-Agent"], []any{agent}) {
			continue
		}
		for _, name := range []string{"ts", "duration", "request_id", "uuid", "err_id"} {
			if e[name] != nil {
				e[name] = "some"
			}
		}
		request["remote_port"], headers["User-Agent"] = "some", "some"
		response, _ := e["resp_headers"].(map[string]any)
		if response["Etag"] == nil {
			delete(response, "Content-Length") // of a body that names the agent
		}
		if reflect.DeepEqual(response["Content-Type"], []any{"text/event-stream"}) {
			e["size"] = "some" // of events that are compressed by one or several at a time, as they come
		}
		found = append(found, logged{memberOrder(t, line), e})
	}
	return found
}

// memberOrder is the names of a JSON object's members as they stand.
func memberOrder(t *testing.T, line string) (names []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Clip(names)
}
