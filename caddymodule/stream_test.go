package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

const (
	listenMessage = `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{}}`
	callMessage   = `{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"t"}}`
	wholeEvent    = "data: {}\n\n"
)

// goodFor is how long the tokens of these tests are good.
const goodFor = time.Minute

// outsideBubbles makes what the bubbles of a test share.
func outsideBubbles(t *testing.T) *OAuth {
	t.Helper()
	_ = exiting.Done() // makes the channel, which else belonged to the first bubble
	return started(t, "mcp.example.com {\n mcp "+block+"}")
}

// proxied is an answer of a handler that stands for reverse_proxy: it writes the text with
// these headers, and goes on until its request ends.
func proxied(text string, header ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(http.StatusOK)
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// passed sends a message, or a GET if it is "", past the checks.
func passed(t *testing.T, o *OAuth, ctx context.Context, body string, next caddyhttp.Handler) (w *httptest.ResponseRecorder, took time.Duration, fault any) {
	t.Helper()
	method, call := http.MethodGet, &admission.Call{Principal: &oauth.Principal{}, GoodUntil: time.Now().Add(goodFor)}
	if body != "" {
		msg, err := message.Parse([]byte(body), 0)
		if err != nil {
			t.Fatal(err)
		}
		method, call.Message = http.MethodPost, msg
	}
	r := httptest.NewRequest(method, "https://mcp.example.com/mcp", nil).WithContext(ctx)
	r = handOver(caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nowhere{}, nil), call, true)
	w = httptest.NewRecorder()
	begun := time.Now()
	defer func() {
		took = time.Since(begun)
		if panicked := recover(); panicked != nil {
			fault = panicked
		}
	}()
	if err := o.pass(w, r, admitted(r), next); err != nil {
		fault = err
	}
	return w, took, fault
}

func TestStreamsEndWithTheirToken(t *testing.T) {
	o := outsideBubbles(t)
	const result = `data: {"jsonrpc":"2.0","id":"l","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}` + "\n\n"
	for name, tc := range map[string]struct {
		body   string
		next   caddyhttp.HandlerFunc
		status int
		want   string
	}{
		"GET":                   {"", proxied(wholeEvent, "Content-Type", "text/event-stream"), 200, wholeEvent},
		"listen":                {listenMessage, proxied(wholeEvent, "Content-Type", "text/event-stream; charset=utf-8"), 200, wholeEvent + result},
		"listen, nothing said":  {listenMessage, proxied("", "Content-Type", "text/event-stream"), 200, result},
		"listen, other lines":   {listenMessage, proxied("data: {}\r\n\r\n", "Content-Type", "text/event-stream"), 200, "data: {}\r\n\r\n" + result},
		"in mid-event":          {listenMessage, proxied("data: {", "Content-Type", "text/event-stream"), 200, "data: {"},
		"compressed":            {listenMessage, proxied("xyz\n\n", "Content-Type", "text/event-stream", "Content-Encoding", "gzip"), 200, "xyz\n\n"},
		"no events":             {listenMessage, proxied("{", "Content-Type", "application/json"), 200, "{"},
		"before anything comes": {"", func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, took, fault := passed(t, o, t.Context(), tc.body, tc.next)
				if fault != nil || took != goodFor || w.Code != tc.status {
					t.Errorf("fault %v after %v, status %d", fault, took, w.Code)
				}
				if tc.want != "" && w.Body.String() != tc.want {
					t.Errorf("answer %q, want %q", w.Body, tc.want)
				}
				if challenge := w.Header().Get("WWW-Authenticate"); tc.status == 401 && !strings.Contains(challenge, `error="invalid_token"`) {
					t.Errorf("challenge %q", challenge)
				}
			})
		})
	}
}

func TestWhatIsNoStreamOutlivesItsToken(t *testing.T) {
	o := outsideBubbles(t)
	slow := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		select {
		case <-time.After(2 * goodFor):
		case <-r.Context().Done():
		}
		_, err := w.Write([]byte("done"))
		return err
	})
	// mcp_stdio ends its streams itself.
	carried := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		admitted(r).carry()
		return slow(w, r)
	})
	for name, tc := range map[string]struct {
		body string
		next caddyhttp.Handler
	}{"a call": {callMessage, slow}, "a stream that is carried": {listenMessage, carried}, "a GET that is carried": {"", carried}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, took, fault := passed(t, o, t.Context(), tc.body, tc.next)
				if fault != nil || took != 2*goodFor || w.Body.String() != "done" {
					t.Errorf("fault %v after %v: %q", fault, took, w.Body)
				}
			})
		})
	}
}

func TestFaultsBehindAreNotHidden(t *testing.T) {
	o := outsideBubbles(t)
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		next caddyhttp.HandlerFunc
		want any
	}{
		"an error":                    {func(http.ResponseWriter, *http.Request) error { return broken }, broken},
		"a panic":                     {func(http.ResponseWriter, *http.Request) error { panic("bug") }, "bug"},
		"a panic at the token's end":  {func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); panic("bug") }, "bug"},
		"the server behind broke off": {func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, http.ErrAbortHandler},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, _, fault := passed(t, o, t.Context(), listenMessage, tc.next); fault != tc.want {
					t.Errorf("fault %v", fault)
				}
			})
		})
	}
	t.Run("the client left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, leave := context.WithTimeout(t.Context(), goodFor/2)
			defer leave()
			if _, took, fault := passed(t, o, ctx, listenMessage, proxied(wholeEvent)); fault != http.ErrAbortHandler || took != goodFor/2 {
				t.Errorf("fault %v after %v", fault, took)
			}
		})
	})
}

func TestTheStreamOfAGETTellsWhatItsTokenMayRead(t *testing.T) {
	o := started(t, "mcp.example.com {\n mcp {\n stdio server\n oauth https://auth.example.com\n scopes {\n base use\n resource a:secret more\n }\n }\n}")
	for _, tc := range []struct {
		scopes []string
		secret bool
	}{{[]string{"use"}, false}, {[]string{"use", "more"}, true}} {
		call := &admission.Call{Principal: &oauth.Principal{Scopes: tc.scopes}}
		if refusal := o.authorize(call); refusal != nil || call.Hears == nil {
			t.Fatalf("%v: refused with %v", tc.scopes, refusal)
		}
		if got := call.Hears("resource", "a:secret"); got != tc.secret || !call.Hears("resource", "a:open") {
			t.Errorf("%v: the secret is told of: %v", tc.scopes, got)
		}
	}
}
