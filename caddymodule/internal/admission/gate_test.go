package admission

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/caddymodule/internal/answer"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

const (
	ping     = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	resource = "https://mcp.example/mcp"
)

func gate(t testing.TB, s Settings) *Gate {
	t.Helper()
	if s.Resource == "" {
		s.Resource = resource
	}
	g, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// post is a good request, to be spoilt: header is name, value; "" removes.
func post(body string, header ...string) *http.Request {
	return spoil(httptest.NewRequest(http.MethodPost, resource, strings.NewReader(body)), header...)
}

func spoil(r *http.Request, header ...string) *http.Request {
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		if r.Header.Del(header[i]); header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return r
}

// status admits a request: 0 if it is let in, 204 if it was answered.
func status(g *Gate, r *http.Request) (*Call, *answer.Refusal, int) {
	w := httptest.NewRecorder()
	call, refusal := g.Admit(w, r)
	switch {
	case refusal != nil:
		return call, refusal, refusal.Status
	case call == nil:
		return nil, nil, w.Code
	}
	return call, nil, 0
}

// untouchable fails the test when it is read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (u untouchable) Close() error { return nil }

func TestTheBodyIsNotReadBeforeAllElseIsGood(t *testing.T) {
	early := &tls.ConnectionState{}
	denied := answer.New(http.StatusUnauthorized, protocol.CodeInvalidRequest, "no")
	for name, test := range map[string]struct {
		change func(r *http.Request)
		want   int
	}{
		"early data":   {func(r *http.Request) { r.TLS = early }, 425},
		"at a proxy":   {func(r *http.Request) { r.Header.Set("Early-Data", "1") }, 425},
		"or so":        {func(r *http.Request) { r.Header.Set("Early-Data", "") }, 425},
		"host":         {func(r *http.Request) { rebind(r, "evil.example") }, 403},
		"origin":       {func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		"token":        {func(r *http.Request) { r.Header.Set("X-Bad", "1") }, 401},
		"method":       {func(r *http.Request) { r.Method = http.MethodPut }, 405},
		"repeated":     {func(r *http.Request) { r.Header.Add("Mcp-Method", "a"); r.Header.Add("Mcp-Method", "a") }, 400},
		"accept":       {func(r *http.Request) { r.Header.Set("Accept", "text/html") }, 406},
		"content type": {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"encoding":     {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		"length":       {func(r *http.Request) { r.ContentLength = DefaultMaxBody + 1 }, 413},
	} {
		t.Run(name, func(t *testing.T) {
			g := gate(t, Settings{Authenticate: func(_ http.Header, r *http.Request) (*oauth.Principal, *answer.Refusal) {
				if r.Header.Get("X-Bad") != "" {
					return nil, denied
				}
				return &oauth.Principal{}, nil
			}})
			r := post(ping)
			r.Body = untouchable{t}
			test.change(r)
			if _, _, got := status(g, r); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
}

// Whoever authenticates may have something to tell with the answer, such as the nonce for the
// client's next proof (RFC 9449 section 8.2), whether or not the request is let in.
func TestAuthenticationMayAddToTheAnswer(t *testing.T) {
	for _, refusal := range []*answer.Refusal{nil, answer.New(http.StatusUnauthorized, -32600, "no")} {
		g := gate(t, Settings{Authenticate: func(h http.Header, _ *http.Request) (*oauth.Principal, *answer.Refusal) {
			h.Set("DPoP-Nonce", "next")
			return &oauth.Principal{}, refusal
		}})
		w := httptest.NewRecorder()
		if _, got := g.Admit(w, post(ping)); got != refusal || w.Header().Get("DPoP-Nonce") != "next" {
			t.Errorf("refusal %v, header of the answer %v", got, w.Header())
		}
	}
}

// rebind makes a request one that came in on a loopback connection.
func rebind(r *http.Request, host string) {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}
	*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	r.Host = host
}

// Each request is wrong from one check on in all that follow, so that the answer tells
// which check came first.
func TestTheOrderOfTheChecks(t *testing.T) {
	faults := []struct {
		status int
		add    func(r *http.Request)
	}{
		{425, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }},
		{403, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		{401, func(r *http.Request) { r.Header.Set("X-Bad", "1") }},
		{405, func(r *http.Request) { r.Method = http.MethodPatch }},
		{415, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{413, func(r *http.Request) { r.ContentLength = DefaultMaxBody + 1 }},
	}
	g := gate(t, Settings{Authenticate: func(_ http.Header, r *http.Request) (*oauth.Principal, *answer.Refusal) {
		if r.Header.Get("X-Bad") != "" {
			return nil, answer.New(http.StatusUnauthorized, 0, "")
		}
		return nil, nil
	}, Authorize: func(*Call) *answer.Refusal { return answer.New(http.StatusForbidden, 1, "scope") }})
	for first := range faults {
		r := post(`{`)
		for _, fault := range faults[first:] {
			fault.add(r)
		}
		if _, _, got := status(g, r); got != faults[first].status {
			t.Errorf("status %d, want %d", got, faults[first].status)
		}
	}
	if _, refusal, _ := status(g, post(`{`)); refusal.Code != protocol.CodeParse {
		t.Errorf("message before scope: code %d", refusal.Code)
	}
	if _, refusal, _ := status(g, post(ping, "Mcp-Protocol-Version", "2026-07-28")); refusal.Code != protocol.CodeHeaderMismatch {
		t.Errorf("era before scope: code %d", refusal.Code)
	}
	if _, refusal, _ := status(g, post(ping)); refusal.Status != 403 || refusal.Code != 1 {
		t.Errorf("scope last: %v", refusal)
	}
}

func TestWhatIsAdmittedIsTold(t *testing.T) {
	p := &oauth.Principal{Subject: "s"}
	g := gate(t, Settings{
		Authenticate: func(http.Header, *http.Request) (*oauth.Principal, *answer.Refusal) { return p, nil },
		Authorize:    func(c *Call) *answer.Refusal { c.Rule = "tool " + c.Tool(); return nil },
	})
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`
	call, refusal, _ := status(g, post(body, "Mcp-Session-Id", "abc", "Mcp-Protocol-Version", "2025-06-18"))
	if refusal != nil {
		t.Fatal(refusal)
	}
	if call.Principal != p || call.Resource != resource || call.Era != protocol.Legacy || call.Version != "2025-06-18" || call.SessionID != "abc" ||
		call.Rule != "tool x" || call.Bytes != len(body) || call.Method() != "tools/call" || string(call.Message.Raw) != body || call.Began.IsZero() {
		t.Errorf("%+v", call)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		r := post("", "Content-Type", "")
		r.Method, r.Body = method, untouchable{t}
		if call, refusal, _ := status(g, r); refusal != nil || call.Message != nil || call.Method() != "" || call.Tool() != "" || call.Era != protocol.Legacy {
			t.Errorf("%s: %+v, %v", method, call, refusal)
		}
	}
}

func TestMethodsOfTheEras(t *testing.T) {
	g := gate(t, Settings{})
	for _, test := range []struct {
		method, version string
		status          int
		allow           string
	}{
		{"GET", "", 0, ""}, {"DELETE", "2025-11-25", 0, ""}, {"GET", "2026-07-28", 405, "POST"}, {"DELETE", "2026-07-28", 405, "POST"},
		{"PUT", "", 405, "GET, POST, DELETE"}, {"HEAD", "", 405, "GET, POST, DELETE"}, {"OPTIONS", "", 405, "GET, POST, DELETE"},
		{"PATCH", "2026-07-28", 405, "POST"}, {"post", "", 405, "GET, POST, DELETE"},
	} {
		r := post("", "Mcp-Protocol-Version", test.version)
		r.Method = test.method
		_, refusal, got := status(g, r)
		if got != test.status || refusal != nil && refusal.Header.Get("Allow") != test.allow {
			t.Errorf("%s %s: %d, Allow %v", test.method, test.version, got, refusal)
		}
	}
}

func TestRepeatedHeadersAreRefused(t *testing.T) {
	g := gate(t, Settings{})
	for _, name := range []string{"Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-Region", "Last-Event-Id"} {
		r := post(ping)
		r.Header[name] = []string{"a", "a"}
		if _, refusal, got := status(g, r); got != 400 || refusal.Code != protocol.CodeInvalidRequest {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestAccept(t *testing.T) {
	g := gate(t, Settings{})
	for accept, want := range map[string]struct{ post, get int }{
		"":                                    {0, 0},
		"*/*":                                 {0, 0},
		"application/json, text/event-stream": {0, 0},
		"TEXT/event-stream;q=0.5,Application/JSON ; charset=utf-8": {0, 0},
		"application/*, text/*":                         {0, 0},
		"application/json":                              {406, 406},
		"text/event-stream":                             {406, 0},
		"text/html":                                     {406, 406},
		"application/json, text/event-stream;q=0":       {406, 406},
		"application/json, text/event-stream;q=0.0":     {406, 406},
		"application/json, text/event-stream ; q=0.000": {406, 406},
		"application/jsonx, text/event-streams":         {406, 406},
		"*/*, text/event-stream;q=0":                    {406, 406},
		"application/*, application/json;q=0, text/*":   {406, 0},
		"*/*, text/*;q=0":                               {406, 406},
		"text/*;q=0, text/event-stream, */*;q=0.1":      {0, 0},
		"application/json, text/event-stream;q=NaN":     {406, 406},
	} {
		if _, _, got := status(g, post(ping, "Accept", accept)); got != want.post {
			t.Errorf("POST, Accept %q: %d, want %d", accept, got, want.post)
		}
		r := post("", "Accept", accept)
		r.Method = http.MethodGet
		if _, _, got := status(g, r); got != want.get {
			t.Errorf("GET, Accept %q: %d, want %d", accept, got, want.get)
		}
	}
	split := post(ping)
	split.Header["Accept"] = []string{"application/json", "text/event-stream"}
	if _, _, got := status(g, split); got != 0 {
		t.Errorf("two fields: %d", got)
	}
}
