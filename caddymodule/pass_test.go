package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/snapgate/snapgate/caddymodule/internal/admission"
	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// inFront is the handler of a site in front of a proxy, with these rules.
func inFront(t testing.TB, rules string) *OAuth {
	t.Helper()
	return started(t, "mcp.example.com {\n mcp_oauth /mcp {\n oauth https://auth.example.com\n scopes {\n base use\n"+rules+"\n }\n }\n}")
}

// callOf is a call of a user with the base scope; a GET if the text is "".
func callOf(t testing.TB, text string) (*http.Request, *admission.Call) {
	t.Helper()
	call := &admission.Call{
		Principal: &oauth.Principal{Issuer: "https://auth.example.com", Subject: "alice", SubjectClaim: "sub", Scopes: []string{"use"}},
		Era:       protocol.Legacy, GoodUntil: time.Now().Add(time.Hour),
	}
	method := http.MethodGet
	if text != "" {
		m, err := message.Parse([]byte(`{"jsonrpc":"2.0",`+text+`}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		method, call.Message = http.MethodPost, m
	}
	r := httptest.NewRequest(method, "https://mcp.example.com/mcp", nil)
	return handOver(caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nowhere{}, nil), call, true), call
}

func TestOnlyAnswersOfWhichRulesHideSomethingAreRead(t *testing.T) {
	const (
		listTools = `"id":1,"method":"tools/list"`
		callTool  = `"id":1,"method":"tools/call","params":{"name":"a"}`
		cancelled = `"method":"notifications/cancelled"`
		answered  = `"id":1,"result":{}`
	)
	for name, tc := range map[string]struct {
		rules, text, lists string
		updates            bool
	}{
		"no rules":                     {"", listTools, "", false},
		"no rules, GET":                {"", "", "", false},
		"tools":                        {"deny tool x", listTools, "tools", false},
		"tools, not filtered":          {"deny tool x\nfilter off", listTools, "", false},
		"tools, another list":          {"deny tool x", `"id":1,"method":"resources/list"`, "tools", false},
		"tools, a call":                {"deny tool x", callTool, "tools", false},
		"tools, a call, not filtered":  {"deny tool x\nfilter off", callTool, "", false},
		"tools, GET":                   {"deny tool x", "", "tools", false},
		"methods, GET":                 {"method tools/call more", "", "tools prompts resources resourceTemplates", true},
		"resources, a call":            {"resource a:b more", callTool, "resources resourceTemplates", true},
		"resources, listed":            {"resource a:b more", `"id":1,"method":"resources/templates/list"`, "resources resourceTemplates", true},
		"resources, GET":               {"resource a:b more", "", "resources resourceTemplates", true},
		"resources, not filtered, GET": {"resource a:b more\nfilter off", "", "", true},
		"a notification":               {"resource a:b more", cancelled, "resources resourceTemplates", true},
		"an answer":                    {"deny tool x", answered, "tools", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := inFront(t, tc.rules)
			r, call := callOf(t, tc.text)
			cut := o.withheldOf(r, call)
			if cut == nil {
				if tc.lists != "" || tc.updates {
					t.Error("nothing is read")
				}
				return
			}
			var lists []string
			for _, list := range cut.Lists {
				lists = append(lists, list.Member)
			}
			if got := strings.Join(lists, " "); got != tc.lists || cut.Updates != tc.updates || (cut.ID == nil) != !strings.Contains(tc.text, `"id":1,"method"`) {
				t.Errorf("lists %q, updates %v, id %s", got, cut.Updates, cut.ID)
			}
			if cut.Visible("tool", "x") && strings.Contains(tc.rules, "deny tool x") || cut.Visible("resource", "a:b") && strings.Contains(tc.rules, "a:b") {
				t.Error("all is visible")
			}
		})
	}
}

// What mcp_stdio carries it has cut itself, and its sessions are its own.
func TestWhatIsCarriedIsLeftAsItIs(t *testing.T) {
	p := provision(t, "mcp.example.com {\n mcp /mcp {\n stdio server\n oauth https://auth.example.com\n scopes {\n base use\n deny tool x\n }\n }\n mcp_oauth /other {\n oauth https://auth.example.com\n }\n}")
	handlers := p.handlers()
	startAll(place(p.http, handlers))
	t.Cleanup(func() {
		for _, h := range handlers {
			if err := h.(caddy.CleanerUpper).Cleanup(); err != nil {
				t.Error(err)
			}
		}
	})
	carrying := 0
	for _, o := range p.oauths {
		if o.carried != strings.HasSuffix(o.Resource, "/mcp") {
			t.Errorf("%s is carried: %v", o.Resource, o.carried)
		}
		if !o.carried {
			continue
		}
		carrying++
		const list, session = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"x"}]}}`, "of the bridge"
		r, _ := callOf(t, `"id":1,"method":"tools/list"`)
		r.Header.Set(protocol.HeaderSession, session)
		w := httptest.NewRecorder()
		err := o.pass(w, r, admitted(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			admitted(r).carry()
			if got := r.Header.Get(protocol.HeaderSession); got != session {
				t.Errorf("the session is %q", got)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set(protocol.HeaderSession, session)
			_, err := io.WriteString(w, list)
			return err
		}))
		if err != nil || w.Body.String() != list || w.Result().Header.Get(protocol.HeaderSession) != session {
			t.Errorf("%v %v %s", err, w.Result().Header, w.Body)
		}
	}
	if carrying != 1 {
		t.Errorf("%d handlers are carried", carrying)
	}
}

// Whose sessions they are is not told by the resource, which several handlers may share: it is
// told by what stands behind each.
func TestOnlyWhatAnMCPStdioAnswersIsCarried(t *testing.T) {
	const (
		login  = "oauth https://auth.example.com"
		carry  = "stdio server\n" + login + "\n"
		shared = "resource https://mcp.example.com/mcp"
	)
	for name, tc := range map[string]struct {
		caddyfile string
		want      []bool // by handler
	}{
		"mcp":                         {"mcp /mcp {\n" + carry + "}", []bool{true}},
		"mcp without a path":          {"mcp {\n" + carry + "}", []bool{true}},
		"mcp that hands some on":      {"mcp /mcp {\n" + carry + "handle {\n@x header X-Beta 1\nreverse_proxy @x localhost:1\n}\n}", []bool{false}},
		"before a proxy":              {"mcp_oauth /mcp {\n" + login + "\n}\nreverse_proxy /mcp localhost:1", []bool{false}},
		"one of each, for a resource": {"mcp /mcp {\n" + carry + "}\nmcp_oauth /other {\n" + login + " {\n" + shared + "\n}\n}\nreverse_proxy /other localhost:1", []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			p := provision(t, "mcp.example.com {\n"+tc.caddyfile+"\n}")
			handlers := p.handlers()
			startAll(place(p.http, handlers))
			var got []bool
			for _, o := range p.oauths {
				got = append(got, o.carried)
				if len(o.carriers) != len(p.stdios) {
					t.Errorf("%s has %d of %d", o.Resource, len(o.carriers), len(p.stdios))
				}
			}
			for _, h := range handlers {
				if err := h.(caddy.CleanerUpper).Cleanup(); err != nil {
					t.Error(err)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("carried: %v, want %v", got, tc.want)
			}
		})
	}
}

// A handler that takes the place of another's answer, such as Caddy's of errors, has its own.
func TestFaultBehindACutAnswerIsCaddys(t *testing.T) {
	o := inFront(t, "deny tool x")
	r, _ := callOf(t, `"id":1,"method":"tools/list"`)
	broken := caddyhttp.Error(http.StatusBadGateway, io.ErrUnexpectedEOF)
	w := httptest.NewRecorder()
	err := o.pass(w, r, admitted(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		return broken
	}))
	if err == nil || err.Error() != broken.Error() || w.Body.Len() != 0 {
		t.Errorf("%v %s", err, w.Body)
	}
	defer func() {
		if fault := recover(); fault != "bug" {
			t.Errorf("fault %v", fault)
		}
	}()
	r, _ = callOf(t, `"id":1,"method":"tools/list"`)
	_ = o.pass(httptest.NewRecorder(), r, admitted(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/plain")
		if _, err := io.WriteString(w, "x"); err == nil {
			t.Error("an answer that cannot be read passes")
		}
		panic("bug")
	}))
}

// heldBack is the answer behind a handler such as encode, which begins one without a body when all
// behind it has returned.
type heldBack struct{ *httptest.ResponseRecorder }

func (heldBack) WriteHeader(int) {}

func TestAnswerWithoutABodyKeepsItsSession(t *testing.T) {
	r, _ := callOf(t, `"method":"notifications/initialized"`)
	w := heldBack{httptest.NewRecorder()}
	err := inFront(t, "").pass(w, r, admitted(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set(protocol.HeaderSession, "id")
		w.WriteHeader(http.StatusAccepted)
		return nil
	}))
	if id := w.Header().Get(protocol.HeaderSession); err != nil || !strings.HasSuffix(id, "id") {
		t.Errorf("%v, and the session is %q", err, id)
	}
}

// What it costs to pass a call of which nothing is read, beside a handler alone.
func BenchmarkPass(b *testing.B) {
	behind := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Type"] = []string{"application/json"}
		w.WriteHeader(http.StatusOK)
		_, err := w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
		return err
	})
	b.Run("handler alone", func(b *testing.B) {
		r, _ := callOf(b, "")
		b.ReportAllocs()
		for b.Loop() {
			if err := behind(nowhere{}, r); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, tc := range map[string]struct {
		rules, text string
		unbound     bool
	}{
		"list":              {"", `"id":1,"method":"tools/list"`, true},
		"bound session":     {"", `"id":1,"method":"tools/list"`, false},
		"list, unfiltered":  {"deny tool x\nfilter off", `"id":1,"method":"tools/list"`, true},
		"list that is read": {"deny tool x", `"id":1,"method":"tools/list"`, true},
	} {
		b.Run(name, func(b *testing.B) {
			o := inFront(b, tc.rules)
			o.audit, o.BindSessionsOff = nil, tc.unbound
			r, call := callOf(b, tc.text)
			bound := sessions.Bind(sessionOwner(call), "1868a90c-b5a0-4bcf-8a8b-1f1a3f7c9f00")
			w := nowhere{}
			b.ReportAllocs()
			for b.Loop() {
				r.Header[protocol.HeaderSession] = []string{bound}
				if err := o.pass(w, r, &passage{call: call}, behind); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
