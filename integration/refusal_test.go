package integration_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func remove(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(name) }
}

func add(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

// refusal is one request that the gateway answers itself.
type refusal struct {
	name   string
	method string // default POST
	body   string // default a good call
	change func(*http.Request)

	status int
	code   int // of the JSON-RPC error; 0 is not looked at
	holds  func(t *testing.T, a answer)
}

// refused sends each request and holds its answer, and that none of them reached a
// server.
func refused(t *testing.T, p *peer, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			method, body := c.method, c.body
			if method == "" {
				method = http.MethodPost
			}
			if body == "" && method == http.MethodPost {
				body = p.toolCall(1, "echo", object{"text": "x"})
			}
			client := *p
			client.t = t
			change := func(*http.Request) {}
			if c.change != nil {
				change = c.change
			}
			a := client.do(method, body, change)
			if a.status != c.status || c.code != 0 && a.code() != c.code {
				t.Errorf("answer %d %s, want %d and error %d", a.status, a.body, c.status, c.code)
			}
			if c.holds != nil {
				c.holds(t, a)
			}
		})
	}
	if left := p.gateway.processes(t); len(left) != 0 {
		t.Errorf("%d processes were started by requests that were refused", len(left))
	}
}

func headerIs(name, want string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// What both eras refuse alike, in the order in which it is checked.
func sharedRefusals() []refusal {
	return []refusal{
		{name: "foreign origin", change: set("Origin", "https://evil.example"), status: 403},
		{name: "opaque origin", change: set("Origin", "null"), status: 403},
		{name: "origin of another port", change: set("Origin", "https://localhost:1"), status: 403},
		{name: "two origins", change: func(r *http.Request) {
			r.Header["Origin"] = []string{"https://app.example", "https://evil.example"}
		}, status: 403},
		{name: "foreign preflight", method: http.MethodOptions, change: func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Access-Control-Request-Method", "POST")
		}, status: 403},
		{name: "no token", change: remove("Authorization"), status: 401},
		{name: "two tokens", change: func(r *http.Request) {
			r.Header["Authorization"] = []string{r.Header.Get("Authorization"), r.Header.Get("Authorization")}
		}, status: 400, holds: invalidRequest},
		{name: "token in the query", change: func(r *http.Request) {
			r.URL.RawQuery = "access_token=" + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			r.Header.Del("Authorization")
		}, status: 400, holds: invalidRequest},
		{name: "token in header and query", change: func(r *http.Request) { r.URL.RawQuery = "access_token=x" }, status: 400, holds: invalidRequest},
		{name: "Accept without a stream", change: set("Accept", "application/json"), status: 406},
		{name: "Accept without JSON", change: set("Accept", "text/event-stream"), status: 406},
		{name: "wrong content type", change: set("Content-Type", "text/plain"), status: 415},
		{name: "no content type", change: remove("Content-Type"), status: 415},
		{name: "two content types", change: add("Content-Type", "text/plain"), status: 415},
		{name: "compressed body", change: set("Content-Encoding", "gzip"), status: 415, holds: headerIs("Accept-Encoding", "identity")},
		{name: "body over the limit", body: `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, status: 413},
		{name: "body over the limit, length not told", body: `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, change: func(r *http.Request) { r.ContentLength = -1 }, status: 413},
		{name: "no JSON", body: `{"jsonrpc":`, status: 400, code: -32700},
		{name: "something behind the message", body: `{"jsonrpc":"2.0","id":1,"method":"ping"} {}`, status: 400, code: -32700},
		{name: "byte order mark", body: "\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`, status: 400, code: -32700},
		{name: "invalid UTF-8", body: "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\xff\"}", status: 400, code: -32700},
		{name: "batch", body: `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, status: 400, code: -32600},
		{name: "nested too deep", body: `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, status: 400, code: -32600},
		{name: "duplicate key", body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}`, status: 400},
		{name: "duplicate key in arguments", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"a":2}}}`, status: 400},
		{name: "look-alike by case", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"die"}}`, status: 400, code: -32600},
		{name: "look-alike by folding", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","param` + "\u017f" + `":{},"params":{"name":"echo"}}`, status: 400, code: -32600},
		{name: "look-alike by escapes", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\u0061me":"die"}}`, status: 400, code: -32600},
		{name: "look-alike in _meta", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"ProgressToken":1}}}`, status: 400, code: -32600},
	}
}

func invalidRequest(t *testing.T, a answer) {
	t.Helper()
	if challenge := a.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_request"`) {
		t.Errorf("challenge %q", challenge)
	}
}

// limitedSite has a small limit of the body and one foreign origin that is allowed.
func limitedSite() site {
	s := standin()
	s.mcp = []string{"limits {", "	body 32KiB", "}", "origins https://app.example"}
	return s
}

func TestRefusalsOfLegacyRequests(t *testing.T) {
	t.Parallel()
	g := start(t, limitedSite())
	p := g.anyone(t, g.token(t, "alice"))
	refused(t, p, append(sharedRefusals(), []refusal{
		{name: "method", method: http.MethodPut, status: 405, holds: headerIs("Allow", "GET, POST, DELETE")},
		{name: "GET that takes no stream", method: http.MethodGet, change: set("Accept", "application/json"), status: 406},
		{name: "GET without session", method: http.MethodGet, status: 400},
		{name: "DELETE without session", method: http.MethodDelete, status: 400},
		{name: "call without session", status: 400},
		{name: "unknown session", change: set("Mcp-Session-Id", "aaaaaaaaaaaaaaaaaaaaaaaaaa"), status: 404, code: -32001},
		{name: "repeated session header", change: func(r *http.Request) {
			r.Header["Mcp-Session-Id"] = []string{"a", "b"}
		}, status: 400, code: -32600},
		{name: "repeated version header", change: func(r *http.Request) {
			r.Header["Mcp-Protocol-Version"] = []string{legacyVersion, legacyVersion}
		}, status: 400, code: -32600},
		{name: "unsupported version", change: set("Mcp-Protocol-Version", "2025-01-01"), status: 400, code: -32600},
	}...))
}

func TestRefusalsOfModernRequests(t *testing.T) {
	t.Parallel()
	g := start(t, limitedSite())
	p := g.modern(t, g.token(t, "alice"))
	const version, capabilities = `"io.modelcontextprotocol/protocolVersion":"2026-07-28"`, `"io.modelcontextprotocol/clientCapabilities":{}`
	refused(t, p, append(sharedRefusals(), []refusal{
		{name: "GET", method: http.MethodGet, status: 405, holds: headerIs("Allow", "POST")},
		{name: "DELETE", method: http.MethodDelete, status: 405, holds: headerIs("Allow", "POST")},
		{name: "PUT", method: http.MethodPut, status: 405, holds: headerIs("Allow", "POST")},
		{name: "no Mcp-Method", change: remove("Mcp-Method"), status: 400, code: -32020},
		{name: "other Mcp-Method", change: set("Mcp-Method", "tools/list"), status: 400, code: -32020},
		{name: "Mcp-Method in other case", change: set("Mcp-Method", "Tools/Call"), status: 400, code: -32020},
		{name: "repeated Mcp-Method", change: add("Mcp-Method", "tools/call"), status: 400, code: -32600},
		{name: "no Mcp-Name", change: remove("Mcp-Name"), status: 400, code: -32020},
		{name: "other Mcp-Name", change: set("Mcp-Name", "die"), status: 400, code: -32020},
		{name: "malformed Mcp-Name", change: set("Mcp-Name", "=?base64?!?="), status: 400, code: -32020},
		{name: "version header unlike the body", change: set("Mcp-Protocol-Version", "2027-01-01"), status: 400, code: -32020},
		{name: "no version header", change: remove("Mcp-Protocol-Version"), status: 400, code: -32020},
		{name: "legacy version header", change: set("Mcp-Protocol-Version", legacyVersion), status: 400, code: -32020},
		{name: "unsupported version", body: strings.ReplaceAll(p.toolCall(1, "echo", nil), modernVersion, "2027-01-01"),
			change: set("Mcp-Protocol-Version", "2027-01-01"), status: 400, code: -32022, holds: versions("2027-01-01", modernVersion, legacyVersion)},
		{name: "initialize", body: p.message(1, "initialize", object{}), status: 404, code: -32601},
		{name: "no version in _meta", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{` + capabilities + `}}}`, status: 400, code: -32602},
		{name: "no capabilities in _meta", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{` + version + `}}}`, status: 400, code: -32602},
		{name: "no _meta", body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, status: 400, code: -32602},
		{name: "response", body: `{"jsonrpc":"2.0","id":1,"result":{}}`, status: 400, code: -32600},
	}...))
	t.Run("unknown method", func(t *testing.T) {
		client := *p
		client.t = t
		if a := client.post(p.message("m", "no/such", nil)); !a.has(404) || a.code() != -32601 || string(a.reply(t).ID) != `"m"` {
			t.Errorf("answer %d %s", a.status, a.body)
		}
	})
}

func TestAllowedOriginIsServed(t *testing.T) {
	t.Parallel()
	g := start(t, limitedSite())
	p := g.anyone(t, "")
	for _, origin := range []string{"https://app.example", "https://" + g.host} {
		a := p.do(http.MethodOptions, "", func(r *http.Request) {
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Headers", "authorization, mcp-param-region")
		})
		if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != origin ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Mcp-Param-Region") {
			t.Errorf("preflight of %s: %d %v", origin, a.status, a.header)
		}
		// A browser shows the page no answer that does not name its origin: then it
		// could not even learn where to log in.
		a = p.post(initializeMessage(legacyVersion), set("Origin", origin))
		if a.status != http.StatusUnauthorized || a.header.Get("Access-Control-Allow-Origin") != origin ||
			!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
			t.Errorf("challenge to %s: %d %v", origin, a.status, a.header)
		}
	}
}

// A page whose own name was made to point to 127.0.0.1 is of the same origin for the
// browser, and gives itself away by that name only.
func TestReboundNameIsRefusedOnLoopback(t *testing.T) {
	t.Parallel()
	s := standin()
	s.plain = true
	g := start(t, s)
	p := g.anyone(t, g.token(t, "alice"))
	as := func(host, origin string) func(*http.Request) {
		return func(r *http.Request) {
			r.Host = host
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		}
	}
	refused(t, p, []refusal{
		{name: "host", change: as("evil.example", ""), status: 403, code: -32600},
		{name: "host with our port", change: as("evil.example:"+strconv.Itoa(g.port), ""), status: 403, code: -32600},
		{name: "host and its own origin", change: as("evil.example", "http://evil.example"), status: 403, code: -32600},
		{name: "our name as a label of another", change: as("localhost.evil.example", ""), status: 403, code: -32600},
		{name: "no host", change: as("x", ""), status: 403, code: -32600},
	})
	for _, host := range []string{g.host, "127.0.0.1:" + strconv.Itoa(g.port), "[::1]"} {
		if a := p.post(initializeMessage(legacyVersion), as(host, "")); a.status != http.StatusOK {
			t.Errorf("host %s: %d %s", host, a.status, a.body)
		}
	}
}
